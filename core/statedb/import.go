package statedb

import (
	"context"
	"encoding/json"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// importedSetting is set while and after a STATEDB of the original was read
// into this one.
const importedSetting = "imported-statedb"

// Import is how a STATEDB of the original is written into this one. What is
// there already is left alone, so that an import can be run again.
type Import struct {
	db *DB
	// Again is set when there was an import before.
	Again bool
}

// StartImport allows an import. A database that has given out jobs and was not
// imported into before is refused with core.KindConflict, because job numbers
// would clash.
func (db *DB) StartImport(ctx context.Context, source string) (Import, error) {
	var before int
	err := db.tx(ctx, func(ctx context.Context, tx *txn) error {
		var next int64
		if err := tx.row(ctx, `SELECT next_job, (SELECT COUNT(*) FROM settings WHERE name = $1) FROM run_queue WHERE id = 1`, importedSetting).
			Scan(&next, &before); err != nil {
			return describe("looking at the job numbers", err)
		}
		if next > 1 && before == 0 {
			return core.Errorf(core.KindConflict, "the state database has jobs of its own; import into an empty one")
		}
		return tx.set(ctx, importedSetting, source)
	})
	return Import{db, before > 0}, err
}

// Switch takes over the queue's switch and max-jobs, the first time.
func (i Import) Switch(ctx context.Context, running bool, maxJobs *int) error {
	if i.Again {
		return nil
	}
	return i.db.tx(ctx, func(ctx context.Context, tx *txn) error {
		if err := tx.SetRunning(ctx, running); err != nil {
			return err
		}
		return tx.SetMaxJobs(ctx, maxJobs)
	})
}

// stateRow is the state of an imported Lorry.
type stateRow struct {
	wantRow
	Failures    int              `json:"failures"`
	LastRun     int64            `json:"last_run"`
	LastSuccess int64            `json:"last_success"`
	LastExit    string           `json:"last_exit"`
	FailKind    core.FailureKind `json:"fail_kind"`
	FailCause   string           `json:"fail_cause"`
	DiskUsage   int64            `json:"disk_usage"`
}

// Lorries adds Lorries with their running state, and says how many were new.
func (i Import) Lorries(ctx context.Context, all []core.LorryState) (int, error) {
	rows := make([]stateRow, len(all))
	for n, l := range all {
		rows[n] = stateRow{
			wantRow: wantRow{
				l.Path, l.Text, l.Section, l.Host, l.HostPath, l.UpstreamHost, l.Repository,
				l.Interval.Microseconds(), l.Timeout.Microseconds(), l.Rewrites, l.ListedHead, l.ListedDescription, micros(l.Due), 0,
			},
			Failures: l.Failures, LastRun: micros(l.LastRun), LastSuccess: micros(l.LastSuccess), LastExit: l.LastExit,
			FailKind: l.LastFailure.Kind, FailCause: l.LastFailure.Cause, DiskUsage: l.DiskUsage,
		}
	}
	var added int64
	err := i.db.tx(ctx, func(ctx context.Context, tx *txn) error {
		arg, err := rowsOf(rows)
		if err != nil {
			return err
		}
		from := tx.d.from("x", wantCols+", failures bigint, last_run bigint, last_success bigint, last_exit text, "+
			"fail_kind text, fail_cause text, disk_usage bigint")
		if added, err = tx.change(ctx, "importing Lorries", `INSERT INTO lorries (path, spec_text, section, host, host_path, upstream_host,
				interval_us, timeout_us, rewrites, listed_head, listed_description)
			SELECT x.path, x.spec_text, x.section, x.host, x.host_path, x.upstream_host, x.interval_us, x.timeout_us, x.rewrites,
				x.listed_head, x.listed_description FROM `+from+` WHERE TRUE ON CONFLICT (path) DO NOTHING`, arg); err != nil {
			return err
		}
		_, err = tx.change(ctx, "importing the queue", `INSERT INTO queue (path, upstream_host, turn, due, failures, last_run, last_success,
				last_exit, fail_kind, fail_cause, disk_usage)
			SELECT x.path, x.upstream_host, x.due, x.due, x.failures, x.last_run, x.last_success, x.last_exit, x.fail_kind, x.fail_cause,
				x.disk_usage FROM `+from+` WHERE TRUE ON CONFLICT (path) DO NOTHING`, arg)
		return err
	})
	return int(added), err
}

// Job is an ended job of the original with its output.
type Job struct {
	core.Job
	Output string
}

// jobImportRow is one imported job.
type jobImportRow struct {
	startRow
	Ended     int64            `json:"ended"`
	Exit      string           `json:"exit"`
	FailKind  core.FailureKind `json:"fail_kind"`
	FailCause string           `json:"fail_cause"`
	DiskUsage int64            `json:"disk_usage"`
	Size      int              `json:"size"`
	Output    string           `json:"output"`
}

// Jobs adds ended jobs under their own numbers, says how many were new, and
// keeps later numbers above them.
func (i Import) Jobs(ctx context.Context, all []Job) (int, error) {
	rows := make([]jobImportRow, len(all))
	var last core.JobID
	for n, j := range all {
		last = max(last, j.ID)
		rows[n] = jobImportRow{
			startRow: startRow{j.ID, j.Path, j.Fence, j.Minion, j.PID, micros(j.Started), micros(j.Updated), micros(j.Lease)},
			Ended:    micros(j.Ended), Exit: j.Exit, FailKind: j.Failure.Kind, FailCause: j.Failure.Cause, DiskUsage: j.DiskUsage,
			Size: len(j.Output), Output: j.Output,
		}
	}
	var added int64
	err := i.db.tx(ctx, func(ctx context.Context, tx *txn) error {
		arg, err := rowsOf(rows)
		if err != nil {
			return err
		}
		from := tx.d.from("x", "id bigint, path text, fence bigint, minion text, pid bigint, started bigint, updated bigint, lease bigint, "+
			"ended bigint, exit text, fail_kind text, fail_cause text, disk_usage bigint, size bigint, output text")
		if added, err = tx.change(ctx, "importing jobs", `INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease, ended, exit,
				fail_kind, fail_cause, disk_usage, output_size, output_kept)
			SELECT x.id, x.path, x.fence, x.minion, x.pid, x.started, x.updated, x.lease, x.ended, x.exit, x.fail_kind, x.fail_cause,
				x.disk_usage, x.size, x.size FROM `+from+` WHERE TRUE ON CONFLICT (id) DO NOTHING`, arg); err != nil {
			return err
		}
		if _, err = tx.change(ctx, "importing output", `INSERT INTO job_output (job, start, body) SELECT x.id, 0, x.output FROM `+from+`
			WHERE x.output <> '' ON CONFLICT (job, start) DO NOTHING`, arg); err != nil {
			return err
		}
		return i.numbersAbove(ctx, tx, last)
	})
	return int(added), err
}

// NumbersAbove keeps the numbers of new jobs above last.
func (i Import) NumbersAbove(ctx context.Context, last core.JobID) error {
	return i.db.tx(ctx, func(ctx context.Context, tx *txn) error { return i.numbersAbove(ctx, tx, last) })
}

func (Import) numbersAbove(ctx context.Context, tx *txn, last core.JobID) error {
	_, err := tx.change(ctx, "numbering jobs", `UPDATE run_queue SET next_job = $1 WHERE id = 1 AND next_job < $1`, int64(last)+1)
	return err
}

// Host adds a host with the time of its last listing, so that it is not listed
// again before its time. It says whether the host was new.
func (i Import) Host(ctx context.Context, h core.HostState) (bool, error) {
	prefixes, err := json.Marshal(h.Prefixes)
	if err != nil {
		return false, err
	}
	ignored, err := json.Marshal(h.Ignore)
	if err != nil {
		return false, err
	}
	var added int64
	err = i.db.tx(ctx, func(ctx context.Context, tx *txn) (err error) {
		added, err = tx.change(ctx, "importing a host", `INSERT INTO hosts (name, type, protocol, prefixes, ignored, ls_us, interval_us, timeout_us, ls_last, ls_due)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (name) DO NOTHING`,
			h.Name, h.Type, h.Protocol, string(prefixes), string(ignored), h.LsInterval.Microseconds(), h.Interval.Microseconds(),
			h.Timeout.Microseconds(), micros(h.LsLast), micros(h.LsLast.Add(h.LsInterval)))
		return err
	})
	return added > 0, err
}

// Now is the time of the STATEDB's clock.
func (i Import) Now() time.Time { return i.db.clock() }
