package statedb_test

import (
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// A claim begins where the last one found the queue to begin. What comes before
// that place afterwards is claimed all the same, first.
func TestNoLorryIsLeftBehindTheHeadOfTheQueue(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			url := d.url(t)
			clock := statedbtest.NewClock()
			db := statedbtest.Open(t, url, clock)
			core1 := queue.New(queue.Options{Store: db, Clock: clock.Now})
			core2 := core1
			if statedb.IsPostgres(url) {
				core2 = queue.New(queue.Options{Store: statedbtest.Open(t, url, clock), Clock: clock.Now})
			}
			ok := func(err error) {
				t.Helper()
				if err != nil {
					t.Fatal(err)
				}
			}
			claim := func(q *queue.Queue, want string) {
				t.Helper()
				got, err := q.Claim(t.Context(), queue.ClaimParams{Minion: "m"})
				ok(err)
				if len(got) != 1 || got[0].Path != want {
					t.Fatalf("want %q claimed, got %v", want, got)
				}
				_, err = q.Update(t.Context(), []queue.UpdateParams{{Job: got[0].Job.ID, Fence: got[0].Job.Fence, Done: true, Exit: "0"}})
				ok(err)
			}
			put := func(path string, interval time.Duration) {
				t.Helper()
				l := statedbtest.NewLorry(path)
				l.Interval = interval
				ok(db.PutLorries(t.Context(), []core.Lorry{l}))
			}
			// These two have run, and are due in a day; the others wait for an hour.
			for _, p := range []string{"later", "last"} {
				put(p, 24*time.Hour)
				claim(core1, p)
			}
			for _, p := range []string{"a", "b", "c", "d", "e", "f", "g"} {
				clock.Advance(time.Minute)
				put(p, 24*time.Hour)
			}
			ok(core1.HoldLorry(t.Context(), "a", "because"))
			clock.Advance(time.Hour)
			claim(core1, "b")
			claim(core1, "c")
			claim(core2, "d") // now both know that the queue begins there
			ok(core1.ResumeLorry(t.Context(), "a"))
			claim(core2, "a")
			claim(core1, "e")
			ok(core2.MoveToTop(t.Context(), "b"))
			claim(core1, "b")
			put("later", time.Second) // it is overdue now, for longer than the others
			claim(core1, "later")
			claim(core2, "f")
			put("last", time.Second)
			clock.Advance(10 * time.Second) // another core finds that out a little later
			claim(core2, "last")
			claim(core2, "g")
		})
	}
}

// A job that is handed back gives its Lorry its place again, which is before the
// one where the queue was found to begin meanwhile.
func TestWhatIsHandedBackIsNotLeftBehindTheHeadOfTheQueue(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := statedbtest.NewWorld(t, d.url(t))
			put := func(paths ...string) {
				t.Helper()
				for _, p := range paths {
					if err := w.DB.PutLorries(w.Ctx, []core.Lorry{statedbtest.NewLorry(p)}); err != nil {
						t.Fatal(err)
					}
				}
			}
			claim := func(want string) queue.UpdateParams {
				t.Helper()
				got, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m"})
				if err != nil || len(got) != 1 || got[0].Path != want {
					t.Fatalf("want %q claimed, got %v: %v", want, got, err)
				}
				return queue.UpdateParams{Job: got[0].Job.ID, Fence: got[0].Job.Fence, Done: true, Returned: true}
			}
			put("z")
			w.Clock.Advance(time.Hour)
			put("a", "b", "c")
			w.Clock.Advance(10 * time.Minute)
			back := claim("z")
			w.Clock.Advance(10 * time.Second)
			claim("a") // it looks where the queue begins
			claim("b")
			if _, err := w.Queue.Update(w.Ctx, []queue.UpdateParams{back}); err != nil {
				t.Fatal(err)
			}
			claim("z")
			claim("c")
		})
	}
}
