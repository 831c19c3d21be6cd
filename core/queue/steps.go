package queue

import (
	"context"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// steps notices that the clock was set while the program ran: leases are times
// of that clock, so that all of them would be over at once, or last an hour
// longer than they should. A clock that is a little fast or slow is not set: only
// what happens between two looks counts, so every core looks again and again.
type steps struct {
	clock   core.Clock
	elapsed func() time.Duration // goes on evenly, whatever the clock says; nil: nothing is noticed

	mu   sync.Mutex
	then time.Time     // what the clock said at the last look
	at   time.Duration // when that was
	step step
	// done is how often the STATEDB's clock had been put right before the step.
	done int64
}

// step is a setting of the clock that has not been put right.
type step struct {
	seen bool
	by   time.Duration // negative for backwards
	at   time.Duration // when it was noticed last, as elapsed says
}

func newSteps(clock core.Clock, elapsed func() time.Duration) *steps {
	s := &steps{clock: clock, elapsed: elapsed}
	if elapsed != nil {
		s.then, s.at = clock(), elapsed()
	}
	return s
}

// look says what has not been put right, and how often something was before. A
// difference of more than limit since the last look is a step.
func (s *steps) look(limit time.Duration) (step, int64) {
	if s.elapsed == nil {
		return step{}, 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.looked(limit), s.done
}

// looked is to be called with the lock held.
func (s *steps) looked(limit time.Duration) step {
	now, at := s.clock(), s.elapsed()
	// Without its monotonic part, which does not know of any setting.
	by := now.Round(0).Sub(s.then.Round(0)) - (at - s.at)
	s.then, s.at = now, at
	if by.Abs() > limit {
		s.step = step{true, s.step.by + by, at}
	}
	return s.step
}

// told notes how often the clock was put right by now: when that is once more
// than before a step was seen, the step was. One that nobody has put right for so
// long is one of this core's system alone; it is given, and forgotten.
func (s *steps) told(done int64, limit, long time.Duration) (forgotten step) {
	if s.elapsed == nil {
		return step{}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch seen := s.looked(limit); {
	case !seen.seen || done != s.done:
		s.step, s.done = step{}, done
	case s.at-seen.at > long:
		s.step, forgotten = step{}, seen
	}
	return forgotten
}

// stepLimit is from when on a difference between two clocks is more than chance.
func (q *Queue) stepLimit() time.Duration { return q.set.Load().GhostTimeout / 4 }

// clockIsOff reports whether the clock was set and BuryGhosts has not put that
// right yet: then a job may look older than it is.
func (q *Queue) clockIsOff() bool {
	s, _ := q.steps.look(q.stepLimit())
	return s.seen
}

// WatchClock looks whether the clock was set, or whether that was put right since.
// Every core is to call it every few seconds. Only BuryGhosts puts things right,
// in one core, once.
func (q *Queue) WatchClock(ctx context.Context) error {
	if q.steps.elapsed == nil {
		return nil
	}
	done, err := q.store.ClocksSet(ctx)
	if err != nil {
		return err
	}
	// Whoever leads looks for ghosts several times within a lease, and another
	// core follows it soon.
	if lone := q.steps.told(done, q.stepLimit(), 4*q.set.Load().GhostTimeout+time.Minute); lone.seen {
		q.log.Warn("the clock of this core's system was set, or stood still, and that of no core which does the upkeep", "by", lone.by.Round(time.Second).String())
	}
	return nil
}

// putClockRight gives running jobs a whole lease, and puts right what stands in
// times of a clock that was set, unless another core has.
func (q *Queue) putClockRight(ctx context.Context, by time.Duration, done int64) error {
	now := q.clock().UTC()
	var back time.Duration
	var first bool
	err := q.change(ctx, func(ctx context.Context, tx Tx) (err error) {
		if first, err = tx.CountClockSet(ctx, done); err != nil || !first {
			return err
		}
		if err := tx.SetLeases(ctx, now.Add(q.set.Load().GhostTimeout)); err != nil {
			return err
		}
		back, err = tx.ClockSet(ctx, by, now)
		return err
	})
	if err != nil {
		return err
	}
	if first {
		q.log.Warn("the system's clock was set; jobs that run have a whole lease from now on", "by", by.Round(time.Second).String(),
			"due-times-moved-back-by", back.Round(time.Second).String())
	}
	return q.WatchClock(ctx)
}
