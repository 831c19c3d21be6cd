package statedb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// The columns of a core.Job, in the order of jobRow.
const jobCols = `j.id, j.path, j.fence, j.minion, j.pid, j.started, j.updated, j.ended, j.lease, j.kill_reason <> '', j.exit,
	j.fail_kind, j.fail_cause, j.fail_hint, j.disk_usage, j.output_size, j.unchanged, j.refs, j.progress`

// jobRow takes those columns.
type jobRow struct {
	core.Job
	started, updated, ended, lease int64
	refs, progress                 string
}

func (r *jobRow) dest() []any {
	j := &r.Job
	return []any{
		&j.ID, &j.Path, &j.Fence, &j.Minion, &j.PID, &r.started, &r.updated, &r.ended, &r.lease, &j.Kill, &j.Exit,
		&j.Failure.Kind, &j.Failure.Cause, &j.Failure.Hint, &j.DiskUsage, &j.OutputSize, &j.Unchanged, &r.refs, &r.progress,
	}
}

func (r *jobRow) value() (core.Job, error) {
	j := r.Job
	j.Started, j.Updated, j.Ended, j.Lease = fromMicros(r.started), fromMicros(r.updated), fromMicros(r.ended), fromMicros(r.lease)
	if j.Progress = progressOf(r.progress); r.refs == "" {
		return j, nil
	}
	if err := json.Unmarshal([]byte(r.refs), &j.Refs); err != nil {
		return j, fmt.Errorf("refs of job %d: %w", j.ID, err)
	}
	return j, nil
}

// progressOf reads the column progress. It is for people to look at: one that
// can't be read is none, and keeps no job from going on or being buried.
func progressOf(text string) *core.Progress {
	if text == "" {
		return nil
	}
	var p core.Progress
	if json.Unmarshal([]byte(text), &p) != nil {
		return nil
	}
	return &p
}

func scanJob(s scanner) (core.Job, error) {
	var r jobRow
	if err := s.Scan(r.dest()...); err != nil {
		return core.Job{}, err
	}
	return r.value()
}

// Jobs implements queue.Store.
func (db *DB) Jobs(ctx context.Context, f queue.JobFilter) ([]core.Job, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	q, order := jobsOf(f)
	if !storable(f.Path) {
		return nil, nil
	}
	text := `SELECT ` + jobCols + ` FROM jobs j` + q.and() + " ORDER BY " + order
	if f.Limit > 0 {
		text += " DESC LIMIT " + q.arg(f.Limit)
	}
	jobs, err := collect(ctx, db.read, scanJob, text, q.args...)
	return jobs, classify("reading jobs", err)
}

// jobsOf gives the conditions of a filter, but for its Limit, and the order of
// ids.
func jobsOf(f queue.JobFilter) (q query, order string) {
	if f.Path != "" {
		q.add("j.path = %s", f.Path)
	}
	if f.Before > 0 {
		q.add("j.id < %s", int64(f.Before))
	}
	if f.Failed {
		q.where = append(q.where, "j.fail_kind <> ''")
	}
	if !f.Running {
		return q, "j.id"
	}
	// The few that run are sorted; by id they would be looked for in the whole
	// history.
	q.where = append(q.where, "j.exit = ''")
	return q, "j.id + 0"
}

// JobIDs implements queue.Store.
func (db *DB) JobIDs(ctx context.Context, f queue.JobFilter, after core.JobID, limit int) ([]core.JobID, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	if !storable(f.Path) {
		return nil, nil
	}
	q, order := jobsOf(f)
	q.add(order+" > %s", int64(after))
	last := " LIMIT " + q.arg(max(limit, 1))
	ids, err := collect(ctx, db.read, scanID, `SELECT j.id FROM jobs j`+q.and()+" ORDER BY "+order+last, q.args...)
	return ids, classify("reading the ids of jobs", err)
}

