package queue

import (
	"context"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/schedule"
)

// Defaults of Options.
const (
	DefaultGhostTimeout  = 120 * time.Second
	DefaultAffinityGrace = time.Minute
	DefaultOutputCap     = 1 << 20
	DefaultRateLimitHold = 15 * time.Minute
	// MaxRateLimitHold bounds how long a host can ask to be left alone.
	MaxRateLimitHold = 24 * time.Hour
)

// Options makes a Queue. Only Store is needed.
type Options struct {
	Store Store
	Clock core.Clock // nil means time.Now
	// Elapsed is a time that goes on evenly whatever Clock says, for noticing
	// that the clock was set; nil: nobody notices.
	Elapsed func() time.Duration
	Log     hclog.Logger // nil drops it
	// Rand gives numbers in [0, 1) for jitter; nil means math/rand.
	Rand func() float64
	// GhostTimeout is how long a minion may stay silent; 0 means
	// DefaultGhostTimeout.
	GhostTimeout time.Duration
	// MaxJobsPerHost bounds the jobs that run at a time against one upstream
	// host name; 0 means no bound.
	MaxJobsPerHost int
	// Backoff says when a Lorry is due again.
	Backoff schedule.Rules
	// AffinityGrace is how long a due Lorry may be passed over for one that the
	// minion holds in its working area; 0 means DefaultAffinityGrace.
	AffinityGrace time.Duration
	// OutputCap bounds the bytes of output kept of one job; 0 means
	// DefaultOutputCap. The end of a job's output is kept beyond it.
	OutputCap int64
	// RateLimitHold is how long an upstream host is left alone after a job was
	// told that it asks too often, but not when to come back; 0 means
	// DefaultRateLimitHold, and negative that no host is ever left alone.
	RateLimitHold time.Duration
	// Ended is told of jobs that have ended, once that is stored; nil: nobody
	// is. It must not wait.
	Ended func(jobs []core.Job)
}

// Queue is the run queue. Its methods may be called by several goroutines, and
// by several cores on one PostgreSQL STATEDB.
type Queue struct {
	store Store
	clock core.Clock
	log   hclog.Logger
	o     Options

	claims  gatherer[ClaimParams, []Claimed]
	updates gatherer[UpdateParams, UpdateResult]
	waiters waiters
	set     atomic.Pointer[Limits]
	drains  drains
	steps   *steps

	randMu sync.Mutex

	countsMu  sync.Mutex
	counted   Counts
	countedAt time.Time
}

// New makes a Queue. It starts nothing.
func New(o Options) *Queue {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	if o.RateLimitHold == 0 {
		o.RateLimitHold = DefaultRateLimitHold
	}
	q := &Queue{store: o.Store, clock: o.Clock, log: o.Log, o: o, steps: newSteps(o.Clock, o.Elapsed)}
	q.waiters.changed = make(chan struct{})
	q.SetLimits(Limits{
		GhostTimeout: o.GhostTimeout, MaxJobsPerHost: o.MaxJobsPerHost, Backoff: o.Backoff,
		AffinityGrace: o.AffinityGrace, OutputCap: o.OutputCap,
	})
	q.claims.workers, q.claims.run = claimers, q.claimAll
	q.updates.workers, q.updates.run = reporters, q.updateAll
	return q
}

// Lease is how long a minion may stay silent.
func (q *Queue) Lease() time.Duration { return q.set.Load().GhostTimeout }

func (q *Queue) roll() float64 {
	q.randMu.Lock()
	defer q.randMu.Unlock()
	return q.o.Rand()
}

// Status says whether the queue gives out jobs, its limit and its sizes.
func (q *Queue) Status(ctx context.Context) (Status, error) {
	g, err := q.store.Gate(ctx)
	if err != nil {
		return Status{}, err
	}
	c, err := q.counts(ctx)
	return Status{Running: g.Running, MaxJobs: g.MaxJobs, Counts: c}, err
}

const (
	// manyLorries is from when on counting takes long enough to be spared.
	manyLorries = 20000
	// countsKept is how long counts of so many serve.
	countsKept = 2 * time.Second
)

// counts gives the sizes of the queue; those of a very large one may be as old
// as countsKept.
func (q *Queue) counts(ctx context.Context) (Counts, error) {
	q.countsMu.Lock()
	defer q.countsMu.Unlock()
	now := q.clock()
	if age := now.Sub(q.countedAt); q.counted.Lorries >= manyLorries && age >= 0 && age < countsKept {
		return q.counted, nil
	}
	c, err := q.store.Counts(ctx, now)
	if err == nil {
		q.counted, q.countedAt = c, now
	}
	return c, err
}

