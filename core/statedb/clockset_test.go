package statedb_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// TestAClockThatIsSetLosesNoJob sets the clock of a controller by an hour while
// one minion works and another one is dead.
func TestAClockThatIsSetLosesNoJob(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		for name, by := range map[string]time.Duration{"forward": time.Hour, "back": -time.Hour} {
			t.Run(d.name+" "+name, func(t *testing.T) {
				t.Parallel()
				var elapsed time.Duration
				w := statedbtest.NewWorld(t, d.url(t), func(o *queue.Options) {
					o.Elapsed = func() time.Duration { return elapsed }
				})
				pass := func(d time.Duration) { elapsed += d; w.Clock.Advance(d) }
				lorries := []core.Lorry{statedbtest.NewLorry("dead"), statedbtest.NewLorry("works"), statedbtest.NewLorry("waits")}
				if err := w.DB.PutLorries(t.Context(), lorries); err != nil {
					t.Fatal(err)
				}
				jobs := map[string]queue.Claimed{}
				claimed, err := w.Queue.Claim(t.Context(), queue.ClaimParams{Minion: "m", Max: 3})
				if err != nil || len(claimed) != 3 {
					t.Fatalf("claimed %d: %v", len(claimed), err)
				}
				for _, c := range claimed {
					jobs[c.Path] = c
				}
				report := func(path string, done bool) queue.UpdateResult {
					p := queue.UpdateParams{Job: jobs[path].Job.ID, Fence: jobs[path].Job.Fence, Done: done}
					if done {
						p.Exit = "0"
					}
					rs, err := w.Queue.Update(t.Context(), []queue.UpdateParams{p})
					if err != nil {
						t.Fatal(err)
					}
					return rs[0]
				}
				buried := func() (paths []string) {
					ghosts, err := w.Queue.BuryGhosts(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					for _, g := range ghosts {
						paths = append(paths, g.Path)
					}
					return paths
				}
				pass(10 * time.Second)
				report("waits", true)
				if got := buried(); got != nil {
					t.Fatalf("buried %q before anything happened", got)
				}

				w.Clock.Advance(by)
				if got := buried(); got != nil {
					t.Errorf("buried %q for nothing but the clock", got)
				}
				lease := w.Clock.Now().Add(queue.DefaultGhostTimeout)
				for _, path := range []string{"dead", "works"} {
					j, err := w.Queue.Job(t.Context(), jobs[path].Job.ID)
					if err != nil {
						t.Fatal(err)
					}
					if !j.Running() || !j.Lease.Equal(lease) {
						t.Errorf("%s: want a lease until %v, got %v, exit %q", path, lease, j.Lease, j.Exit)
					}
				}
				// From now on it is as it was: who reports goes on, who does not is buried
				// when the lease is over, and once.
				pass(queue.DefaultGhostTimeout - time.Second)
				if got := report("works", false); got.Stale || got.Kill {
					t.Errorf("the minion that works is told to stop: %+v", got)
				}
				pass(2 * time.Second)
				if diff := cmp.Diff([]string{"dead"}, buried()); diff != "" {
					t.Errorf("buried (-want +got):\n%s", diff)
				}
				if got := report("works", true); got.Stale {
					t.Error("its result is refused")
				}
				// No storm: each is given once. What had run waits for its interval by the
				// clock as it is now; a first loss is made good at once, in its old place.
				now, err := w.Queue.Claim(t.Context(), queue.ClaimParams{Minion: "m", Max: 10})
				if err != nil {
					t.Fatal(err)
				}
				var paths []string
				for _, c := range now {
					paths = append(paths, c.Path)
				}
				want := map[time.Duration][]string{time.Hour: {"dead", "waits"}, -time.Hour: {"dead"}}[by]
				if diff := cmp.Diff(want, paths); diff != "" {
					t.Errorf("claimed after the step (-want +got):\n%s", diff)
				}
			})
		}
	}
}
