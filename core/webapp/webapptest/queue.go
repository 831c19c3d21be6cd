// Package webapptest holds a run queue in memory, for tests of what stands on
// the HTTP API: it keeps the promises of the queue's ports in the simplest way.
//
// It must not be used outside of tests: it forgets everything.
package webapptest

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// Queue is a run queue in memory.
type Queue struct {
	clock core.Clock

	mu       sync.Mutex
	running  bool
	max      *int
	lorries  map[string]*core.LorryState
	jobs     map[core.JobID]*core.Job
	output   map[core.JobID]string
	next     core.JobID
	fence    core.Fence
	hosts    []core.HostState
	others   map[string]queue.HostHold // holds of hosts that are none of hosts
	problems []core.Problem
	held     []queue.HeldRewrite
	minions  map[string]*queue.Minion
	commit   string
	changed  chan struct{} // closed and replaced at each change
	lease    time.Duration
}

// NewQueue makes an empty queue that runs.
func NewQueue(clock core.Clock) *Queue {
	return &Queue{
		clock: clock, running: true, lorries: map[string]*core.LorryState{}, jobs: map[core.JobID]*core.Job{},
		output: map[core.JobID]string{}, minions: map[string]*queue.Minion{}, next: 1, changed: make(chan struct{}), lease: 2 * time.Minute,
	}
}

// Put adds or replaces Lorries.
func (q *Queue) Put(lorries ...core.LorryState) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range lorries {
		q.lorries[l.Path] = &l
	}
	q.wake()
}

// SetHosts replaces the Upstream Hosts.
func (q *Queue) SetHosts(hosts ...core.HostState) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.hosts = hosts
}

// SetProblems replaces the problems of CONFGIT.
func (q *Queue) SetProblems(problems ...core.Problem) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.problems = problems
}

// AwaitJob waits until check holds for a job and gives it; core.KindNotFound
// when ctx ends first.
func (q *Queue) AwaitJob(ctx context.Context, id core.JobID, check func(core.Job) bool) (core.Job, error) {
	for {
		q.mu.Lock()
		job, ok := q.jobs[id]
		changed := q.changed
		if ok && check(*job) {
			found := *job
			q.mu.Unlock()
			return found, nil
		}
		q.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return core.Job{}, core.Errorf(core.KindNotFound, "job %d did not get so far", id)
		}
	}
}

// wake tells all waiters that something changed. The caller holds the lock.
func (q *Queue) wake() {
	close(q.changed)
	q.changed = make(chan struct{})
}

// Status implements api.Queue.
func (q *Queue) Status(context.Context) (queue.Status, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	status := queue.Status{Running: q.running, MaxJobs: q.max}
	for _, l := range q.lorries {
		status.Counts.Lorries++
		switch {
		case l.RunningJob != 0:
			status.Counts.Running++
		case l.HeldReason != "":
			status.Counts.Held++
		case !l.Due.After(q.clock()):
			status.Counts.Due++
		}
		if l.LastFailure.Failed() {
			status.Counts.Failing++
		}
	}
	return status, nil
}

// SetRunning implements api.Queue.
func (q *Queue) SetRunning(_ context.Context, running bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.running = running
	q.wake()
	return nil
}

// SetMaxJobs implements api.Queue.
func (q *Queue) SetMaxJobs(_ context.Context, limit *int) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.max = limit
	q.wake()
	return nil
}

// ordered gives the Lorries in queue order. The caller holds the lock.
func (q *Queue) ordered() []*core.LorryState {
	list := make([]*core.LorryState, 0, len(q.lorries))
	for _, l := range q.lorries {
		list = append(list, l)
	}
	slices.SortFunc(list, func(a, b *core.LorryState) int {
		return cmp.Or(cmp.Compare(a.Position, b.Position), a.Due.Compare(b.Due), cmp.Compare(a.Path, b.Path))
	})
	return list
}

// Queue implements api.Queue.
func (q *Queue) Queue(_ context.Context, page queue.Page) ([]core.LorryState, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var list []core.LorryState
	skip := page.After != ""
	for _, l := range q.ordered() {
		if !skip && (page.Limit == 0 || len(list) < page.Limit) {
			list = append(list, *l)
		}
		if l.Path == page.After {
			skip = false
		}
	}
	return list, nil
}

// QueuePaths implements api.Queue.
func (q *Queue) QueuePaths(ctx context.Context, page queue.Page) ([]string, error) {
	lorries, err := q.Queue(ctx, page)
	paths := make([]string, 0, len(lorries))
	for _, l := range lorries {
		paths = append(paths, l.Path)
	}
	return paths, err
}

// Lorry implements api.Queue.
func (q *Queue) Lorry(_ context.Context, path string) (core.LorryState, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, err := q.lorry(path)
	if err != nil {
		return core.LorryState{}, err
	}
	return *l, nil
}

func (q *Queue) lorry(path string) (*core.LorryState, error) {
	l, ok := q.lorries[path]
	if !ok {
		return nil, core.Errorf(core.KindNotFound, "no Lorry %q", path)
	}
	return l, nil
}

// Explain implements api.Queue.
func (q *Queue) Explain(_ context.Context, path string) (queue.Why, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, err := q.lorry(path)
	switch {
	case err != nil:
		return queue.Why{}, err
	case l.RunningJob != 0:
		return queue.Why{Reason: "running", Detail: "its job runs"}, nil
	case l.Due.After(q.clock()):
		return queue.Why{Reason: "not due", Detail: "its interval is not over", Until: l.Due}, nil
	default:
		return queue.Why{Reason: "due", Detail: "it waits for a minion"}, nil
	}
}

// MoveToTop implements api.Queue.
func (q *Queue) MoveToTop(_ context.Context, path string) error { return q.move(path, -1) }

// MoveToBottom implements api.Queue.
func (q *Queue) MoveToBottom(_ context.Context, path string) error { return q.move(path, 1) }

func (q *Queue) move(path string, step int64) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, err := q.lorry(path)
	if err != nil {
		return err
	}
	for _, other := range q.lorries {
		if (other.Position-l.Position)*step >= 0 {
			l.Position = other.Position + step
		}
	}
	q.wake()
	return nil
}

// Hosts implements api.Queue.
func (q *Queue) Hosts(context.Context) ([]core.HostState, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.hosts), nil
}

// Problems implements api.Queue.
func (q *Queue) Problems(context.Context) ([]core.Problem, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return slices.Clone(q.problems), nil
}
