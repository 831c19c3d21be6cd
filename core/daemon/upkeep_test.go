package daemon

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

func TestUpkeepOneHangingChoreDelaysNoOther(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		runs := 0
		u := &upkeep{
			log:   hclog.NewNullLogger(),
			leads: func(ctx context.Context) (context.Context, bool) { return ctx, true },
			chores: []chore{
				{name: "hang", every: time.Second, do: func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }},
				{name: "fail", first: time.Second, every: time.Second, do: func(context.Context) error { runs++; return errors.New("no") }},
			},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10500*time.Millisecond)
		defer cancel()
		u.run(ctx)
		if runs != 10 {
			t.Errorf("want 10 runs of a chore that fails each time, got %d", runs)
		}
	})
}

func TestUpkeepOnlyTheLeaderWorks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		start, leader, runs := time.Now(), false, 0
		u := &upkeep{
			log: hclog.NewNullLogger(),
			leads: func(ctx context.Context) (context.Context, bool) {
				return ctx, leader || time.Since(start) > 20*time.Second
			},
			chores: []chore{{name: "count", every: time.Second, do: func(context.Context) error { runs++; return nil }}},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 19*time.Second)
		u.run(ctx)
		cancel()
		if runs != 0 {
			t.Errorf("want no run without leading, got %d", runs)
		}
		leader = true
		ctx, cancel = context.WithTimeout(t.Context(), 9500*time.Millisecond)
		defer cancel()
		u.run(ctx)
		if runs != 10 {
			t.Errorf("want 10 runs once leading, got %d", runs)
		}
	})
}

func TestUpkeepRunsAtOnceWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		asked := make(chan struct{}, 1)
		start := time.Now()
		var runs []time.Duration
		u := &upkeep{
			log:   hclog.NewNullLogger(),
			leads: func(ctx context.Context) (context.Context, bool) { return ctx, true },
			chores: []chore{{name: "count", first: time.Second, every: time.Minute, asked: asked, do: func(context.Context) error {
				runs = append(runs, time.Since(start))
				if len(runs) == 2 {
					asked <- struct{}{} // while it runs
				}
				return nil
			}}},
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
		defer cancel()
		time.AfterFunc(10*time.Second, func() { asked <- struct{}{} })
		u.run(ctx)
		if want := []time.Duration{time.Second, 10 * time.Second, 10 * time.Second}; !slices.Equal(runs, want) {
			t.Errorf("want runs after %s, got %s", want, runs)
		}
	})
}
