package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// upkeepBatch bounds how many jobs one transaction of the upkeep touches.
const upkeepBatch = 200

// BuryGhosts ends the jobs whose lease ran out as lost, and says which. It goes
// on until there are none, in short transactions. When the clock was set since
// the last time, it buries none, and puts leases and due times right instead.
func (q *Queue) BuryGhosts(ctx context.Context) ([]core.Job, error) {
	if s, done := q.steps.look(q.stepLimit()); s.seen {
		return nil, q.putClockRight(ctx, s.by, done)
	}
	now := q.clock().UTC()
	var buried []core.Job
	for after := core.JobID(0); ; {
		ids, err := q.store.Expired(ctx, now, after, upkeepBatch)
		if err != nil || len(ids) == 0 {
			return buried, err
		}
		after = ids[len(ids)-1]
		jobs, err := q.endAll(ctx, ids, func(j core.Job) (UpdateParams, bool) {
			silent := core.Span(now.Sub(j.Updated))
			return UpdateParams{
				Done: true, Exit: exitLost,
				Output:  fmt.Sprintf("\n[the minion %q was silent for %s; the job was ended as lost]\n", j.Minion, silent),
				Failure: core.Failure{Kind: core.FailLost, Cause: fmt.Sprintf("the minion %q was silent for %s", j.Minion, silent), Hint: "look at the minion's log"},
			}, !j.Lease.After(now)
		})
		if err != nil {
			return buried, err
		}
		buried = append(buried, jobs...)
	}
}

// ReturnJobs hands back the running jobs of a minion that stops, without
// counting a failure, and says which. Without a name it hands back all.
func (q *Queue) ReturnJobs(ctx context.Context, minion string) ([]core.Job, error) {
	running, err := q.store.Jobs(ctx, JobFilter{Running: true})
	if err != nil {
		return nil, err
	}
	var ids []core.JobID
	for _, j := range running {
		if minion == "" || j.Minion == minion {
			ids = append(ids, j.ID)
		}
	}
	var returned []core.Job
	for len(ids) > 0 {
		n := min(len(ids), upkeepBatch)
		jobs, err := q.endAll(ctx, ids[:n], func(core.Job) (UpdateParams, bool) {
			return UpdateParams{Done: true, Returned: true, Output: "\n[the minion stopped; the job was handed back]\n"}, true
		})
		if err != nil {
			return returned, err
		}
		returned, ids = append(returned, jobs...), ids[n:]
	}
	return returned, nil
}

// endAll ends those of the jobs that still run and that how chooses.
func (q *Queue) endAll(ctx context.Context, ids []core.JobID, how func(core.Job) (UpdateParams, bool)) ([]core.Job, error) {
	now := q.clock().UTC()
	var ended []core.Job
	err := q.change(ctx, func(ctx context.Context, tx Tx) error {
		ended = nil
		live, err := tx.Live(ctx, ids)
		if err != nil {
			return err
		}
		u := newUpdating(q, now, live)
		for _, l := range live {
			p, ok := how(l.Job)
			if !ok {
				continue
			}
			r := u.jobs[l.Job.ID]
			silentSince := r.live.Job.Updated
			u.touch(r)
			r.live.Job.Updated = silentSince // the minion said nothing new
			r.append(p.Output, q.set.Load().OutputCap, true)
			u.end(r, p)
			ended = append(ended, r.live.Job)
		}
		return u.write(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	q.tellEnded(ended)
	return ended, nil
}

// Rebase gives every running job a whole lease from now on. A core calls it
// when it starts, since its minions could not report while it was off, also where
// other cores were there. Cores that start again and again do not keep a job alive
// whose minion is gone. If the clock was set back meanwhile, due times are moved
// back, too.
func (q *Queue) Rebase(ctx context.Context) error {
	now, lease := q.clock().UTC(), q.set.Load().GhostTimeout
	alone, err := q.store.Alone(ctx)
	if err != nil {
		return err
	}
	done, err := q.store.ClocksSet(ctx)
	if err != nil {
		return err
	}
	var back time.Duration
	err = q.store.Write(ctx, func(ctx context.Context, tx Tx) (err error) {
		if back, err = tx.ClockSet(ctx, 0, now); err != nil {
			return err
		}
		if back > 0 {
			if _, err := tx.CountClockSet(ctx, done); err != nil {
				return err
			}
		}
		return tx.Extend(ctx, now, lease, alone)
	})
	if err != nil {
		return err
	}
	if back > 0 {
		q.log.Warn("the system's clock was set back; due times are moved back with it", "by", back.Round(time.Second).String())
	}
	return q.WatchClock(ctx)
}

// RemoveOldJobs forgets the ended jobs that the policy lets go, with their
// output, in short transactions, and says how many.
func (q *Queue) RemoveOldJobs(ctx context.Context, policy Retention) (int, error) {
	now := q.clock()
	removed := 0
	for from := core.JobID(1); from != 0; {
		ids, next, err := q.store.Outdated(ctx, policy, now, from, upkeepBatch)
		if err != nil {
			return removed, err
		}
		from = next
		if len(ids) == 0 {
			continue
		}
		err = q.store.Write(ctx, func(ctx context.Context, tx Tx) error {
			_, err := tx.RemoveJobs(ctx, ids)
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += len(ids)
	}
	return removed, nil
}
