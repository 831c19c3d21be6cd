package statedb_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

const year = 365 * 24 * time.Hour

// stepped is a world whose clock can be set.
type stepped struct {
	*statedbtest.World

	elapsed time.Duration
}

func newStepped(t *testing.T, url string) *stepped {
	t.Helper()
	s := &stepped{}
	s.World = statedbtest.NewWorld(t, url, func(o *queue.Options) { o.Elapsed = func() time.Duration { return s.elapsed } })
	return s
}

// another is the queue of a core that starts.
func (s *stepped) another() *queue.Queue {
	s.Helper()
	q := queue.New(queue.Options{Store: s.DB, Clock: s.Clock.Now, Elapsed: func() time.Duration { return s.elapsed }})
	s.must(q.Rebase(s.Ctx))
	return q
}

// pass lets time go by; Clock.Advance alone sets the clock.
func (s *stepped) pass(d time.Duration) {
	s.elapsed += d
	s.Clock.Advance(d)
}

func (s *stepped) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// bury does the upkeep, which is to find no ghost.
func (s *stepped) bury(q *queue.Queue) {
	s.Helper()
	ghosts, err := q.BuryGhosts(s.Ctx)
	s.must(err)
	if len(ghosts) > 0 {
		s.Errorf("buried %+v", ghosts)
	}
}

func (s *stepped) claimed(minion string, most, want int) []queue.Claimed {
	s.Helper()
	got, err := s.Queue.Claim(s.Ctx, queue.ClaimParams{Minion: minion, Max: most})
	s.must(err)
	if len(got) != want {
		s.Fatalf("%d jobs begin, want %d", len(got), want)
	}
	return got
}

// TestAClockSetBackBeforeTheFirstJobEnds begins with a clock that is a year
// ahead, as on a machine without one of its own, which is put right before any
// job has ended.
func TestAClockSetBackBeforeTheFirstJobEnds(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		for name, begin := range map[string]func(s *stepped){
			"nothing was done": func(*stepped) {},
			"a host was listed": func(s *stepped) {
				s.must(s.DB.HostListed(s.Ctx, listed("up.example.org", s.Clock.Now(), time.Hour)))
			},
			"a job runs": func(s *stepped) { s.claimed("dead", 1, 1) },
		} {
			for how, notice := range map[string]func(s *stepped){
				"seen":             func(s *stepped) { s.bury(s.Queue) },
				"while it was off": func(s *stepped) { s.Queue = s.another() },
			} {
				t.Run(d.name+" "+name+" "+how, func(t *testing.T) {
					t.Parallel()
					s := newStepped(t, d.url(t))
					s.must(s.DB.PutHosts(s.Ctx, []core.Host{{Name: "up.example.org", LsInterval: time.Hour}}))
					s.must(s.DB.PutLorries(s.Ctx, []core.Lorry{statedbtest.NewLorry("a"), statedbtest.NewLorry("b")}))
					begin(s)
					s.pass(10 * time.Second)
					s.Clock.Advance(-year)
					notice(s)
					s.pass(2 * time.Hour)
					_, err := s.Queue.BuryGhosts(s.Ctx)
					s.must(err)
					s.claimed("m", 2, 2)
					hosts, err := s.DB.Hosts(s.Ctx)
					s.must(err)
					if wait := hosts[0].LsDue.Sub(s.Clock.Now()); wait > time.Hour {
						t.Errorf("the host is listed in %s", wait)
					}
				})
			}
		}
	}
}

