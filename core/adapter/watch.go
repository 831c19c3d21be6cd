package adapter

import (
	"context"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// watch looks after the current session until it is no longer the current one,
// or something else has to be done.
func (s *supervisor) watch(ctx context.Context) {
	s.mu.Lock()
	cur := s.cur
	s.mu.Unlock()
	probing, stop := context.WithCancel(ctx)
	var probes sync.WaitGroup
	defer probes.Wait()
	defer stop()
	result := make(chan error, 1)
	probe := func() {
		probes.Go(func() { result <- s.probe(probing, cur) })
	}
	health := time.NewTimer(s.opts.HealthInterval)
	defer health.Stop()
	tick := time.NewTicker(s.tick())
	defer tick.Stop()
	// Soon after the start, when what it was started for has been asked.
	looked := s.opts.Clock().Add(-s.opts.CheckInterval * 4 / 5)
	running, strikes := false, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-cur.Done():
			cur.Kill(0) // what go-plugin still holds
			s.fault(sdk.Errorf(sdk.Unavailable, "it ended unexpectedly: %s", cur.Exit()))
			return
		case <-tick.C:
			now := s.opts.Clock()
			s.settle(now)
			if s.opts.IdleTimeout > 0 && cur.idleFor(now) >= s.opts.IdleTimeout && s.stopIdle(ctx, cur) {
				return
			}
			if cur.desc.Check && now.Sub(looked) >= s.opts.CheckInterval {
				looked = now
				probes.Go(func() { s.look(probing, cur) })
			}
		case <-cur.suspect:
			if !running {
				health.Reset(0)
			}
		case <-health.C:
			running = true
			probe()
		case err := <-result:
			running = false
			if strikes = s.strike(strikes, err); strikes >= s.opts.HealthStrikes {
				cur.Kill(0)
				s.fault(sdk.Errorf(sdk.Unavailable, "it did not answer %d health checks", strikes))
				return
			}
			health.Reset(s.untilProbe(strikes))
		case <-s.kick:
			if s.renew(ctx, cur) {
				return
			}
		}
	}
}

// strike counts health checks that failed in a row.
func (s *supervisor) strike(strikes int, err error) int {
	if err == nil {
		return 0
	}
	s.log.Warn("adapter did not answer a health check", "strikes", strikes+1, "err", err)
	return strikes + 1
}

// untilProbe is the pause before the next health check: short after one that
// failed.
func (s *supervisor) untilProbe(strikes int) time.Duration {
	if strikes > 0 {
		return min(s.opts.HealthRetry, s.opts.HealthInterval)
	}
	return s.opts.HealthInterval
}

// tick is how often to look at what is not urgent.
func (s *supervisor) tick() time.Duration {
	d := time.Minute
	for _, limit := range []time.Duration{s.opts.IdleTimeout, s.opts.Settled, s.opts.CheckInterval} {
		if limit > 0 {
			d = min(d, limit/4)
		}
	}
	return max(d, time.Millisecond)
}

// settle forgets old faults once the adapter has been ready for long enough.
func (s *supervisor) settle(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Sub(s.st.Since) >= s.opts.Settled {
		s.streak, s.faults = 0, nil
	}
}

// look has the adapter look at its host, for the pages alone: it is no call
// that would keep the process from being idle, and restarts nothing.
func (s *supervisor) look(ctx context.Context, cur *session) {
	if s.refuseHeld() != nil {
		return
	}
	report, err := cur.Check(ctx)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		err = s.errorOf(err)
		s.note(cur, err)
	} else if err = reportError(report); err != nil {
		err = s.errorOf(err)
	}
	s.noteCheck(report, err)
}

func (s *supervisor) probe(ctx context.Context, cur *session) error {
	ctx, cancel := context.WithTimeout(ctx, s.opts.HealthTimeout)
	defer cancel()
	return cur.Healthy(ctx)
}

// stopIdle stops the session unless a call came in at the last moment.
func (s *supervisor) stopIdle(ctx context.Context, cur *session) bool {
	s.mu.Lock()
	if s.wanted > 0 || cur.idleFor(s.opts.Clock()) < s.opts.IdleTimeout {
		s.mu.Unlock()
		return false
	}
	s.cur = nil
	s.enter(PhaseDraining, "nobody uses it", "")
	s.mu.Unlock()
	cur.drain(ctx, s.opts, s.impatient)
	s.mu.Lock()
	s.st.PID = 0
	s.enter(PhaseStopped, "nobody uses it", "")
	s.mu.Unlock()
	return true
}

// renew replaces the session when that was ordered or the instance has changed:
// the new process is ready before the old one stops. It reports whether the
// current session is another one now.
func (s *supervisor) renew(ctx context.Context, cur *session) bool {
	s.mu.Lock()
	ordered, stale := len(s.orders) > 0, s.stale
	s.stale = false
	held := s.isHeld()
	s.mu.Unlock()
	if !ordered && !stale {
		return false
	}
	if stale && !ordered && (held || cur.idleFor(s.opts.Clock()) > 0 && s.opts.IdleTimeout > 0) {
		// Nobody would notice the difference: the next call starts it.
		s.retire(ctx, PhaseStopped, "its settings or its program changed")
		return true
	}
	next, err := s.launch(ctx)
	if err != nil && ctx.Err() != nil {
		return false
	}
	switch {
	case err == nil:
		s.install(next)
		s.drain(ctx, cur)
	case stale:
		// What it ran with is not wanted any more, so the old one can't stay.
		s.fault(err)
		s.drain(ctx, cur)
	default:
		s.note(nil, s.errorOf(err))
		s.log.Error("adapter could not be restarted, the old process goes on", "err", err)
	}
	if err != nil {
		err = s.errorOf(err)
	}
	s.answer(err)
	return err == nil || stale
}
