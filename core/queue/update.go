package queue

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/schedule"
)

// Update applies each report on its own; results are in the same order. A
// report on a job that is no longer the caller's changes nothing and is Stale.
func (q *Queue) Update(ctx context.Context, updates []UpdateParams) ([]UpdateResult, error) {
	return q.updates.do(ctx, updates)
}

// updateAll applies the reports of several callers in one transaction.
func (q *Queue) updateAll(ctx context.Context, take func() []UpdateParams) ([]UpdateResult, error) {
	var results []UpdateResult
	var wake bool
	var ends []time.Time
	var ended []core.Job
	err := q.store.Write(ctx, func(ctx context.Context, tx Tx) error {
		results, wake, ends, ended = nil, false, nil, nil
		ps := take()
		if len(ps) == 0 {
			return nil
		}
		live, err := tx.Live(ctx, jobsOf(ps))
		if err != nil {
			return err
		}
		u := newUpdating(q, q.clock().UTC(), live)
		results = make([]UpdateResult, len(ps))
		for i, p := range ps {
			results[i] = u.apply(p)
		}
		wake, ends, ended = u.wake, u.due, u.ended()
		return u.write(ctx, tx)
	})
	if err != nil {
		return nil, err
	}
	q.tellEnded(ended)
	for _, due := range ends {
		q.waiters.dueAt(due)
	}
	if wake {
		q.Wake()
	}
	return results, nil
}

// jobsOf names the jobs of some reports, in order.
func jobsOf(ps []UpdateParams) []core.JobID {
	ids := make([]core.JobID, 0, len(ps))
	for _, p := range ps {
		ids = append(ids, p.Job)
	}
	slices.Sort(ids)
	return slices.Compact(ids)
}

// updating is the state of running jobs while reports are applied to them.
type updating struct {
	q    *Queue
	now  time.Time
	jobs map[core.JobID]*running
	// touched keeps the order of the first report on each job.
	touched []*running
	// wake is set when a Lorry may have become claimable; due is when others do.
	wake bool
	due  []time.Time
}

// running is one job and what is to be written about it.
type running struct {
	live    Live
	output  string // to be appended
	ended   bool
	touched bool
	// healed says that the job brought everything after one that did not: then
	// no rewrite is held any more, whether or not it had to change anything.
	healed bool
	// leave is how long its upstream host is to be left alone, as it asked; 0
	// when it did not.
	leave time.Duration
}

func newUpdating(q *Queue, now time.Time, live []Live) *updating {
	u := &updating{q: q, now: now, jobs: make(map[core.JobID]*running, len(live))}
	for _, l := range live {
		u.jobs[l.Job.ID] = &running{live: l}
	}
	return u
}

// mostDiskUsage is believed of one Lorry, in bytes: a thousand TB.
const mostDiskUsage = 1e15

// apply applies one report. The fence decides whose job it is; the original's
// minion has none, so for it the job must merely still run.
func (u *updating) apply(p UpdateParams) UpdateResult {
	r := u.jobs[p.Job]
	if r == nil || r.ended || (p.Fence != 0 && p.Fence != r.live.Job.Fence) {
		return UpdateResult{Stale: true}
	}
	u.touch(r)
	j := &r.live.Job
	j.Lease = u.now.Add(u.q.set.Load().GhostTimeout)
	if p.DiskUsage > 0 {
		j.DiskUsage = min(p.DiskUsage, mostDiskUsage)
	}
	if p.Sent == 0 || p.Sent > r.live.Received {
		r.live.Received = max(p.Sent, r.live.Received)
		r.append(p.Output, u.q.set.Load().OutputCap, p.Done)
	}
	if p.Done {
		u.end(r, p)
		return UpdateResult{}
	}
	if p.Progress != nil {
		j.Progress = cleanProgress(*p.Progress)
	}
	if r.live.KillReason == "" && r.overran(u.now) && !u.q.clockIsOff() {
		r.live.KillReason = core.FailTimeout
	}
	j.Kill = r.live.KillReason != ""
	return UpdateResult{Kill: j.Kill}
}

func (u *updating) touch(r *running) {
	r.live.Job.Updated = u.now
	if !r.touched {
		r.touched = true
		u.touched = append(u.touched, r)
	}
}

func (r *running) overran(now time.Time) bool {
	l := r.live.Lorry
	return l.Timeout > 0 && now.Sub(r.live.Job.Started) >= l.Timeout
}