// Queue lists Lorries in queue order, running ones included, without their
// Text. Page.After is the path of the last one of the page before.
func (q *Queue) Queue(ctx context.Context, page Page) ([]core.LorryState, error) {
	return q.store.Lorries(ctx, page)
}

// QueuePaths lists the paths of the Lorries that Queue lists, in that order: of
// a large queue they are far less than the rest.
func (q *Queue) QueuePaths(ctx context.Context, page Page) ([]string, error) {
	return q.store.QueuePaths(ctx, page)
}

// Failing lists the Lorries that have failed since their last success, in the
// order of their paths and without their Text. Page.After is the path of the
// last one of the page before.
func (q *Queue) Failing(ctx context.Context, page Page) ([]core.LorryState, error) {
	return q.store.Failing(ctx, page)
}

// Lorry gives one Lorry; core.KindNotFound when there is none.
func (q *Queue) Lorry(ctx context.Context, path string) (core.LorryState, error) {
	return q.store.Lorry(ctx, path)
}

// Jobs lists jobs.
func (q *Queue) Jobs(ctx context.Context, filter JobFilter) ([]core.Job, error) {
	return q.store.Jobs(ctx, filter)
}

// JobIDs lists the ids above after of the jobs that a filter without its Limit
// selects, oldest first, at most limit.
func (q *Queue) JobIDs(ctx context.Context, filter JobFilter, after core.JobID, limit int) ([]core.JobID, error) {
	return q.store.JobIDs(ctx, filter, after, limit)
}

// Job gives one job; core.KindNotFound when there is none.
func (q *Queue) Job(ctx context.Context, id core.JobID) (core.Job, error) {
	return q.store.Job(ctx, id)
}

// Output gives the job's kept output from byte offset on, at most limit bytes
// (0: all of it).
func (q *Queue) Output(ctx context.Context, id core.JobID, offset, limit int64) (string, error) {
	return q.store.Output(ctx, id, offset, limit)
}

// Hosts lists the Upstream Hosts of CONFGIT.
func (q *Queue) Hosts(ctx context.Context) ([]core.HostState, error) { return q.store.Hosts(ctx) }

// Problems lists what of CONFGIT could not be used.
func (q *Queue) Problems(ctx context.Context) ([]core.Problem, error) { return q.store.Problems(ctx) }

// aheadLimit bounds the counting of due Lorries before one.
const aheadLimit = 10000

// Explain says why a Lorry is not running now. What it needs is read at the same
// time: each statement is a way to the database and back.
func (q *Queue) Explain(ctx context.Context, path string) (Why, error) {
	now := q.clock()
	var l core.LorryState
	var g Gate
	var byHost map[string]int
	var holds map[string]HostHold
	var ahead int
	err := together(
		func() (err error) { l, err = q.store.Lorry(ctx, path); return err },
		func() (err error) { g, err = q.store.Gate(ctx); return err },
		func() (err error) { byHost, err = q.store.Load(ctx); return err },
		func() (err error) { holds, err = q.store.HostHolds(ctx, now); return err },
		func() (err error) { ahead, err = q.store.Ahead(ctx, path, now, aheadLimit); return err },
	)
	if err != nil {
		return Why{}, err
	}
	var job core.Job
	if l.RunningJob != 0 {
		if job, err = q.store.Job(ctx, l.RunningJob); err != nil && core.KindOf(err) != core.KindNotFound {
			return Why{}, err
		}
	}
	return Why(schedule.Explain(l, schedule.Surroundings{
		Now: now, QueueRunning: g.Running, Limits: q.limits(g), Load: loadOf(byHost), Job: job,
		Host: holds[l.UpstreamHost].told(now), All: holds[AllHosts].told(now), Ahead: ahead,
	})), nil
}

// together makes calls at the same time, waits for all, and gives the first error
// in their order.
func together(calls ...func() error) error {
	errs := make([]error, len(calls))
	var all sync.WaitGroup
	for i, call := range calls[1:] {
		all.Go(func() { errs[i+1] = call() })
	}
	errs[0] = calls[0]()
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// told is a hold as it is explained.
func (h HostHold) told(now time.Time) schedule.Hold {
	return schedule.Hold{Until: h.Until, Reason: h.Reason, Endless: h.Until.After(now.Add(forever / 2))}
}

func (q *Queue) limits(g Gate) schedule.Limits {
	return schedule.Limits{MaxJobs: g.MaxJobs, PerHost: q.set.Load().MaxJobsPerHost}
}

func loadOf(byHost map[string]int) schedule.Load {
	l := schedule.Load{ByHost: byHost}
	for _, n := range byHost {
		l.Jobs += n
	}
	return l
}