// Job implements queue.Store.
func (db *DB) Job(ctx context.Context, id core.JobID) (core.Job, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	j, err := scanJob(db.read.row(ctx, `SELECT `+jobCols+` FROM jobs j WHERE j.id = $1`, int64(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return core.Job{}, notFound("there is no job %d", id)
	}
	return j, classify("reading a job", err)
}

// Output implements queue.Store. Offsets are in bytes of what was kept.
func (db *DB) Output(ctx context.Context, id core.JobID, offset, limit int64) (string, error) {
	if _, err := db.Job(ctx, id); err != nil {
		return "", err
	}
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	offset = max(offset, 0)
	end := int64(1<<62 - 1)
	if limit > 0 && limit < end-offset {
		end = offset + limit
	}
	// The chunk that holds offset is the last one that starts at or before it.
	type chunk struct {
		start int64
		body  string
	}
	chunks, err := collect(ctx, db.read, func(s scanner) (c chunk, err error) {
		err = s.Scan(&c.start, &c.body)
		return c, err
	}, `SELECT start, body FROM job_output WHERE job = $1 AND start < $3 AND start >= COALESCE(
		(SELECT MAX(start) FROM job_output WHERE job = $1 AND start <= $2), 0) ORDER BY start`, int64(id), offset, end)
	if err != nil {
		return "", classify("reading a job's output", err)
	}
	var b strings.Builder
	for _, c := range chunks {
		from := min(max(offset-c.start, 0), int64(len(c.body)))
		to := min(end-c.start, int64(len(c.body)))
		if from < to {
			b.WriteString(c.body[from:to])
		}
	}
	return b.String(), nil
}

// Expired implements queue.Store.
func (db *DB) Expired(ctx context.Context, now time.Time, after core.JobID, limit int) ([]core.JobID, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	// Not by the index of ids: that would be a walk through the whole history.
	ids, err := collect(ctx, db.read, scanID, `SELECT id FROM jobs WHERE exit = '' AND lease <= $1 AND id + 0 > $2 ORDER BY id + 0 LIMIT $3`,
		micros(now), int64(after), limit)
	return ids, classify("looking for lost jobs", err)
}

func scanID(s scanner) (core.JobID, error) {
	var id core.JobID
	err := s.Scan(&id)
	return id, err
}

// Extend implements queue.Tx.
func (t *txn) Extend(ctx context.Context, now time.Time, lease, alone time.Duration) error {
	_, err := t.change(ctx, "extending leases", `UPDATE jobs SET lease = CASE WHEN lease <= updated + $2 OR lease + $3 > $1 THEN $1 ELSE lease + $3 END
		WHERE exit = ''`, micros(now.Add(lease)), lease.Microseconds(), alone.Microseconds())
	return err
}

// SetLeases implements queue.Tx.
func (t *txn) SetLeases(ctx context.Context, until time.Time) error {
	_, err := t.change(ctx, "setting leases", `UPDATE jobs SET lease = $1 WHERE exit = ''`, micros(until))
	return err
}

// Kill implements queue.Tx.
func (t *txn) Kill(ctx context.Context, id core.JobID, reason core.FailureKind) error {
	n, err := t.change(ctx, "stopping a job", `UPDATE jobs SET kill_reason = CASE WHEN kill_reason = '' THEN $2 ELSE kill_reason END WHERE id = $1 AND exit = ''`, int64(id), string(reason))
	if err == nil && n == 0 {
		return t.notRunning(ctx, id)
	}
	return err
}

// notRunning says why a running job was not found.
func (t *txn) notRunning(ctx context.Context, id core.JobID) error {
	var exit string
	err := t.row(ctx, `SELECT exit FROM jobs WHERE id = $1`, int64(id)).Scan(&exit)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return notFound("there is no job %d", id)
	case err != nil:
		return describe("reading a job", err)
	}
	return core.Errorf(core.KindConflict, "job %d is not running; it ended with %q", id, exit)
}

// RemoveJobs implements queue.Tx.
func (t *txn) RemoveJobs(ctx context.Context, ids []core.JobID) (int, error) {
	arg, err := json.Marshal(ids)
	if err != nil {
		return 0, err
	}
	n, err := t.change(ctx, "removing jobs", `DELETE FROM jobs WHERE exit <> '' AND `+t.d.among("id", "$1", "bigint"), string(arg))
	return int(n), err
}
