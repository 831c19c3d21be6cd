package statedb

import (
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// The statements that write a report on a job that is as this core remembers it,
// and nothing otherwise. Each counts the jobs that are. What was remembered of a
// column is the parameter of its name, with j, q or l for its table; what it
// becomes is the same with new in front.
const (
	guessReport       = `WITH ` + knownJob + `, ` + newJob + guessCount
	guessReportOutput = `WITH ` + knownJob + `, ` + newJob + `, ` + newOutput + guessCount
	guessEnd          = `WITH ` + knownJob + `, ` + newJob + `, ` + newTurn + guessCount
	guessEndOutput    = `WITH ` + knownJob + `, ` + newJob + `, ` + newTurn + `, ` + newOutput + guessCount

	guessCount = ` SELECT COUNT(*) FROM known`

	// knownJob finds the job, and has every column that a report reads and that can
	// change while it runs. It locks the rows that are written: if another
	// transaction is changing one of them it waits and then looks at what that has
	// made of it, so that what is known here still is when it is written. Of a place
	// in the queue only one at the top counts. COALESCE keeps the planner from the
	// index of running jobs, which seems short and is full of dead ones, and || from
	// that of hosts, which may have very many Lorries each.
	knownJob = `known AS (
		SELECT j.id, q.path FROM jobs j JOIN queue q ON q.path = j.path JOIN lorries l ON l.path = j.path
		WHERE j.id = @j_id AND j.ended = 0 AND COALESCE(q.running_job, 0) = j.id
			AND j.fence = @j_fence AND j.started = @j_started AND j.updated = @j_updated
			AND j.lease = @j_lease AND j.kill_reason = @j_kill_reason AND j.disk_usage = @j_disk_usage
			AND j.output_size = @j_output_size AND j.output_kept = @j_output_kept AND j.received = @j_received
			AND j.progress = @j_progress
			AND l.upstream_host || '' = @l_upstream_host
			AND l.interval_us = @l_interval_us AND l.timeout_us = @l_timeout_us
			AND LEAST(q.turn, 0) = @q_turn AND q.due = @q_due
			AND q.removed = @q_removed AND q.failures = @q_failures
			AND q.last_run = @q_last_run AND q.last_success = @q_last_success AND q.last_equal = @q_last_equal
			AND q.pushed = @q_pushed AND q.last_exit = @q_last_exit
			AND q.fail_kind = @q_fail_kind AND q.fail_cause = @q_fail_cause AND q.fail_hint = @q_fail_hint
			AND q.disk_usage = @q_disk_usage AND q.digest = @q_digest
		FOR UPDATE OF j, q)`

	newJob = `job AS (
		UPDATE jobs SET updated = @new_j_updated, ended = @new_j_ended, lease = @new_j_lease,
			kill_reason = @new_j_kill_reason, exit = @new_j_exit,
			fail_kind = @new_j_fail_kind, fail_cause = @new_j_fail_cause, fail_hint = @new_j_fail_hint,
			disk_usage = @new_j_disk_usage, output_size = @new_j_output_size, output_kept = @new_j_output_kept,
			received = @new_j_received, unchanged = @new_j_unchanged, refs = @new_j_refs, progress = @new_j_progress
		FROM known WHERE jobs.id = known.id)`

	newTurn = `turn AS (
		UPDATE queue SET running_job = NULL, turn = @new_q_turn, due = @new_q_due, failures = @new_q_failures,
			last_run = @new_q_last_run, last_success = @new_q_last_success, last_equal = @new_q_last_equal,
			last_exit = @new_q_last_exit,
			fail_kind = @new_q_fail_kind, fail_cause = @new_q_fail_cause, fail_hint = @new_q_fail_hint,
			disk_usage = @new_q_disk_usage, digest = @new_q_digest
		FROM known WHERE queue.path = known.path)`

	newOutput = `output AS (
		INSERT INTO job_output (job, start, body) SELECT known.id, @output_start, @output_body FROM known)`
)

// guessText is the statement for a report that ends its job or does not, with
// output or without.
func guessText(end, output bool) string {
	switch {
	case end && output:
		return guessEndOutput
	case end:
		return guessEnd
	case output:
		return guessReportOutput
	}
	return guessReport
}

// guessParams is how many parameters these have together.
const guessParams = 64

// known sets the parameters of knownJob.
func (p params) known(v queue.Live) error {
	j, l := v.Job, v.Lorry
	progress, err := textOf(j.Progress, j.Progress != nil)
	p["j_id"], p["j_fence"] = int64(j.ID), int64(j.Fence)
	p["j_started"], p["j_updated"], p["j_lease"] = micros(j.Started), micros(j.Updated), micros(j.Lease)
	p["j_kill_reason"], p["j_disk_usage"], p["j_progress"] = string(v.KillReason), j.DiskUsage, progress
	p["j_output_size"], p["j_output_kept"], p["j_received"] = j.OutputSize, v.OutputKept, v.Received

	p["l_upstream_host"] = l.UpstreamHost
	p["l_interval_us"], p["l_timeout_us"] = l.Interval.Microseconds(), l.Timeout.Microseconds()

	p["q_turn"], p["q_due"], p["q_removed"], p["q_failures"] = l.Position, micros(l.Due), l.Removed, int64(l.Failures)
	p["q_last_run"], p["q_last_success"], p["q_last_equal"] = micros(l.LastRun), micros(l.LastSuccess), micros(l.LastEqual)
	p["q_pushed"], p["q_last_exit"] = micros(l.Pushed), l.LastExit
	p["q_fail_kind"], p["q_fail_cause"], p["q_fail_hint"] = string(l.LastFailure.Kind), l.LastFailure.Cause, l.LastFailure.Hint
	p["q_disk_usage"], p["q_digest"] = l.DiskUsage, l.Digest
	return err
}

// job sets the parameters of newJob.
func (p params) job(r reportRow) {
	p["new_j_updated"], p["new_j_ended"], p["new_j_lease"] = r.Updated, r.Ended, r.Lease
	p["new_j_kill_reason"], p["new_j_exit"] = storedText(string(r.KillReason)), storedText(r.Exit)
	p["new_j_fail_kind"] = storedText(string(r.FailKind))
	p["new_j_fail_cause"], p["new_j_fail_hint"] = storedText(r.FailCause), storedText(r.FailHint)
	p["new_j_disk_usage"], p["new_j_output_size"], p["new_j_output_kept"] = r.DiskUsage, r.OutputSize, r.OutputKept
	p["new_j_received"], p["new_j_unchanged"] = r.Received, r.Unchanged
	p["new_j_refs"], p["new_j_progress"] = storedText(r.Refs), storedText(r.Progress)
}

// turn sets the parameters of newTurn.
func (p params) turn(r endRow) {
	p["new_q_turn"], p["new_q_due"], p["new_q_failures"] = r.Turn, r.Due, int64(r.Failures)
	p["new_q_last_run"], p["new_q_last_success"], p["new_q_last_equal"] = r.LastRun, r.LastSuccess, r.LastEqual
	p["new_q_last_exit"] = storedText(r.LastExit)
	p["new_q_fail_kind"] = storedText(string(r.FailKind))
	p["new_q_fail_cause"], p["new_q_fail_hint"] = storedText(r.FailCause), storedText(r.FailHint)
	p["new_q_disk_usage"], p["new_q_digest"] = r.DiskUsage, storedText(r.Digest)
}

// output sets the parameters of newOutput.
func (p params) output(r outputRow) {
	p["output_start"], p["output_body"] = r.Start, storedText(r.Body)
}
