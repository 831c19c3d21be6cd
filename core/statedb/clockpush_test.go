package statedb_test

import (
	"context"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// TestWhatIsAskedForBeforeTheClockIsSetForwardComes asks for a job while one runs,
// and then sets the clock forward: it comes when that has ended, and once.
func TestWhatIsAskedForBeforeTheClockIsSetForwardComes(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		for name, ask := range map[string]func(ctx context.Context, q *queue.Queue) error{
			"push": func(ctx context.Context, q *queue.Queue) error {
				_, err := q.Pushed(ctx, queue.Push{Repositories: []string{"up.example.org/a"}})
				return err
			},
			"top":     func(ctx context.Context, q *queue.Queue) error { return q.MoveToTop(ctx, "a") },
			"retry":   func(ctx context.Context, q *queue.Queue) error { return q.Retry(ctx, "a") },
			"nothing": nil,
		} {
			t.Run(d.name+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newStepped(t, d.url(t))
				l := statedbtest.NewLorry("a")
				l.Repository, l.Interval = "up.example.org/a", 24*time.Hour
				s.must(s.DB.PutLorries(t.Context(), []core.Lorry{l}))
				run := func(meanwhile func()) {
					t.Helper()
					c := s.claimed("m", 1, 1)[0]
					meanwhile()
					rs, err := s.Queue.Update(t.Context(), []queue.UpdateParams{{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0"}})
					s.must(err)
					if rs[0].Stale {
						t.Fatal("the end is refused")
					}
				}
				run(func() {
					s.pass(10 * time.Second)
					if ask != nil {
						s.must(ask(t.Context(), s.Queue))
					}
					s.pass(10 * time.Second)
					s.Clock.Advance(time.Hour)
					s.bury(s.Queue)
					s.pass(10 * time.Second)
				})
				if ask != nil {
					run(func() { s.pass(10 * time.Second) })
				}
				s.claimed("m", 1, 0)
			})
		}
	}
}
