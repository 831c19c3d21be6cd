package queue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// meetingStore answers only when five calls are under way.
type meetingStore struct {
	queue.Store
	met sync.WaitGroup
}

func (s *meetingStore) meet(ctx context.Context) error {
	s.met.Done()
	all := make(chan struct{})
	go func() { s.met.Wait(); close(all) }()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *meetingStore) Lorry(ctx context.Context, path string) (core.LorryState, error) {
	return core.LorryState{Lorry: core.Lorry{Path: path}}, s.meet(ctx)
}

func (s *meetingStore) Gate(ctx context.Context) (queue.Gate, error) {
	return queue.Gate{Running: true}, s.meet(ctx)
}

func (s *meetingStore) Load(ctx context.Context) (map[string]int, error) { return nil, s.meet(ctx) }

func (s *meetingStore) HostHolds(ctx context.Context, _ time.Time) (map[string]queue.HostHold, error) {
	return nil, s.meet(ctx)
}

func (s *meetingStore) Ahead(ctx context.Context, _ string, _ time.Time, _ int) (int, error) {
	return 7, s.meet(ctx)
}

// A database that is far away takes one way and back to explain a Lorry, and not
// one for each thing that is to be known.
func TestExplainReadsAllAtTheSameTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	store := &meetingStore{}
	store.met.Add(5)
	why, err := queue.New(queue.Options{Store: store}).Explain(ctx, "a")
	if want := (queue.Why{Reason: "due", Detail: "due; waits for a minion behind 7 others"}); err != nil || why != want {
		t.Errorf("want %+v, got %+v, %v", want, why, err)
	}
}
