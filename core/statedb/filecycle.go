package statedb

import (
	"context"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// A claim and a report are written to an SQLite file by statements of its own,
// one row each, since there a statement costs by its columns and parameters and
// not by its journey: a job that ended well, which is usual, is written without
// the columns that only trouble fills. Parameters without numbers are bound
// sooner than numbered ones.
const (
	fileReady = readyText + `q.running_job IS NULL AND q.turn <= ? AND q.held = '' ORDER BY q.turn, q.path LIMIT CAST(? AS BIGINT)`

	fileStart = `UPDATE queue SET running_job = ?, fence = ?, turn = due WHERE path = ? AND running_job IS NULL`
	fileJob   = `INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`

	fileReport = `UPDATE jobs SET updated = ?, lease = ?, kill_reason = ?,
		disk_usage = ?, output_size = ?, output_kept = ?, received = ?, progress = ? WHERE id = ?`
	// A job that runs has neither refs nor a failure yet.
	fileTrouble = `UPDATE jobs SET kill_reason = ?, fail_kind = ?, fail_cause = ?, fail_hint = ?, refs = ? WHERE id = ?`
	fileJobEnd  = `UPDATE jobs SET updated = ?, ended = ?, lease = ?, exit = ?, unchanged = ?,
		disk_usage = ?, output_size = ?, output_kept = ?, received = ?, progress = '' WHERE id = ?`
	fileOutput = `INSERT INTO job_output (job, start, body) VALUES (?, ?, ?)`

	fileEnd = `UPDATE queue SET running_job = NULL, turn = ?, due = ?, failures = ?,
		last_run = ?, last_success = ?, last_equal = ?, last_exit = ?, disk_usage = ?, digest = ?, `
	fileEndWell   = fileEnd + `fail_kind = '', fail_cause = '', fail_hint = '' WHERE path = ?`
	fileEndFailed = fileEnd + `fail_kind = ?, fail_cause = ?, fail_hint = ? WHERE path = ?`
)

// readyInFile reads due Lorries, so that their jobs are known when they start.
func (t *txn) readyInFile(ctx context.Context, query string, args ...any) ([]queue.Ready, error) {
	all, err := collect(ctx, t, scanReady, query, args...)
	t.lives.read(all)
	return all, describe("looking for due Lorries", err)
}

// startInFile starts jobs. A Lorry that is not there or runs already is refused.
func (t *txn) startInFile(ctx context.Context, rows []startRow) error {
	for i := range rows {
		r := &rows[i]
		n, err := t.change(ctx, "starting jobs", fileStart, int64(r.ID), int64(r.Fence), r.Path)
		if err == nil && n != 1 {
			err = core.Errorf(core.KindInternal, "state database: Lorry %q can't start: it is not there, or runs", r.Path)
		}
		if err != nil {
			return err
		}
		if _, err := t.change(ctx, "recording jobs", fileJob, int64(r.ID), r.Path, int64(r.Fence), storedText(r.Minion), int64(r.PID),
			r.Started, r.Updated, r.Lease); err != nil {
			return err
		}
	}
	return nil
}

// reportInFile writes what became of running jobs.
func (t *txn) reportInFile(ctx context.Context, reports []queue.Report) error {
	var gone []string
	for i := range reports {
		r := &reports[i]
		if err := t.reportJobInFile(ctx, r); err != nil {
			return err
		}
		if r.Output != "" {
			if _, err := t.change(ctx, "keeping output", fileOutput, int64(r.Job.ID), r.OutputAt, storedText(r.Output)); err != nil {
				return err
			}
		}
		switch {
		case r.Lorry == nil:
		case r.Lorry.Removed:
			gone = append(gone, r.Lorry.Path)
		default:
			if err := t.endInFile(ctx, r.Lorry); err != nil {
				return err
			}
		}
	}
	return t.forget(ctx, gone)
}

func (t *txn) reportJobInFile(ctx context.Context, r *queue.Report) error {
	j, kept := &r.Job, r.OutputAt+int64(len(r.Output))
	if r.Lorry == nil {
		progress, err := textOf(j.Progress, j.Progress != nil)
		if err == nil {
			_, err = t.change(ctx, "reporting on jobs", fileReport, micros(j.Updated), micros(j.Lease), string(r.KillReason),
				j.DiskUsage, j.OutputSize, kept, r.Received, storedText(progress), int64(j.ID))
		}
		return err
	}
	if f := j.Failure; r.KillReason != "" || f != (core.Failure{}) || len(j.Refs) > 0 {
		refs, err := textOf(j.Refs, len(j.Refs) > 0)
		if err == nil {
			_, err = t.change(ctx, "reporting on jobs", fileTrouble, string(r.KillReason),
				string(f.Kind), storedText(f.Cause), storedText(f.Hint), storedText(refs), int64(j.ID))
		}
		if err != nil {
			return err
		}
	}
	_, err := t.change(ctx, "reporting on jobs", fileJobEnd, micros(j.Updated), micros(j.Ended), micros(j.Lease), storedText(j.Exit), j.Unchanged,
		j.DiskUsage, j.OutputSize, kept, r.Received, int64(j.ID))
	return err
}

// endInFile makes a Lorry whose job has ended wait for its next turn.
func (t *txn) endInFile(ctx context.Context, l *core.LorryState) error {
	turn := micros(l.Due)
	if l.Position < 0 {
		turn = l.Position
	}
	args := []any{
		turn, micros(l.Due), int64(l.Failures),
		micros(l.LastRun), micros(l.LastSuccess), micros(l.LastEqual), storedText(l.LastExit), l.DiskUsage, storedText(l.Digest),
	}
	text := fileEndWell
	if f := l.LastFailure; f.Kind != "" || f.Cause != "" || f.Hint != "" {
		text = fileEndFailed
		args = append(args, string(f.Kind), storedText(f.Cause), storedText(f.Hint))
	}
	_, err := t.change(ctx, "ending jobs", text, append(args, l.Path)...)
	return err
}
