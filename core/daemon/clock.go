package daemon

import (
	"context"
	"sync"
	"time"
)

// stateClock tells the time that all cores of one STATEDB go by. With PostgreSQL
// that is the time of its server, whatever the clocks of the cores' machines say:
// it is asked for again and again, and goes on by itself in between. A file has
// one core, and the clock of its machine.
type stateClock struct {
	mu   sync.Mutex
	base time.Time // what the server told; zero: there is none, or it was not asked yet
	at   time.Time // when that was, by the clock of this machine that can't be set
}

// now is a core.Clock.
func (c *stateClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.base.IsZero() {
		return time.Now()
	}
	return c.base.Add(time.Since(c.at))
}

// follow asks the server for its time.
func (c *stateClock) follow(ctx context.Context, ask func(ctx context.Context) (time.Time, error)) error {
	begin := time.Now()
	told, err := ask(ctx)
	if err != nil || told.IsZero() {
		return err
	}
	end := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.at = told.Add(end.Sub(begin)/2), end
	return nil
}
