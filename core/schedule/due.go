package schedule

import (
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// DefaultBackoffCap bounds how long a failing Lorry is left alone when no other
// bound is set.
const DefaultBackoffCap = 24 * time.Hour

// Rules says when a Lorry is due again after a job. The zero value is the
// design's default: exponential backoff up to DefaultBackoffCap, no jitter.
type Rules struct {
	// NoBackoff treats a failure like a success, as the original does.
	NoBackoff bool
	// Cap bounds the backoff; 0 means DefaultBackoffCap. A Lorry whose interval
	// is longer than the cap keeps its interval.
	Cap time.Duration
	// Jitter lengthens the wait by up to this part of it, so that Lorries which
	// failed together do not come back together; 0.1 means up to a tenth more.
	Jitter float64
}

// Wait is the time from the end of a job to the next due time of a Lorry that
// has failed so many times since its last success. roll is a random number in
// [0, 1) that chooses the jitter. The wait is never shorter than the interval.
func (r Rules) Wait(interval time.Duration, failures int, roll float64) time.Duration {
	interval = max(interval, 0)
	wait := interval
	if failures > 0 && !r.NoBackoff {
		wait = max(interval, backoff(interval, failures, r.cap()))
	}
	if r.Jitter > 0 && roll > 0 {
		wait += time.Duration(float64(wait) * r.Jitter * min(roll, 1))
	}
	return wait
}

func (r Rules) cap() time.Duration {
	if r.Cap <= 0 {
		return DefaultBackoffCap
	}
	return r.Cap
}

// backoff doubles interval once per failure and stops at limit without ever
// overflowing.
func backoff(interval time.Duration, failures int, limit time.Duration) time.Duration {
	wait := max(interval, time.Second) // an interval of 0 must back off as well
	for range failures {
		if wait >= limit/2 {
			return limit
		}
		wait *= 2
	}
	return wait
}

// Outcome is how a job ended, as far as scheduling is concerned.
type Outcome struct {
	End      time.Time
	Success  bool
	Returned bool // handed back unfinished
	Kind     core.FailureKind
	// Late is how long after its due time the job began.
	Late time.Duration
}

// lateFrom is from when on what came late is spread: less is the ordinary wait
// for a minion.
const lateFrom = time.Minute

// After gives the number of failures since the last success and the next due
// time of a Lorry whose job ended so.
//
// A job that was handed back changes neither and is due at once. One that an
// admin stopped is no failure of the Lorry. One whose minion was lost counts,
// but the first such loss is made good at once, because it says more about the
// minion than about the Lorry.
//
// One that began late waits up to as much longer, once, but no more than an
// interval; roll says how much. Lorries that have waited together, for a core that
// was off or a queue that was stopped, would come back together for ever
// otherwise, an interval later each time.
func (r Rules) After(o Outcome, interval time.Duration, failures int, roll float64) (int, time.Time) {
	switch {
	case o.Returned:
		return failures, o.End
	case o.Success:
		return 0, o.End.Add(r.Wait(interval, 0, roll) + o.spread(interval, roll))
	case o.Kind == core.FailKilled:
		return failures, o.End.Add(r.Wait(interval, 0, roll) + o.spread(interval, roll))
	case o.Kind == core.FailLost && failures == 0:
		return 1, o.End
	}
	return failures + 1, o.End.Add(r.Wait(interval, failures+1, roll) + o.spread(interval, roll))
}

// spread is how much longer a Lorry waits because it came late.
func (o Outcome) spread(interval time.Duration, roll float64) time.Duration {
	if o.Late < lateFrom || roll <= 0 {
		return 0
	}
	return time.Duration(float64(min(o.Late, max(interval, 0))) * min(roll, 1))
}
