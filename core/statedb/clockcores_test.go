package statedb_test

import (
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// twoCores are a leader, which does the upkeep, and a follower, both on one
// PostgreSQL.
type twoCores struct {
	*stepped
	follower *queue.Queue
}

func newTwoCores(t *testing.T) *twoCores {
	t.Helper()
	s := newStepped(t, postgres(t))
	l := statedbtest.NewLorry("a")
	l.Repository, l.Interval = "up.example.org/a", 24*time.Hour
	s.must(s.DB.PutLorries(t.Context(), []core.Lorry{l}))
	return &twoCores{s, s.another()}
}

// live lets time go by as two cores do: both look at the clock, one buries.
func (c *twoCores) live(d time.Duration) {
	c.Helper()
	for end := c.Clock.Now().Add(d); c.Clock.Now().Before(end); {
		c.pass(10 * time.Second)
		c.must(c.follower.WatchClock(c.Ctx))
		c.must(c.Queue.WatchClock(c.Ctx))
		_, err := c.Queue.BuryGhosts(c.Ctx)
		c.must(err)
	}
}

// killed says after how long the follower tells a minion to stop a job which it
// reports on every minute.
func (c *twoCores) killed(job core.Job) time.Duration {
	c.Helper()
	for began := c.elapsed; ; {
		c.live(time.Minute)
		rs, err := c.follower.Update(c.Ctx, []queue.UpdateParams{{Job: job.ID, Fence: job.Fence}})
		c.must(err)
		if took := c.elapsed - began; rs[0].Kill || took > 3*time.Hour {
			return took
		}
	}
}

// TestAFollowerStopsJobsAfterTheirTimeout sets the clock, or lets it go slow:
// a core that does not lead stops a job when it has taken too long all the same.
func TestAFollowerStopsJobsAfterTheirTimeout(t *testing.T) {
	t.Parallel()
	for name, happens := range map[string]func(c *twoCores){
		"nothing": func(*twoCores) {},
		"the clock was set": func(c *twoCores) {
			c.live(time.Minute)
			c.Clock.Advance(-40 * time.Second)
			c.live(time.Minute)
		},
		"the clock was set for it alone": func(c *twoCores) {
			c.elapsed -= time.Hour // it was suspended
			c.must(c.follower.WatchClock(c.Ctx))
			c.elapsed += time.Hour
			c.live(10 * time.Minute)
		},
		"its clock is slow": func(c *twoCores) {
			for range 60 {
				c.live(time.Minute)
				c.Clock.Advance(-time.Second)
			}
			if n, err := c.DB.ClocksSet(c.Ctx); n != 0 || err != nil {
				c.Errorf("it was put right %d times: %v", n, err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTwoCores(t)
			happens(c)
			if took := c.killed(c.claimed("m", 1, 1)[0].Job); took != 2*time.Hour {
				t.Errorf("a job with a lorry-timeout of 2 h is stopped after %s", took)
			}
		})
	}
}

// TestAStepIsPutRightOnce lets another core take the upkeep over after the clock
// was set: it puts right what its predecessor has not, and nothing again.
func TestAStepIsPutRightOnce(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]func(c *twoCores) (late bool){
		"long ago": func(c *twoCores) bool {
			c.Clock.Advance(time.Hour)
			c.live(24 * time.Hour)
			return false
		},
		"a moment ago": func(c *twoCores) bool {
			c.Clock.Advance(time.Hour)
			c.must(c.follower.WatchClock(c.Ctx))
			c.bury(c.Queue)
			return false
		},
		"not yet": func(c *twoCores) bool {
			c.Clock.Advance(time.Hour)
			c.must(c.follower.WatchClock(c.Ctx))
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newTwoCores(t)
			c.live(time.Minute)
			late := before(c)
			job := c.claimed("m", 1, 1)[0].Job
			c.pass(time.Minute)
			_, err := c.follower.Pushed(t.Context(), queue.Push{Repositories: []string{"up.example.org/a"}})
			c.must(err)
			c.pass(20 * time.Second)
			c.bury(c.follower) // it leads by now
			c.bury(c.Queue)    // and an admin asks the other one to do it
			now, err := c.Queue.Job(t.Context(), job.ID)
			c.must(err)
			if age := c.Clock.Now().Sub(now.Started); age > 80*time.Second || !late && age != 80*time.Second {
				t.Errorf("a job of 80 s looks %s old", age)
			}
			_, err = c.follower.Update(t.Context(), []queue.UpdateParams{{Job: job.ID, Fence: job.Fence, Done: true, Exit: "0"}})
			c.must(err)
			c.claimed("m", 1, 1) // what was pushed while it ran
		})
	}
}
