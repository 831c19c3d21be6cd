package statedb_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// stopped is a queue of 120 Lorries of three hosts with an interval of an hour,
// which come one after the other, half a minute apart.
type stopped struct {
	*statedbtest.World
	elapsed time.Duration
}

const (
	stoppedLorries = 120
	stoppedPerHost = 5
)

func newStopped(t *testing.T, url string) *stopped {
	t.Helper()
	s := &stopped{}
	s.World = statedbtest.NewWorld(t, url, func(o *queue.Options) {
		o.Elapsed = func() time.Duration { return s.elapsed }
		o.MaxJobsPerHost, o.Rand = stoppedPerHost, rand.New(rand.NewPCG(1, 1)).Float64
	})
	for i := range stoppedLorries {
		l := statedbtest.NewLorry(fmt.Sprintf("l/%03d", i))
		l.UpstreamHost = fmt.Sprintf("h%d.example.org", i%3)
		s.must(s.DB.PutLorries(t.Context(), []core.Lorry{l}))
		s.pass(30 * time.Second)
		s.drain(10)
	}
	return s
}

func (s *stopped) pass(d time.Duration) { s.elapsed += d; s.Clock.Advance(d) }

// report reports on a job that may have ended.
func (s *stopped) report(c queue.Claimed, done bool) {
	s.Helper()
	_, err := s.Queue.Update(s.Context(), []queue.UpdateParams{{Job: c.Job.ID, Fence: c.Job.Fence, Done: done, Exit: "0"}})
	s.must(err)
}

func (s *stopped) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// drain runs what is due, in batches that take no time, and gives the order and
// the largest number of jobs that ran against one host.
func (s *stopped) drain(batch int) (order []string, most int) {
	s.Helper()
	for {
		got, err := s.Queue.Claim(s.Context(), queue.ClaimParams{Minion: "m", Max: batch})
		s.must(err)
		if len(got) == 0 {
			return order, most
		}
		hosts := map[string]int{}
		for _, c := range got {
			order = append(order, c.Path)
			hosts[c.UpstreamHost]++
			most = max(most, hosts[c.UpstreamHost])
		}
		for _, c := range got {
			_, err := s.Queue.Update(s.Context(), []queue.UpdateParams{{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", Unchanged: true}})
			s.must(err)
		}
	}
}

func (s *stopped) dues() []core.LorryState {
	all, err := s.Queue.Queue(s.Context(), queue.Page{})
	s.must(err)
	slices.SortFunc(all, func(a, b core.LorryState) int { return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.Path, b.Path)) })
	return all
}

// herd is the most Lorries that fall due within one minute of the next hour, and
// later how long it is until all do.
func (s *stopped) herd() (herd int, last time.Duration) {
	minutes := map[time.Duration]int{}
	for _, l := range s.dues() {
		wait := l.Due.Sub(s.Clock.Now())
		minutes[wait/time.Minute]++
		herd, last = max(herd, minutes[wait/time.Minute]), max(last, wait)
	}
	return herd, last
}

// TestAfterALongStop lets nothing run for a month: because the core was off, the
// queue was stopped, or the clock was set forward. Then all is due, the longest
// overdue comes first, no host gets more jobs than it may, and what came together
// does not come together for ever.
func TestAfterALongStop(t *testing.T) {
	t.Parallel()
	const month = 30 * 24 * time.Hour
	for _, d := range databases {
		for name, stop := range map[string]func(s *stopped){
			"the core was off": func(s *stopped) { s.pass(month); s.must(s.Queue.Rebase(s.Context())) },
			"the queue was stopped": func(s *stopped) {
				s.must(s.Queue.SetRunning(s.Context(), false))
				s.pass(month)
				s.must(s.Queue.SetRunning(s.Context(), true))
			},
			"the clock was set forward": func(s *stopped) {
				s.Clock.Advance(month)
				_, err := s.Queue.BuryGhosts(s.Context())
				s.must(err)
			},
		} {
			t.Run(d.name+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newStopped(t, d.url(t))
				before := s.dues()
				stop(s)
				why, err := s.Queue.Explain(t.Context(), before[40].Path)
				s.must(err)
				if want := (queue.Why{Reason: "due", Detail: "due; waits for a minion behind 40 others"}); why != want {
					t.Errorf("it is said %+v, want %+v", why, want)
				}
				order, most := s.drain(stoppedPerHost)
				var want []string
				for _, l := range before {
					want = append(want, l.Path)
				}
				if !slices.Equal(want, order) {
					t.Errorf("the order is not that of the due times:\n%q\n%q", want, order)
				}
				if most > stoppedPerHost {
					t.Errorf("%d jobs at a time to one host", most)
				}
				if herd, last := s.herd(); herd > 10 || last > 2*time.Hour {
					t.Errorf("%d Lorries are due in the same minute, the last one in %s", herd, last)
				}
				// And so it stays: each comes in its own time then, exactly.
				for range 8 * 60 {
					s.pass(30 * time.Second)
					s.drain(100)
				}
				if herd, last := s.herd(); herd > 10 || last > time.Hour {
					t.Errorf("some rounds later %d Lorries are due in the same minute, the last one in %s", herd, last)
				}
			})
		}
	}
}

