package daemon

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// pretendClock is the STATEDB's clock until it is told what time it is; then it
// stands still there, for tests that can't wait.
type pretendClock struct {
	stateClock

	frozen atomic.Pointer[time.Time]
}

// now is a core.Clock.
func (c *pretendClock) now() time.Time {
	if t := c.frozen.Load(); t != nil {
		return *t
	}
	return c.stateClock.now()
}

func (c *pretendClock) freeze(t time.Time) { c.frozen.Store(&t) }

// pretendTime is what the API may call to set the clock; nil unless the
// settings allow it.
func (d *Daemon) pretendTime() func(time.Time) {
	if !d.config.PretendTime {
		return nil
	}
	return func(t time.Time) {
		d.clock.freeze(t)
		d.log.Warn("the queue's clock stands still, as debug-pretend-time allows", "now", t)
		d.queue.Wake()
	}
}

// elapsed is the time since now as the system's steady clock has it; nil when a
// test may set the other one, which is no accident then.
func (d *Daemon) elapsed() func() time.Duration {
	if d.config.PretendTime {
		return nil
	}
	began := time.Now()
	return func() time.Duration { return time.Since(began) }
}

// chance spreads what would come together. Where a test sets the clock, which
// makes everything late, nothing is left to it: due times are as the original's.
func (d *Daemon) chance() func() float64 {
	if d.config.PretendTime {
		return func() float64 { return 0 }
	}
	return rand.Float64
}