// end ends a job, and says when its Lorry is due again.
func (u *updating) end(r *running, p UpdateParams) {
	r.ended = true
	j, l := &r.live.Job, &r.live.Lorry
	exit, failure := verdict(r, p, u.now)
	handedBack := exit == exitReturned && !failure.Failed()
	j.Ended, j.Exit, j.Failure = u.now, exit, failure
	j.Unchanged = p.Unchanged && exit == exitOK
	j.Refs, j.Progress = cleanRefs(p.Refs), nil
	before := *l
	l.RunningJob, l.Position = 0, 0
	l.Failures, l.Due = u.q.set.Load().Backoff.After(schedule.Outcome{
		End: u.now, Success: exit == exitOK, Returned: handedBack, Kind: failure.Kind, Late: j.Started.Sub(before.Due),
	}, l.Interval, l.Failures, u.q.roll())
	if failure.Kind == core.FailRateLimited && l.UpstreamHost != "" {
		r.leave = u.q.leave(failure)
	}
	if handedBack || failure.Kind == core.FailLost && before.Failures == 0 {
		unfinished(&before, l)
	}
	anew := again(*j, l)
	u.wake = u.wake || u.q.set.Load().MaxJobsPerHost > 0 || !l.Due.After(u.now)
	u.due = append(u.due, l.Due)
	if exit != exitOK || anew {
		// Downstream may have got a part of the push, or somebody has asked for a
		// look at it since the job began.
		l.Digest = ""
	}
	if handedBack {
		return
	}
	r.healed = exit == exitOK && l.LastExit != exitOK && l.LastExit != ""
	l.LastRun, l.LastExit, l.LastFailure = u.now, exit, failure
	if j.DiskUsage > 0 {
		l.DiskUsage = j.DiskUsage
	}
	if exit == exitOK {
		l.LastSuccess = u.now
		if p.Digest != "" && !anew {
			l.Digest = clean(p.Digest)
		}
		if p.Unchanged || p.Digest != "" {
			l.LastEqual = u.now
		}
	}
}

// ended gives the jobs that the reports ended.
func (u *updating) ended() []core.Job {
	var jobs []core.Job
	for _, r := range u.touched {
		if r.ended {
			jobs = append(jobs, r.live.Job)
		}
	}
	return jobs
}

func (q *Queue) tellEnded(jobs []core.Job) {
	if q.o.Ended != nil && len(jobs) > 0 {
		q.o.Ended(jobs)
	}
}

// leave is how long a host is left alone that said it is asked too often: as
// long as it wants, within limits.
func (q *Queue) leave(f core.Failure) time.Duration {
	switch {
	case q.o.RateLimitHold <= 0:
		return 0
	case f.RetryAfter <= 0:
		return q.o.RateLimitHold
	case f.RetryAfter > int64(MaxRateLimitHold/time.Second):
		return MaxRateLimitHold
	}
	return time.Duration(f.RetryAfter) * time.Second
}

// sameHold is how far two holds for one reason may be apart.
const sameHold = 5 * time.Second

// holdHost leaves a host alone that said it is asked too often, unless it is
// held for longer already, because the host itself or an admin said so.
func (u *updating) holdHost(ctx context.Context, tx Tx, r *running) error {
	host, until := r.live.Lorry.UpstreamHost, u.now.Add(r.leave)
	held, err := tx.HostHolds(ctx, u.now)
	if err != nil {
		return err
	}
	for _, name := range []string{host, AllHosts} {
		// One that was set when the job was prepared says the same, and why.
		if held[name].Until.Add(sameHold).After(until) {
			return nil
		}
	}
	reason := "it said that it is asked too often"
	if r.live.Job.Failure.RetryAfter > 0 {
		reason += fmt.Sprintf(", and to come back in %s", core.Span(r.leave))
	}
	return tx.HoldHostLonger(ctx, host, HostHold{Until: until, Reason: reason})
}

// write stores everything that was touched.
func (u *updating) write(ctx context.Context, tx Tx) error {
	reports := make([]Report, 0, len(u.touched))
	for _, r := range u.touched {
		rep := Report{Job: r.live.Job, KillReason: r.live.KillReason, Output: r.output, OutputAt: r.live.OutputKept, Received: r.live.Received}
		if r.ended {
			rep.Lorry = &r.live.Lorry
		}
		reports = append(reports, rep)
	}
	if len(reports) == 0 {
		return nil
	}
	if err := tx.Report(ctx, reports); err != nil {
		return err
	}
	for _, r := range u.touched {
		if r.leave > 0 {
			if err := u.holdHost(ctx, tx, r); err != nil {
				return err
			}
		}
		if r.ended && (len(r.live.Job.Refs) > 0 || r.healed) && !r.live.Lorry.Removed {
			if err := tx.HoldRewrites(ctx, r.live.Lorry.Path, r.live.Job.Refs, u.now); err != nil {
				return err
			}
		}
	}
	return nil
}
