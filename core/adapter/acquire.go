package adapter

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// acquire gives a session that is ready, starting a process when there is
// none. The caller must release it.
func (s *supervisor) acquire(ctx context.Context) (*session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.wanted >= s.opts.MaxQueue {
		return nil, core.Errorf(core.KindUnavailable, "too many calls wait for the %s adapter of %q", s.inst.Type, s.name)
	}
	s.wanted++
	defer func() { s.wanted-- }()
	s.poke()
	for {
		if s.closing {
			return nil, errClosed
		}
		if s.st.Phase == PhaseBroken {
			return nil, s.brokenError()
		}
		if err := s.heldError(); err != nil {
			return nil, err
		}
		switch s.st.Phase {
		case PhaseReady:
			s.cur.hold()
			return s.cur, nil
		case PhaseBackoff:
			if wait := s.st.NextStart.Sub(s.opts.Clock()); wait > s.opts.MaxWait {
				return nil, s.backoffError(wait)
			}
		}
		changed := s.changed
		s.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-ctx.Done():
			err = ctx.Err()
		}
		s.mu.Lock()
		if err != nil {
			return nil, err
		}
	}
}

func (s *supervisor) brokenError() error {
	err := &core.Error{Kind: core.KindInternal, Fact: "the " + s.inst.Type + " adapter of " + quote(s.name) + " is broken: " + s.st.Reason, Hint: s.st.Hint}
	if err.Hint == "" {
		err.Hint = "restart the adapter once the cause is removed"
	}
	return err
}

func (s *supervisor) backoffError(wait time.Duration) error {
	return &core.Error{
		Kind: core.KindUnavailable, Fact: "the " + s.inst.Type + " adapter of " + quote(s.name) + " is being restarted: " + s.st.Reason,
		Hint: s.st.Hint, RetryAfter: wait, Err: ErrProcess,
	}
}
