package statedb

import (
	"context"
	"encoding/json"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// Live implements queue.Tx. It asks for no end rather than for no exit, so that
// the planner goes by the ids and not through all live jobs.
func (t *txn) Live(ctx context.Context, ids []core.JobID) ([]queue.Live, error) {
	if l, ok := t.guessLive(ids); ok {
		return []queue.Live{l}, nil
	}
	if t.lives == nil {
		all, err := t.readLive(ctx, ids)
		t.read = all
		return all, err
	}
	if err := t.lives.current(ctx, t); err != nil {
		return nil, err
	}
	known, others := t.lives.find(ids)
	if len(others) == 0 {
		return merge(known, nil), nil
	}
	read, err := t.readLive(ctx, others)
	if err != nil {
		return nil, err
	}
	t.lives.keep(read)
	return merge(known, read), nil
}

func (t *txn) readLive(ctx context.Context, ids []core.JobID) ([]queue.Live, error) {
	const live = `SELECT ` + liveCols + ` FROM jobs j JOIN queue q ON q.path = j.path JOIN lorries l ON l.path = j.path
		WHERE j.ended = 0 AND COALESCE(q.running_job, 0) = j.id AND ` // COALESCE keeps PostgreSQL from the index of running jobs
	text, arg := live+`j.id = $1`, any(nil)
	if len(ids) == 1 { // which is usual, and quicker
		arg = int64(ids[0])
	} else {
		list, err := json.Marshal(ids)
		if err != nil {
			return nil, err
		}
		text, arg = live+t.d.among("j.id", "$1", "bigint")+` ORDER BY j.id`, string(list)
	}
	all, err := collect(ctx, t, scanLive, text+t.d.forUpdate("j, q"), arg)
	return all, describe("reading running jobs", err)
}

// The columns of a queue.Live: what a report needs and writes back, no more,
// since each costs time. A job that runs has neither exit nor failure nor refs.
const liveCols = `j.id, j.path, j.fence, j.minion, j.pid, j.started, j.updated, j.lease, j.kill_reason,
	j.disk_usage, j.output_size, j.output_kept, j.received, j.progress,
	l.upstream_host, l.interval_us, l.timeout_us, q.turn, q.due, q.removed, q.failures, q.last_run, q.last_success, q.last_equal, q.pushed,
	q.last_exit, q.fail_kind, q.fail_cause, q.fail_hint, q.disk_usage, q.digest`

func scanLive(s scanner) (queue.Live, error) {
	var v queue.Live
	var started, updated, lease int64
	var progress string
	var r lorryRow
	j, l := &v.Job, &r.LorryState
	err := s.Scan(
		&j.ID, &j.Path, &j.Fence, &j.Minion, &j.PID, &started, &updated, &lease, &v.KillReason,
		&j.DiskUsage, &j.OutputSize, &v.OutputKept, &v.Received, &progress,
		&l.UpstreamHost, &r.interval, &r.timeout, &r.turn, &r.due, &l.Removed, &l.Failures, &r.lastRun, &r.lastSuccess, &r.lastEqual, &r.pushed,
		&l.LastExit, &l.LastFailure.Kind, &l.LastFailure.Cause, &l.LastFailure.Hint, &l.DiskUsage, &l.Digest,
	)
	j.Started, j.Updated, j.Lease, j.Kill = fromMicros(started), fromMicros(updated), fromMicros(lease), v.KillReason != ""
	v.Lorry = r.value().LorryState
	v.Lorry.Path, v.Lorry.RunningJob = j.Path, j.ID
	j.Progress = progressOf(progress)
	return v, err
}

// reportRow is the new state of one running job, as dialect.rows reads it.
type reportRow struct {
	ID         core.JobID       `json:"id"`
	Updated    int64            `json:"updated"`
	Ended      int64            `json:"ended"`
	Lease      int64            `json:"lease"`
	KillReason core.FailureKind `json:"kill_reason"`
	Exit       string           `json:"exit"`
	FailKind   core.FailureKind `json:"fail_kind"`
	FailCause  string           `json:"fail_cause"`
	FailHint   string           `json:"fail_hint"`
	DiskUsage  int64            `json:"disk_usage"`
	OutputSize int64            `json:"output_size"`
	OutputKept int64            `json:"output_kept"`
	Received   int64            `json:"received"`
	Unchanged  bool             `json:"unchanged"`
	Refs       string           `json:"refs"`
	Progress   string           `json:"progress"`
}

const reportCols = "id bigint, updated bigint, ended bigint, lease bigint, kill_reason text, exit text, fail_kind text, " +
	"fail_cause text, fail_hint text, disk_usage bigint, output_size bigint, output_kept bigint, received bigint, unchanged boolean, refs text, progress text"

// endRow is the new state of a Lorry whose job ended.
type endRow struct {
	Path        string           `json:"path"`
	Due         int64            `json:"due"`
	Turn        int64            `json:"turn"`
	Failures    int              `json:"failures"`
	LastRun     int64            `json:"last_run"`
	LastSuccess int64            `json:"last_success"`
	LastEqual   int64            `json:"last_equal"`
	LastExit    string           `json:"last_exit"`
	FailKind    core.FailureKind `json:"fail_kind"`
	FailCause   string           `json:"fail_cause"`
	FailHint    string           `json:"fail_hint"`
	DiskUsage   int64            `json:"disk_usage"`
	Digest      string           `json:"digest"`
}

const endCols = "path text, due bigint, turn bigint, failures bigint, last_run bigint, last_success bigint, last_equal bigint, last_exit text, " +
	"fail_kind text, fail_cause text, fail_hint text, disk_usage bigint, digest text"

type outputRow struct {
	Job   core.JobID `json:"job"`
	Start int64      `json:"start"`
	Body  string     `json:"body"`
}

// Report implements queue.Tx.
func (t *txn) Report(ctx context.Context, reports []queue.Report) error {
	if t.lives != nil {
		defer t.known()()
		t.lives.report(reports)
		return t.reportInFile(ctx, reports)
	}
	var jobs []reportRow
	var ends []endRow
	var outputs []outputRow
	var gone []string
	for _, r := range reports {
		j := r.Job
		refs, err := textOf(j.Refs, len(j.Refs) > 0)
		if err != nil {
			return err
		}
		progress, err := textOf(j.Progress, j.Progress != nil)
		if err != nil {
			return err
		}
		jobs = append(jobs, reportRow{
			j.ID, micros(j.Updated), micros(j.Ended), micros(j.Lease), r.KillReason, j.Exit,
			j.Failure.Kind, j.Failure.Cause, j.Failure.Hint, j.DiskUsage, j.OutputSize, r.OutputAt + int64(len(r.Output)), r.Received, j.Unchanged, refs, progress,
		})
		if r.Output != "" {
			outputs = append(outputs, outputRow{j.ID, r.OutputAt, r.Output})
		}
		switch l := r.Lorry; {
		case l == nil:
		case l.Removed:
			gone = append(gone, l.Path)
		default:
			turn := micros(l.Due)
			if l.Position < 0 {
				turn = l.Position
			}
			t.early = t.early || turn >= 0 && l.Due.Before(j.Ended.Add(-headBehind))
			ends = append(ends, endRow{
				l.Path, micros(l.Due), turn, l.Failures, micros(l.LastRun), micros(l.LastSuccess), micros(l.LastEqual), l.LastExit,
				l.LastFailure.Kind, l.LastFailure.Cause, l.LastFailure.Hint, l.DiskUsage, l.Digest,
			})
		}
	}
	t.remember(reports)
	if t.guess != nil {
		return t.guess.write(t.d.named, jobs, ends, outputs, gone)
	}
	return t.writeReports(ctx, jobs, ends, outputs, gone)
}

// textOf is a value as JSON, or "" when there is none.
func textOf(v any, there bool) (string, error) {
	if !there {
		return "", nil
	}
	b, err := json.Marshal(v)
	return string(b), err
}

// The statements that write a report: of the job, of its output and, when it has
// ended, of its Lorry.
const (
	reportText = `UPDATE jobs SET updated = x.updated, ended = x.ended, lease = x.lease,
		kill_reason = x.kill_reason, exit = x.exit, fail_kind = x.fail_kind, fail_cause = x.fail_cause, fail_hint = x.fail_hint,
		disk_usage = x.disk_usage, output_size = x.output_size, output_kept = x.output_kept, received = x.received, unchanged = x.unchanged, refs = x.refs, progress = x.progress
		FROM {rows} WHERE jobs.id = x.id`
	outputText = `INSERT INTO job_output (job, start, body)
		SELECT x.job, x.start, x.body FROM {rows}`
	outputCols = "job bigint, start bigint, body text"
	endText    = `UPDATE queue SET running_job = NULL, turn = x.turn, due = x.due, failures = x.failures,
		last_run = x.last_run, last_success = x.last_success, last_equal = x.last_equal, last_exit = x.last_exit,
		fail_kind = x.fail_kind, fail_cause = x.fail_cause, fail_hint = x.fail_hint, disk_usage = x.disk_usage, digest = x.digest
		FROM {rows} WHERE queue.path = x.path`
)

func (t *txn) writeReports(ctx context.Context, jobs []reportRow, ends []endRow, outputs []outputRow, gone []string) error {
	if err := perRow(ctx, t, "reporting on jobs", jobs, reportText, reportCols); err != nil {
		return err
	}
	if err := perRow(ctx, t, "keeping output", outputs, outputText, outputCols); err != nil {
		return err
	}
	if err := perRow(ctx, t, "ending jobs", ends, endText, endCols); err != nil {
		return err
	}
	return t.forget(ctx, gone)
}

// AppendOutput implements queue.Tx. The row is changed first, which locks it.
func (t *txn) AppendOutput(ctx context.Context, id core.JobID, text string) error {
	n, err := t.change(ctx, "noting output", `UPDATE jobs SET output_size = output_size + $2, output_kept = output_kept + $2 WHERE id = $1`,
		int64(id), int64(len(text)))
	if err == nil && n == 0 {
		return notFound("there is no job %d", id)
	}
	if err != nil {
		return err
	}
	return t.later(ctx, "keeping output", `INSERT INTO job_output (job, start, body)
		SELECT id, output_kept - $2, $3 FROM jobs WHERE id = $1`, int64(id), int64(len(text)), text)
}

// forget removes Lorries that no job runs.
func (t *txn) forget(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	arg, err := json.Marshal(paths)
	if err != nil {
		return err
	}
	if err := t.retire(ctx, dropNUL(string(arg))); err != nil {
		return err
	}
	for _, table := range []string{"held_rewrites", "lorries"} {
		if err := t.later(ctx, "removing Lorries", `DELETE FROM `+table+` WHERE `+t.d.among("path", "$1", "text"), dropNUL(string(arg))); err != nil {
			return err
		}
	}
	return nil
}

// each runs a statement that takes all rows at once; none is nothing to do.
func each[T any](ctx context.Context, t *txn, doing string, rows []T, query string) error {
	if len(rows) == 0 {
		return nil
	}
	arg, err := rowsOf(rows)
	if err != nil {
		return err
	}
	return t.later(ctx, doing, query, arg)
}
