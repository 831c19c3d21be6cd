package statedb

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// StartFirst implements queue.Tx. For a file it would be no shorter than the
// long way. The row that numbers jobs is changed first, which locks it as Gate
// does, so that the next statement sees all that was done before. Once the
// long way has found a limit, or nothing, it is gone until it does not.
func (t *txn) StartFirst(ctx context.Context, p queue.FirstParams) ([]queue.Claimed, error) {
	if t.sends == nil || !t.sends.fresh() || len(p.Jobs) == 0 || t.head.long.Load() {
		return nil, nil
	}
	prefer := slices.DeleteFunc(slices.Clone(p.Prefer), func(path string) bool { return !storable(path) })
	minions, pids := make([]string, len(p.Jobs)), make([]int64, len(p.Jobs))
	for i, j := range p.Jobs {
		minions[i], pids[i] = j.Minion, int64(j.PID)
	}
	all := p.Jobs[0]
	args := []any{micros(p.Now), len(p.Jobs), minions, pids, micros(all.Started), micros(all.Updated), micros(all.Lease)}
	var due []queue.Ready
	var rows []startRow
	var got []queue.Claimed
	scan := func(s scanner) error {
		row := startRow{Updated: micros(all.Updated), Lease: micros(all.Lease), Started: micros(all.Started)}
		l, held, err := scanFirst(s, &row)
		if err != nil {
			return err
		}
		n := len(got)
		row.Minion, row.PID = p.Jobs[n].Minion, p.Jobs[n].PID
		due, rows = append(due, l), append(rows, row)
		c := queue.Claimed{LorryState: l.LorryState, Job: p.Jobs[n], Approved: held}
		c.Position = 0
		c.Job.ID, c.Job.Path, c.Job.Fence = row.ID, row.Path, row.Fence
		got = append(got, c)
		return nil
	}
	err := t.sends.whole(ctx, func() {
		_ = t.findHead(ctx, queue.ReadyParams{Now: p.Now, Limit: len(p.Jobs)}) // it only queues
		t.sends.later("numbering jobs", `UPDATE run_queue SET next_job = next_job + $2 WHERE id = 1 AND running AND max_jobs IS NULL
			AND NOT EXISTS (SELECT 1 FROM host_holds WHERE until > $1) AND EXISTS (SELECT 1 FROM queue q WHERE `+fmt.Sprintf(firstDue, 3, 4)+`)`,
			[]any{micros(p.Now), len(p.Jobs), t.low.turn, t.low.path})
		args = append(args, t.low.turn, t.low.path)
		if len(prefer) > 0 {
			args = append(args, prefer, p.Window, micros(p.Overdue))
		}
		t.sends.laterRows("starting the first jobs", scan, t.firstText(len(prefer) > 0), args)
		if len(p.Jobs) > 1 {
			t.sends.later("taking back numbers", `UPDATE run_queue SET next_job = j.next
				FROM (SELECT COALESCE(MAX(id), 0) + 1 AS next FROM jobs) j
				WHERE run_queue.id = 1 AND run_queue.xmin = pg_current_xact_id()::xid AND j.next >= next_job - $1 AND j.next < next_job`, []any{len(p.Jobs)})
		}
	})
	if err != nil {
		return nil, err
	}
	if len(got) == 0 {
		t.sends.again()
		return nil, nil
	}
	t.due = due
	t.rememberStarted(rows)
	return got, nil
}

// scanFirst reads a row of firstText.
func scanFirst(s scanner, row *startRow) (queue.Ready, []queue.HeldRewrite, error) {
	var r lorryRow
	var approved []string
	var n int
	if err := s.Scan(append(r.dest(), &approved, &n)...); err != nil {
		return queue.Ready{}, nil, err
	}
	l := r.value()
	row.ID, row.Path, row.Fence = l.RunningJob, l.Path, l.Fence
	var held []queue.HeldRewrite
	for _, text := range approved {
		var h struct {
			Ref, Old, New string
			Since         int64
		}
		if err := json.Unmarshal([]byte(text), &h); err != nil {
			return l, nil, core.Errorf(core.KindInternal, "state database: an approved rewrite of %q: %w", l.Path, err)
		}
		held = append(held, queue.HeldRewrite{Path: l.Path, Ref: h.Ref, Old: h.Old, New: h.New, Since: fromMicros(h.Since), Approved: true})
	}
	return l, held, nil
}

// firstDue says that a Lorry is due by $1 and not before where the queue begins,
// as two more parameters say; what is at the top comes before that.
const firstDue = `q.running_job IS NULL AND q.turn <= $1 AND q.held = '' AND (q.turn, q.path) >= (CASE WHEN EXISTS
	(SELECT 1 FROM queue WHERE running_job IS NULL AND turn < 0) THEN -9223372036854775808 ELSE $%d END, $%d)`

// firstText chooses the first due Lorries and starts their jobs, if this
// transaction has numbered them. Its parameters are the time, how many, the
// minions and their processes, the times of the jobs, where the queue begins
// and, for a minion that prefers some, these, the size of the window and when
// overdue ones were due.
func (t *txn) firstText(prefer bool) string {
	return t.d.texts.get(fmt.Sprint("first ", prefer), func() rowText {
		const lock = ` FOR UPDATE OF q SKIP LOCKED`
		first := fmt.Sprintf(firstDue, 8, 9) + ` AND EXISTS (SELECT 1 FROM gate) ORDER BY q.turn, q.path LIMIT `
		choice := `SELECT q.path FROM queue q WHERE ` + first + `$2` + lock
		if prefer {
			choice = `SELECT q.path FROM (SELECT path, rank, turn FROM (SELECT q.path, q.turn,
						CASE WHEN q.turn < 0 OR q.due < $12 THEN 0 WHEN q.path = ANY ($10) THEN 1 ELSE 2 END AS rank
					FROM queue q WHERE ` + first + `$11) w ORDER BY rank, turn, path LIMIT $2) w
				JOIN queue q ON q.path = w.path WHERE ` + fmt.Sprintf(firstDue, 8, 9) + ` ORDER BY w.rank, w.turn, w.path` + lock
		}
		return rowText{text: `WITH gate AS (SELECT next_job - $2 - 1 AS job FROM run_queue WHERE id = 1 AND xmin = pg_current_xact_id()::xid),
			chosen AS (SELECT path, row_number() OVER () AS n FROM (` + choice + `) c),
			q AS (UPDATE queue q SET running_job = (SELECT job FROM gate) + n, fence = fence + 1, turn = due
				FROM chosen WHERE q.path = chosen.path RETURNING q.*, n),
			j AS (INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease)
				SELECT running_job, path, fence, ($3::text[])[n], ($4::bigint[])[n], $5, $6, $7 FROM q)
			SELECT ` + lorryText + `, ARRAY(SELECT json_build_object('ref', h.ref, 'old', h.old, 'new', h.new, 'since', h.since)::text
				FROM held_rewrites h WHERE h.path = q.path AND h.approved ORDER BY h.ref), n FROM q JOIN lorries l ON l.path = q.path ORDER BY n`}
	}).text
}
