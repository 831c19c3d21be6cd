package queue

import (
	"context"
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

// Drained names the minions that get no job.
func (q *Queue) Drained(ctx context.Context) ([]string, error) { return q.store.Drained(ctx) }

// DrainMinion says whether a minion gets jobs; core.KindNotFound when it is not
// known.
func (q *Queue) DrainMinion(ctx context.Context, name string, drain bool) error {
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
