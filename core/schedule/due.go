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
}

// After gives the number of failures since the last success and the next due
// time of a Lorry whose job ended so.
//
// A job that was handed back changes neither and is due at once. One that an
// admin stopped is no failure of the Lorry. One whose minion was lost counts,
// but the first such loss is made good at once, because it says more about the
// minion than about the Lorry.
func (r Rules) After(o Outcome, interval time.Duration, failures int, roll float64) (int, time.Time) {
	switch {
	case o.Returned:
		return failures, o.End
	case o.Success:
		return 0, o.End.Add(r.Wait(interval, 0, roll))
	case o.Kind == core.FailKilled:
		return failures, o.End.Add(r.Wait(interval, 0, roll))
	case o.Kind == core.FailLost && failures == 0:
		return 1, o.End
	}
	return failures + 1, o.End.Add(r.Wait(interval, failures+1, roll))
}
