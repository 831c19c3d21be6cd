package statedb

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// StartFirst implements queue.Tx. For a file it would be no shorter than the
// long way. Once the long way has found a limit, or nothing, it is gone until it
// does not.
func (t *txn) StartFirst(ctx context.Context, p queue.FirstParams) ([]queue.Claimed, error) {
	if t.sends == nil || !t.sends.fresh() || len(p.Jobs) == 0 || t.head.long.Load() {
		return nil, nil
	}
	s := started{jobs: p.Jobs}
	if err := t.sends.whole(ctx, func() error { return t.startFirst(ctx, p, s.scan) }); err != nil {
		return nil, err
	}
	if len(s.claimed) == 0 {
		t.sends.again()
		return nil, nil
	}
	t.due = s.due
	t.rememberStarted(s.rows)
	return s.claimed, nil
}

// startFirst queues the statements of StartFirst. The row that numbers jobs is
// changed first, which locks it as Gate does, so that the next statement sees
// all that was done before.
func (t *txn) startFirst(ctx context.Context, p queue.FirstParams, scan func(scanner) error) error {
	if err := t.findHead(ctx, queue.ReadyParams{Now: p.Now, Limit: len(p.Jobs)}); err != nil {
		return err
	}
	v := t.firstParams(p)
	if err := t.laterNamed("numbering jobs", nil, numberFirst, v); err != nil {
		return err
	}
	start := startFirst
	if len(p.Prefer) > 0 {
		start = startPreferred
	}
	if err := t.laterNamed("starting the first jobs", scan, start, v); err != nil {
		return err
	}
	if len(p.Jobs) == 1 {
		return nil
	}
	return t.laterNamed("taking back numbers", nil, numberBack, v)
}

// firstParams are the parameters of all statements of StartFirst.
func (t *txn) firstParams(p queue.FirstParams) params {
	minions, pids := make([]string, len(p.Jobs)), make([]int64, len(p.Jobs))
	for i, j := range p.Jobs {
		minions[i], pids[i] = j.Minion, int64(j.PID)
	}
	all := p.Jobs[0]
	return params{
		"now": micros(p.Now), "jobs": len(p.Jobs), "minions": minions, "pids": pids,
		"started": micros(all.Started), "updated": micros(all.Updated), "lease": micros(all.Lease),
		"low_turn": t.low.turn, "low_path": t.low.path,
		"prefer":  slices.DeleteFunc(slices.Clone(p.Prefer), func(path string) bool { return !storable(path) }),
		"overdue": micros(p.Overdue), "window": p.Window,
	}
}

// laterNamed queues a statement with named parameters, whose rows scan reads; nil
// is for one that gives none.
func (t *txn) laterNamed(doing string, scan func(scanner) error, text string, p params) error {
	query, args, err := t.d.named.number(text, p)
	switch {
	case err != nil:
	case scan == nil:
		t.sends.later(doing, query, args)
	default:
		t.sends.laterRows(doing, scan, query, args)
	}
	return err
}

