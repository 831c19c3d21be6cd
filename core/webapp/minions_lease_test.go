package webapp_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
	"github.com/lorry-controller/lorry-controller/core/webapp/webapptest"
)

// beats is a queue that tells of each sign of life.
type beats struct {
	*memory
	lease time.Duration

	mu   sync.Mutex
	seen map[core.JobID]int
	told chan struct{} // closed and replaced with each
}

func newBeats(q *webapptest.Queue, lease time.Duration) *beats {
	return &beats{memory: q, lease: lease, seen: make(map[core.JobID]int), told: make(chan struct{})}
}

func (b *beats) Lease() time.Duration { return b.lease }

func (b *beats) Update(ctx context.Context, updates []queue.UpdateParams) ([]queue.UpdateResult, error) {
	results, err := b.memory.Update(ctx, updates)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, u := range updates {
		if !u.Done {
			b.seen[u.Job]++
		}
	}
	close(b.told)
	b.told = make(chan struct{})
	return results, err
}

// await waits until there were so many signs of life of a job.
func (b *beats) await(ctx context.Context, id core.JobID, times int) error {
	for {
		b.mu.Lock()
		seen, told := b.seen[id], b.told
		b.mu.Unlock()
		if seen >= times {
			return nil
		}
		select {
		case <-told:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (b *beats) count(id core.JobID) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.seen[id]
}

// A Downstream Host that takes longer than ghost-timeout must not lose its jobs
// while they are prepared.
func TestAHostThatIsSlowerThanTheLeaseLosesNoJob(t *testing.T) {
	t.Parallel()
	var alive *beats
	s := newSite(t, func(o *webapp.Options) {
		alive = newBeats(o.Queue.(*webapptest.Queue), 30*time.Millisecond)
		o.Queue = alive
	})
	s.queue.Put(foo(), lorryAt("upstream/goo"), lorryAt("upstream/hoo"))
	s.preparer.OnPrepare = func(ctx context.Context, l core.LorryState) (minions.Prepared, error) {
		if err := alive.await(ctx, l.RunningJob, 3); err != nil {
			return minions.Prepared{}, err
		}
		if l.Path == "upstream/goo" { // it was lost all the same, and runs elsewhere
			_, err := s.queue.Update(ctx, []queue.UpdateParams{{Job: l.RunningJob, Done: true, Exit: "lost"}})
			return minions.Prepared{}, err
		}
		return minions.Prepared{Push: core.Access{URL: "https://git.example.com/" + l.Path}}, nil
	}
	answer, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1", PID: 7, Max: 5})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, job := range answer.All() {
		got = append(got, job.Path)
	}
	if diff := cmp.Diff([]string{"upstream/foo", "upstream/hoo"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if alive.count(1) < 4 {
		t.Errorf("%d signs of life: none just before the answer", alive.count(1))
	}
}

// A host that is quick costs no report beside the claim.
func TestAQuickHostCostsNoReport(t *testing.T) {
	t.Parallel()
	var alive *beats
	s := newSite(t, func(o *webapp.Options) {
		alive = newBeats(o.Queue.(*webapptest.Queue), time.Hour)
		o.Queue = alive
	})
	s.queue.Put(foo())
	answer, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1", PID: 7})
	if err != nil || len(answer.All()) != 1 {
		t.Fatal(answer, err)
	}
	if got := alive.count(1); got > 0 {
		t.Errorf("%d reports", got)
	}
}

// With the client the signs of life end, and its job goes back.
func TestAClientThatGoesWhileAHostIsSlowLeavesNothing(t *testing.T) {
	t.Parallel()
	var alive *beats
	s := newSite(t, func(o *webapp.Options) {
		alive = newBeats(o.Queue.(*webapptest.Queue), 30*time.Millisecond)
		o.Queue = alive
	})
	s.queue.Put(foo())
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s.preparer.OnPrepare = func(ctx context.Context, l core.LorryState) (minions.Prepared, error) {
		if err := alive.await(ctx, l.RunningJob, 2); err != nil {
			return minions.Prepared{}, err
		}
		cancel()
		<-ctx.Done()
		return minions.Prepared{}, ctx.Err()
	}
	if _, err := s.minion().GiveMeJob(ctx, protocol.GiveMeJob{Host: "m1", PID: 7}); err == nil {
		t.Error("want an error of a request that was given up")
	}
	waiting, stop := context.WithTimeout(t.Context(), 30*time.Second)
	defer stop()
	job, err := s.queue.AwaitJob(waiting, 1, func(j core.Job) bool { return !j.Running() })
	if err != nil || job.Exit != "returned" || alive.count(1) < 2 {
		t.Errorf("got %+v, %v", job, err)
	}
}