// TestAClockSetBackStallsNothing sets the clock back by a day, while the core
// runs or while it is off: due times and listings come with it, in their order
// and at their distances, and that happens once.
func TestAClockSetBackStallsNothing(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for _, d := range databases {
		for name, notice := range map[string]func(s *stopped) error{
			"seen":             func(s *stopped) error { _, err := s.Queue.BuryGhosts(s.Context()); return err },
			"while it was off": func(s *stopped) error { return s.Queue.Rebase(s.Context()) },
		} {
			t.Run(d.name+" "+name, func(t *testing.T) {
				t.Parallel()
				s := newStopped(t, d.url(t))
				s.must(s.DB.PutHosts(t.Context(), []core.Host{{Name: "up.example.org", LsInterval: time.Hour}}))
				s.must(s.DB.HostListed(t.Context(), listed("up.example.org", s.Clock.Now(), time.Hour)))
				_, err := s.Queue.BuryGhosts(t.Context())
				s.must(err)
				running, err := s.Queue.Claim(t.Context(), queue.ClaimParams{Minion: "m"})
				s.must(err)
				if len(running) == 0 {
					s.pass(time.Hour)
					running, err = s.Queue.Claim(t.Context(), queue.ClaimParams{Minion: "m"})
					s.must(err)
				}
				s.must(s.Queue.Retry(t.Context(), running[0].Path)) // asked for while it runs
				before, now := s.dues(), s.Clock.Now()
				s.Clock.Advance(-day)
				for range 2 { // the second time there is nothing to do
					s.must(notice(s))
					for i, l := range s.dues() {
						was := before[i]
						if l.Path != was.Path || !l.Due.Equal(was.Due.Add(-day)) {
							t.Fatalf("%s was due in %s, %s is in %s now", was.Path, was.Due.Sub(now), l.Path, l.Due.Sub(s.Clock.Now()))
						}
					}
				}
				hosts, err := s.DB.Hosts(t.Context())
				s.must(err)
				if wait := hosts[0].LsDue.Sub(s.Clock.Now()); wait > time.Hour {
					t.Errorf("the host is listed in %s", wait)
				}
				job, err := s.Queue.Job(t.Context(), running[0].Job.ID)
				s.must(err)
				if job.Started.After(s.Clock.Now()) {
					t.Errorf("a job runs since %s, which is to come", job.Started)
				}
				s.doneOnceMore(running[0])
			})
		}
	}
}

// doneOnceMore checks that what was asked for while a job ran is done once more,
// and not again and again until the time of asking comes.
func (s *stopped) doneOnceMore(running queue.Claimed) {
	s.Helper()
	times := 0
	for range 5 {
		s.report(running, true)
		order, _ := s.drain(1)
		for _, p := range order {
			if p == running.Path {
				times++
			}
		}
	}
	if times != 1 {
		s.Errorf("what was asked for ran %d times", times)
	}
}

// TestAClockSetForwardKillsNoJob sets the clock forward by more than a job may
// take: it has not taken longer for that, before that was noticed and after.
func TestAClockSetForwardKillsNoJob(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			s := newStopped(t, d.url(t))
			s.pass(time.Hour)
			got, err := s.Queue.Claim(t.Context(), queue.ClaimParams{Minion: "m"})
			s.must(err)
			_, err = s.Queue.BuryGhosts(t.Context())
			s.must(err)
			report := func() queue.UpdateResult {
				t.Helper()
				rs, err := s.Queue.Update(t.Context(), []queue.UpdateParams{{Job: got[0].Job.ID, Fence: got[0].Job.Fence, Output: "."}})
				s.must(err)
				return rs[0]
			}
			s.pass(time.Minute)
			report()
			s.Clock.Advance(30 * 24 * time.Hour)
			for range 3 {
				if r := report(); r != (queue.UpdateResult{}) {
					t.Errorf("the job is told %+v", r)
				}
				_, err := s.Queue.BuryGhosts(t.Context())
				s.must(err)
			}
			// It still ends when it takes too long.
			for range 120 {
				s.pass(time.Minute)
				report()
			}
			if r := report(); !r.Kill {
				t.Error("the job is not stopped after its lorry-timeout")
			}
		})
	}
}

// listed is the outcome of a complete listing.
func listed(host string, at time.Time, every time.Duration) reconcile.HostOutcome {
	return reconcile.HostOutcome{Name: host, At: at, Next: at.Add(every), Complete: true}
}