// The statements of StartFirst. Due are the Lorries that can run by now and do
// not come before the place where the queue begins; those at the top come before
// that.
const (
	firstDue = `q.running_job IS NULL AND q.turn <= @now AND q.held = '' AND (q.turn, q.path) >= (
		CASE WHEN EXISTS (SELECT 1 FROM queue WHERE running_job IS NULL AND turn < 0) THEN -9223372036854775808 ELSE @low_turn END, @low_path)`

	// numberFirst takes numbers for as many jobs as are asked for, if nothing
	// limits what may start and at least one Lorry is due.
	numberFirst = `UPDATE run_queue SET next_job = next_job + @jobs WHERE id = 1 AND running AND max_jobs IS NULL
		AND NOT EXISTS (SELECT 1 FROM host_holds WHERE until > @now) AND EXISTS (SELECT 1 FROM queue q WHERE ` + firstDue + `)`

	// startFirst starts jobs of the first due Lorries, if numberFirst has changed
	// its row in this transaction, and gives the Lorries.
	startFirst = `WITH ` + firstGate + `, ` + chosenByTurn + `, ` + firstStarted
	// startPreferred is the same for a minion that prefers some.
	startPreferred = `WITH ` + firstGate + `, ` + chosenByRank + `, ` + firstStarted

	firstGate = `gate AS (SELECT next_job - @jobs - 1 AS job FROM run_queue WHERE id = 1 AND xmin = pg_current_xact_id()::xid)`

	chosenByTurn = `chosen AS (SELECT path, row_number() OVER () AS n FROM (
		SELECT q.path FROM queue q WHERE ` + firstDue + ` AND EXISTS (SELECT 1 FROM gate)
		ORDER BY q.turn, q.path LIMIT @jobs FOR UPDATE OF q SKIP LOCKED) c)`

	// chosenByRank takes first, of a window of due Lorries, those at the top and
	// the overdue ones, then those that are preferred.
	chosenByRank = `chosen AS (SELECT path, row_number() OVER () AS n FROM (
		SELECT q.path FROM (SELECT path, rank, turn FROM (
				SELECT q.path, q.turn, CASE WHEN q.turn < 0 OR q.due < @overdue THEN 0 WHEN q.path = ANY (@prefer) THEN 1 ELSE 2 END AS rank
				FROM queue q WHERE ` + firstDue + ` AND EXISTS (SELECT 1 FROM gate) ORDER BY q.turn, q.path LIMIT @window) w
			ORDER BY rank, turn, path LIMIT @jobs) w
		JOIN queue q ON q.path = w.path WHERE ` + firstDue + ` ORDER BY w.rank, w.turn, w.path FOR UPDATE OF q SKIP LOCKED) c)`

	firstStarted = `q AS (
			UPDATE queue q SET running_job = (SELECT job FROM gate) + n, fence = fence + 1, turn = due
			FROM chosen WHERE q.path = chosen.path RETURNING q.*, n),
		j AS (
			INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease)
			SELECT running_job, path, fence, (@minions::text[])[n], (@pids::bigint[])[n], @started, @updated, @lease FROM q)
		SELECT ` + lorryText + `, ` + approvedOf + `, n FROM q JOIN lorries l ON l.path = q.path ORDER BY n`
	approvedOf = `ARRAY(SELECT json_build_object('ref', h.ref, 'old', h.old, 'new', h.new, 'since', h.since)::text
		FROM held_rewrites h WHERE h.path = q.path AND h.approved ORDER BY h.ref)`

	// numberBack gives back the numbers that no job got.
	numberBack = `UPDATE run_queue SET next_job = j.next
		FROM (SELECT COALESCE(MAX(id), 0) + 1 AS next FROM jobs) j
		WHERE run_queue.id = 1 AND run_queue.xmin = pg_current_xact_id()::xid AND j.next >= next_job - @jobs AND j.next < next_job`
)

// started collects the jobs that were started, of those that were asked for.
type started struct {
	jobs    []core.Job
	due     []queue.Ready
	rows    []startRow
	claimed []queue.Claimed
}

// scan reads a row of startFirst.
func (s *started) scan(from scanner) error {
	var r lorryRow
	var approved []string
	var n int
	if err := from.Scan(append(r.dest(), &approved, &n)...); err != nil {
		return err
	}
	l := r.value()
	held, err := approvedRewrites(l.Path, approved)
	if err != nil {
		return err
	}
	c := queue.Claimed{LorryState: l.LorryState, Job: s.jobs[len(s.claimed)], Approved: held}
	c.Position = 0
	c.Job.ID, c.Job.Path, c.Job.Fence = l.RunningJob, l.Path, l.Fence
	j := c.Job
	s.due = append(s.due, l)
	s.rows = append(s.rows, startRow{j.ID, j.Path, j.Fence, j.Minion, j.PID, micros(j.Started), micros(j.Updated), micros(j.Lease)})
	s.claimed = append(s.claimed, c)
	return nil
}

// approvedRewrites reads what approvedOf gives of a Lorry.
func approvedRewrites(path string, texts []string) ([]queue.HeldRewrite, error) {
	var held []queue.HeldRewrite
	for _, text := range texts {
		var h struct {
			Ref, Old, New string
			Since         int64
		}
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			return nil, core.Errorf(core.KindInternal, "state database: an approved rewrite of %q: %w", path, err)
		}
		held = append(held, queue.HeldRewrite{Path: path, Ref: h.Ref, Old: h.Old, New: h.New, Since: fromMicros(h.Since), Approved: true})
	}
	return held, nil
}
