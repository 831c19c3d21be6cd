package queue

import (
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// steps notices that the clock was set while the program ran: leases are times
// of that clock, so that all of them would be over at once, or last an hour
// longer than they should.
type steps struct {
	clock   core.Clock
	elapsed func() time.Duration // goes on evenly, whatever the clock says; nil: nothing is noticed

	mu   sync.Mutex
	then time.Time     // what the clock said
	at   time.Duration // at that time
}

func newSteps(clock core.Clock, elapsed func() time.Duration) *steps {
	s := &steps{clock: clock, elapsed: elapsed}
	if elapsed != nil {
		s.then, s.at = clock(), elapsed()
	}
	return s
}

// since is by how much the clock was set since settled was told of the last
// time, negative for backwards.
func (s *steps) since() (by time.Duration, settled func()) {
	if s.elapsed == nil {
		return 0, func() {}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, at := s.clock(), s.elapsed()
	// Without its monotonic part, which does not know of any setting.
	by = now.Round(0).Sub(s.then.Round(0)) - (at - s.at)
	return by, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.then, s.at = now, at
	}
}

// clockIsOff reports whether the clock was set and BuryGhosts has not put that
// right yet: then a job may look older than it is.
func (q *Queue) clockIsOff() bool {
	by, _ := q.steps.since()
	return q.isStep(by)
}
