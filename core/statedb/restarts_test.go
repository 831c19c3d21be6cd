package statedb_test

import (
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// restarts is a job whose minion has died, and cores that start again and again.
func restarts(t *testing.T, url string) (s *stepped, dead core.JobID) {
	t.Helper()
	s = newStepped(t, url)
	s.must(s.DB.PutLorries(t.Context(), []core.Lorry{statedbtest.NewLorry("a")}))
	return s, s.claimed("dead", 1, 1)[0].Job.ID
}

// TestCoresThatStartAgainAndAgainKeepNoGhost starts a core every 100 s, which is
// less than a lease, while others bury ghosts.
func TestCoresThatStartAgainAndAgainKeepNoGhost(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		for name, between := range map[string]func(s *stepped){
			"nobody leads": func(*stepped) {},
			"each leads until it is killed": func(s *stepped) {
				_, _, err := s.DB.TryLead(s.Ctx, "it", 30*time.Second)
				s.must(err)
				s.must(s.DB.EndLease(s.Ctx, ""))
			},
		} {
			t.Run(d.name+" "+name, func(t *testing.T) {
				t.Parallel()
				s, dead := restarts(t, d.url(t))
				for range 10 {
					for range 4 {
						s.pass(25 * time.Second)
						ghosts, err := s.Queue.BuryGhosts(t.Context())
						s.must(err)
						if len(ghosts) > 0 {
							return
						}
					}
					between(s)
					s.another()
				}
				j, err := s.Queue.Job(t.Context(), dead)
				s.must(err)
				t.Errorf("the minion is silent for %s, and the job has a lease of %s more", s.Clock.Now().Sub(j.Updated), j.Lease.Sub(s.Clock.Now()))
			})
		}
	}
}

// TestACoreThatStartsBesideOthersExtendsLeasesOnce starts one again and again while
// another leads: its own minions could not report, but do not need a second lease.
func TestACoreThatStartsBesideOthersExtendsLeasesOnce(t *testing.T) {
	t.Parallel()
	s, dead := restarts(t, postgres(t))
	lead := func() {
		_, led, err := s.DB.TryLead(t.Context(), "other", 30*time.Second)
		s.must(err)
		if !led {
			t.Fatal("it does not lead")
		}
	}
	lead()
	s.pass(time.Minute)
	want := s.Clock.Now().Add(queue.DefaultGhostTimeout)
	for range 3 {
		s.another()
		after, err := s.Queue.Job(t.Context(), dead)
		s.must(err)
		if !after.Lease.Equal(want) {
			t.Errorf("want a lease until %s, got %s", want, after.Lease)
		}
		s.pass(10 * time.Second)
		lead()
	}
}

// TestTheTimeWithoutACoreIsGivenBack kills the core twice, a few seconds after its
// first start, and leaves it off for an hour: minions that live could not report.
func TestTheTimeWithoutACoreIsGivenBack(t *testing.T) {
	t.Parallel()
	s, job := restarts(t, sqliteFile(t))
	lead := func() {
		_, _, err := s.DB.TryLead(t.Context(), "it", 30*time.Second)
		s.must(err)
	}
	lead()
	s.pass(time.Minute)
	s.must(s.DB.EndLease(t.Context(), ""))
	s.another()
	lead()
	s.pass(time.Hour)
	s.must(s.DB.EndLease(t.Context(), ""))
	s.another()
	s.bury(s.Queue)
	j, err := s.Queue.Job(t.Context(), job)
	s.must(err)
	// But for the 30 s for which the core may have lived.
	if left := j.Lease.Sub(s.Clock.Now()); left != queue.DefaultGhostTimeout-30*time.Second {
		t.Errorf("a lease of %s is left", left)
	}
}
