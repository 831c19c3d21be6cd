package adapter

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// blameAfter is how many answers at fault within blameWindow are shown as the
// adapter's fault.
const (
	blameAfter  = 5
	blameWindow = 24 * time.Hour
)

// hold says that a host is left alone: calls are refused without asking the
// adapter, and no process is started for them.
type hold struct {
	kind  core.Kind
	until time.Time
	fact  string
	hint  string
}

// blames are the answers that were the adapter's own fault.
type blames struct {
	times []time.Time
	last  string
}

// recent drops what is older than the window and gives how many are left.
func (b *blames) recent(now time.Time) int {
	for len(b.times) > 0 && now.Sub(b.times[0]) > blameWindow {
		b.times = b.times[1:]
	}
	return len(b.times)
}

// note does what the table of error kinds says about an error that a call in a
// session has ended with. cur is nil for an error of a start.
func (s *supervisor) note(cur *session, err error) {
	if errors.Is(err, errLeft) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock()
	switch RuleOf(err).Action {
	case HoldUntil:
		wait := s.opts.RateLimitHold
		var e *core.Error
		if errors.As(err, &e) && e.RetryAfter > 0 {
			wait = e.RetryAfter
		}
		s.holdUntil(now.Add(wait), err)
	case HoldAndAlert:
		if cur == nil || cur == s.cur { // not of credentials that have been replaced
			s.holdUntil(now.Add(s.opts.AuthHold), err)
		}
	case AdapterFault:
		if s.bad.times = append(s.bad.times, now); len(s.bad.times) > blameAfter {
			s.bad.times = s.bad.times[1:]
		}
		s.bad.last = err.Error()
		if s.bad.recent(now) == blameAfter {
			s.log.Error("adapter's answers are at fault again and again", "last", err)
		}
	}
}

// holdUntil holds the host, for longer than it was if it was. s.mu is held.
func (s *supervisor) holdUntil(until time.Time, err error) {
	if !until.After(s.held.until) {
		return
	}
	again := s.isHeld() // several calls met it at once
	s.held = hold{kind: core.KindOf(err), until: until, fact: err.Error()}
	var e *core.Error
	if errors.As(err, &e) {
		s.held.hint = e.Hint
	}
	if again {
		return
	}
	s.log.Error("host is left alone", "until", until.UTC().Format(time.RFC3339), "kind", s.held.kind, "reason", s.held.fact, "hint", s.held.hint)
	if o := s.opts.Observer; o != nil {
		o.AdapterHeld(s.name, s.inst.Type, s.held.kind)
	}
	s.tellAll() // who waits for a process is refused
}

// isHeld reports whether the host is left alone. s.mu is held.
func (s *supervisor) isHeld() bool { return s.opts.Clock().Before(s.held.until) }

// heldError refuses a call while the host is left alone, with the kind of the
// error that was the reason; nil when it is not. s.mu is held.
func (s *supervisor) heldError() error {
	if !s.isHeld() {
		return nil
	}
	hint := s.held.hint
	if hint == "" && s.held.kind == core.KindUnauthenticated {
		hint = "correct the credentials, or restart the adapter once they are good again"
	}
	return &core.Error{
		Kind:       s.held.kind,
		Fact:       fmt.Sprintf("the host %q is left alone until %s: %s", s.name, s.held.until.UTC().Format(time.RFC3339), s.held.fact),
		Hint:       hint,
		RetryAfter: s.held.until.Sub(s.opts.Clock()),
		Err:        ErrHeld,
	}
}

// refuseHeld is heldError for callers who do not hold s.mu.
func (s *supervisor) refuseHeld() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.heldError()
}

// lift ends a hold of one of the kinds, or of any when none is given. s.mu is
// held.
func (s *supervisor) lift(kinds ...core.Kind) {
	for _, kind := range kinds {
		if s.held.kind == kind {
			s.held = hold{}
		}
	}
	if len(kinds) == 0 {
		s.held = hold{}
	}
}

// showHold puts into a state why a host is left alone, and what is wrong with
// an adapter's answers. s.mu is held.
func (s *supervisor) showHold(st *State) {
	now := s.opts.Clock()
	if err := s.heldError(); err != nil {
		st.HeldUntil, st.HeldKind = s.held.until, string(s.held.kind)
		if st.Phase != PhaseBroken && st.Phase != PhaseBackoff {
			st.Reason, st.Hint = err.Error(), s.held.hint
		}
	}
	if err := s.unfit; err != nil && st.Phase == PhaseStopped && st.Reason == "" {
		st.Reason, st.Hint = err.Error(), hintOf(err)
	}
	if st.Reason == "" && s.bad.recent(now) >= blameAfter {
		st.Reason = fmt.Sprintf("%d of its answers were at fault within a day, the last: %s", blameAfter, s.bad.last)
		st.Hint = "report this to the adapter's author; the log has the others"
	}
}

func hintOf(err error) string {
	var e *sdk.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

// refused stops after a start at which the host turned the adapter away: that
// is not the adapter's fault, and the next start has to wait for the host.
func (s *supervisor) refused(err error) {
	s.note(nil, s.errorOf(err))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cur, s.st.PID = nil, 0
	s.enter(PhaseStopped, err.Error(), "")
}

// judge notes what is wrong with the program, or that nothing is, for the pages.
func (s *supervisor) judge(unfit error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unfit = unfit
}
