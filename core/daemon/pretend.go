package daemon

import (
	"sync/atomic"
	"time"
)

// pretendClock is the system's clock until it is told what time it is; then it
// stands still there, for tests that can't wait.
type pretendClock struct{ frozen atomic.Pointer[time.Time] }

// now is a core.Clock.
func (c *pretendClock) now() time.Time {
	if t := c.frozen.Load(); t != nil {
		return *t
	}
	return time.Now()
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
