package queue

import (
	"context"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Minion is what is known of one minion. Its name identifies it.
type Minion struct {
	Name     string
	Address  string // from which it asked last, without the port, or ""
	PID      int
	Protocol int    // version of the minion protocol
	Build    string // the minion's own version
	Labels   []string
	// First and Seen are when it asked for a job for the first and the last
	// time, to within some seconds.
	First, Seen time.Time
	// Drain is set when it gets no job any more.
	Drain bool
	// Short says why it gets no job for want of room in its working area, or "".
	Short string
}

// MinionKept is how long a minion that is not heard of is remembered.
const MinionKept = 7 * 24 * time.Hour

// Minions lists the minions in the order of their names.
func (q *Queue) Minions(ctx context.Context) ([]Minion, error) { return q.store.Minions(ctx) }

// SeeMinions records minions that asked for a job; First and Drain are kept of
// those that are known. Ones that were not heard of for long are forgotten.
func (q *Queue) SeeMinions(ctx context.Context, seen []Minion) error {
	if len(seen) == 0 {
		return nil
	}
	old := q.clock().Add(-MinionKept)
	return q.store.Write(ctx, func(ctx context.Context, tx Tx) error { return tx.SeeMinions(ctx, seen, old) })
}

// drainedFor is how long it is believed which minions drain; another core may
// have been told otherwise.
const drainedFor = 2 * time.Second

// drains remembers which minions drain, since each asks for jobs all the time.
type drains struct {
	mu    sync.Mutex
	names map[string]bool // nil: not known
	at    time.Time
}

// forget makes the next question go to the STATEDB.
func (d *drains) forget() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = nil
}

// Drains says whether a minion gets no job. What another core was told counts
// here within some seconds. With an error comes what was known last.
func (q *Queue) Drains(ctx context.Context, name string) (bool, error) {
	d := &q.drains
	d.mu.Lock()
	defer d.mu.Unlock()
	now := q.clock()
	if age := now.Sub(d.at); d.names != nil && age >= 0 && age < drainedFor {
		return d.names[name], nil
	}
	names, err := q.store.Drained(ctx)
	if err != nil {
		return d.names[name], err
	}
	d.at, d.names = now, map[string]bool{}
	for _, n := range names {
		d.names[n] = true
	}
	return d.names[name], nil
}

// DrainMinion says whether a minion gets jobs; core.KindNotFound when it is not
// known.
func (q *Queue) DrainMinion(ctx context.Context, name string, drain bool) error {
	defer q.drains.forget()
	return q.change(ctx, func(ctx context.Context, tx Tx) error { return tx.DrainMinion(ctx, name, drain) })
}

// ForgetMinion forgets a minion; it is known again once it asks for a job.
// core.KindNotFound when it is not known, core.KindConflict while it has jobs.
func (q *Queue) ForgetMinion(ctx context.Context, name string) error {
	jobs, err := q.store.FindJobs(ctx, JobSearch{State: StateRunning, Minion: name, Limit: 1})
	if err != nil {
		return err
	}
	if len(jobs) > 0 {
		return core.Errorf(core.KindConflict, "minion %q runs job %d", name, jobs[0].ID)
	}
	return q.store.Write(ctx, func(ctx context.Context, tx Tx) error { return tx.ForgetMinion(ctx, name) })
}
