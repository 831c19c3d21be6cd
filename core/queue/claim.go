package queue

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/schedule"
)

const (
	// claimMax bounds the jobs of one claim.
	claimMax = 1000
	// lookAhead is how many Lorries beyond those needed are looked at, for
	// affinity and for limits per host.
	lookAhead = 64
	// firstMax is how many jobs are started in one go: with more a round trip
	// does not matter, and one step after the other takes less work.
	firstMax = 100
)

// Claim starts jobs for due Lorries and gives them to a minion; none due is an
// empty answer. Every job comes with a lease and a fence. When ctx has ended
// meanwhile the jobs are handed back.
func (q *Queue) Claim(ctx context.Context, p ClaimParams) ([]Claimed, error) {
	p.Max = min(max(p.Max, 1), claimMax)
	rs, err := q.claims.do(ctx, []ClaimParams{p})
	if err != nil {
		return nil, err
	}
	claimed := rs[0]
	if ctx.Err() != nil && len(claimed) > 0 {
		back := make([]UpdateParams, len(claimed))
		for i, c := range claimed {
			back[i] = UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Returned: true, Output: "[the minion went away before it got the job]\n"}
		}
		_, err := q.Update(context.WithoutCancel(ctx), back)
		return nil, errors.Join(ctx.Err(), err)
	}
	return claimed, nil
}

// claimAll serves several claims in one transaction.
func (q *Queue) claimAll(ctx context.Context, take func() []ClaimParams) ([][]Claimed, error) {
	var gen uint64
	var now time.Time
	var out [][]Claimed
	err := q.store.Write(ctx, func(ctx context.Context, tx Tx) error {
		gen, now, out = q.waiters.generation(), q.clock().UTC(), nil
		ps := take()
		if len(ps) == 0 {
			return nil
		}
		c := claim{q: q, tx: tx, now: now, ps: ps, out: make([][]Claimed, len(ps))}
		err := c.run(ctx)
		out = c.out
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, got := range out {
		if len(got) == 0 {
			q.waiters.foundNothing(gen, now)
			break
		}
	}
	return out, nil
}

// claim is one transaction that serves several claims.
type claim struct {
	q    *Queue
	tx   Tx
	now  time.Time
	ps   []ClaimParams
	out  [][]Claimed
	lim  schedule.Limits
	load schedule.Load
	held []string
}

func (c *claim) run(ctx context.Context) error {
	if done, err := c.first(ctx); done || err != nil {
		return err
	}
	p := c.look(c.asked())
	g, head, err := c.tx.Gate(ctx, p)
	if err != nil || !g.Running {
		return err
	}
	c.lim = c.q.limits(g)
	if c.lim.MaxJobs != nil || c.lim.PerHost > 0 {
		byHost, err := c.tx.Load(ctx)
		if err != nil {
			return err
		}
		c.load = loadOf(byHost)
	}
	if g.HoldsUntil.After(c.now) {
		holds, err := c.tx.HostHolds(ctx, c.now)
		if err != nil {
			return err
		}
		if _, all := holds[AllHosts]; all {
			return nil
		}
		c.held = slices.Sorted(maps.Keys(holds))
	}
	more := true
	if len(c.excepted()) == 0 { // then what came along is what the first round wants
		more, err = c.round(ctx, head, p.Limit)
	}
	// A further round is only needed when hosts became full in the last one.
	for more && err == nil {
		want := c.lim.Room(c.load, c.asked())
		if want == 0 {
			break
		}
		p = c.look(want)
		if head, err = c.tx.Ready(ctx, p); err == nil {
			more, err = c.round(ctx, head, p.Limit)
		}
	}
	return err
}

// first serves the claims in one go, if all of them want the first of the queue
// or there is only one.
func (c *claim) first(ctx context.Context) (done bool, err error) {
	set := c.q.set.Load()
	one := c.ps[0]
	choosy := func(p ClaimParams) bool { return len(p.Holds) > 0 }
	if c.asked() > firstMax || set.MaxJobsPerHost > 0 || len(c.ps) > 1 && slices.ContainsFunc(c.ps, choosy) {
		return false, nil
	}
	p := FirstParams{Now: c.now, Prefer: one.Holds, Window: one.Max + lookAhead, Overdue: c.now.Add(-set.AffinityGrace)}
	var owners []int
	for i, ask := range c.ps {
		for range ask.Max {
			p.Jobs = append(p.Jobs, core.Job{
				Minion: clean(ask.Minion), PID: ask.PID, Started: c.now, Updated: c.now, Lease: c.now.Add(set.GhostTimeout),
			})
			owners = append(owners, i)
		}
	}
	got, err := c.tx.StartFirst(ctx, p)
	for n, g := range got {
		c.out[owners[n]] = append(c.out[owners[n]], g)
	}
	return len(got) > 0, err
}

// asked is how many jobs are still asked for.
func (c *claim) asked() int {
	n := 0
	for i, p := range c.ps {
		n += p.Max - len(c.out[i])
	}
	return n
}

// excepted names the hosts that are held or full.
func (c *claim) excepted() []string { return slices.Concat(c.held, c.lim.FullHosts(c.load)) }

// look says which part of the queue's head is to be looked at for so many jobs.
func (c *claim) look(want int) ReadyParams {
	limit := want
	if c.q.set.Load().MaxJobsPerHost > 0 || slices.ContainsFunc(c.ps, func(p ClaimParams) bool { return len(p.Holds) > 0 }) {
		limit += lookAhead
	}
	return ReadyParams{Now: c.now, Limit: limit, ExceptHosts: c.excepted()}
}

// round starts what it may of the queue's head; more says that what it was
// given was used up by limits per host.
func (c *claim) round(ctx context.Context, ready []Ready, limit int) (more bool, err error) {
	want := c.lim.Room(c.load, c.asked())
	if want == 0 || len(ready) == 0 {
		return false, nil
	}
	due := make([]core.LorryState, len(ready))
	for i, r := range ready {
		due[i] = r.LorryState
	}
	taken := make([]bool, len(due))
	var jobs []core.Job
	var owners, picked []int
	for i, p := range c.ps {
		w := schedule.Wish{Max: p.Max - len(c.out[i]), Holds: setOf(p.Holds)}
		for _, k := range schedule.Choose(due, taken, w, c.lim, &c.load, c.now, c.q.set.Load().AffinityGrace) {
			jobs = append(jobs, core.Job{
				Path: due[k].Path, Fence: ready[k].Fence + 1, Minion: clean(p.Minion), PID: p.PID,
				Started: c.now, Updated: c.now, Lease: c.now.Add(c.q.set.Load().GhostTimeout),
			})
			owners, picked = append(owners, i), append(picked, k)
		}
	}
	ids, err := c.tx.StartJobs(ctx, jobs)
	if err != nil {
		return false, err
	}
	for n, id := range ids {
		l := due[picked[n]]
		l.RunningJob, l.Position = id, 0
		jobs[n].ID = id
		got := Claimed{LorryState: l, Job: jobs[n]}
		if ready[picked[n]].Approved > 0 {
			held, err := c.tx.HeldRewrites(ctx, l.Path)
			if err != nil {
				return false, err
			}
			got.Approved = slices.DeleteFunc(held, func(h HeldRewrite) bool { return !h.Approved })
		}
		c.out[owners[n]] = append(c.out[owners[n]], got)
	}
	return len(jobs) > 0 && len(jobs) < want && len(ready) == limit, nil
}

func setOf(paths []string) map[string]bool {
	if len(paths) == 0 {
		return nil
	}
	set := make(map[string]bool, len(paths))
	for _, p := range paths {
		set[p] = true
	}
	return set
}