// TestAStartSpreadsAndKeepsPlaces restarts a core whose clock was not set: what
// waits for its first job keeps its place, be it last.
func TestAStartSpreadsAndKeepsPlaces(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newStepped(t, d.url(t))
			far := statedbtest.NewLorry("far")
			far.Interval = 30 * 24 * time.Hour
			s.must(s.DB.PutLorries(s.Ctx, []core.Lorry{far}))
			c := s.claimed("m", 1, 1)
			_, err := s.Queue.Update(s.Ctx, []queue.UpdateParams{{Job: c[0].Job.ID, Fence: c[0].Job.Fence, Done: true, Exit: "0"}})
			s.must(err)
			s.must(s.DB.PutLorries(s.Ctx, []core.Lorry{far, statedbtest.NewLorry("last")}))
			s.must(s.Queue.MoveToBottom(s.Ctx, "last"))
			before, err := s.Queue.Lorry(s.Ctx, "last")
			s.must(err)
			s.pass(time.Hour)
			s.another()
			after, err := s.Queue.Lorry(s.Ctx, "last")
			s.must(err)
			if !after.Due.Equal(before.Due) {
				t.Errorf("it was due in %s, and is in %s", before.Due.Sub(s.Clock.Now()), after.Due.Sub(s.Clock.Now()))
			}
		})
	}
}

// TestAHoldAndAClockSetBack sets the clock back while hosts are held: one that
// wants to be left alone for some minutes is left alone for these; what an admin
// has said holds as it was said.
func TestAHoldAndAClockSetBack(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		for how, notice := range map[string]func(s *stepped){
			"seen":             func(s *stepped) { s.bury(s.Queue) },
			"while it was off": func(s *stepped) { s.Queue = s.another() },
		} {
			t.Run(d.name+" "+how, func(t *testing.T) {
				t.Parallel()
				s := newStepped(t, d.url(t))
				s.must(s.DB.PutLorries(s.Ctx, []core.Lorry{statedbtest.NewLorry("a")}))
				c := s.claimed("m", 1, 1)[0]
				s.pass(time.Second)
				_, err := s.Queue.Update(s.Ctx, []queue.UpdateParams{{
					Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "1", Failure: core.Failure{Kind: core.FailRateLimited, Cause: "429"},
				}})
				s.must(err)
				now := s.Clock.Now()
				hold := func(name string, until time.Time, reason string) {
					s.Helper()
					s.must(s.Queue.HoldHost(s.Ctx, name, until, reason))
				}
				hold("adapter", now.Add(time.Hour), "[rate-limited: adapter] 429 Too Many Requests")
				hold("admin", now.Add(time.Hour), "they move")
				hold("endless", time.Time{}, "[credentials: endless] 401 Unauthorized")
				before, err := s.Queue.HostHolds(s.Ctx)
				s.must(err)
				s.Clock.Advance(-year)
				notice(s)
				after, err := s.Queue.HostHolds(s.Ctx)
				s.must(err)
				want := map[string]queue.HostHold{}
				for name, h := range before {
					if name == "adapter" || name == "up.example.org" {
						h.Until = h.Until.Add(-year)
					}
					want[name] = h
				}
				if diff := cmp.Diff(want, after); diff != "" {
					t.Errorf("the holds (-want +got):\n%s", diff)
				}
				s.pass(24 * time.Hour)
				_, err = s.Queue.BuryGhosts(s.Ctx)
				s.must(err)
				s.claimed("m", 1, 1)
			})
		}
	}
}

// TestWhatIsToBeArchivedAndAClockSetBack sets the clock back while an attempt is
// put off, and another one was cancelled.
func TestWhatIsToBeArchivedAndAClockSetBack(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newStepped(t, d.url(t))
			s.must(s.DB.SetDefaultRetire(s.Ctx, core.RetireArchive))
			s.must(s.DB.PutLorries(s.Ctx, []core.Lorry{statedbtest.NewLorry("a"), statedbtest.NewLorry("b")}))
			s.must(s.DB.RemoveLorries(s.Ctx, []string{"a", "b"}))
			for _, path := range []string{"a", "b"} {
				_, err := s.DB.BeginRetirement(s.Ctx, path, s.Clock.Now().Add(time.Hour))
				s.must(err)
			}
			s.must(s.DB.CancelRetirement(s.Ctx, "b"))
			s.Clock.Advance(-year)
			s.bury(s.Queue)
			for after, want := range map[time.Duration]int{59 * time.Minute: 0, 61 * time.Minute: 1} {
				due, err := s.DB.DueRetirements(s.Ctx, s.Clock.Now().Add(after), 10)
				s.must(err)
				if len(due) != want {
					t.Errorf("%d are tried within %s, want %d", len(due), after, want)
				}
			}
		})
	}
}
