package adapter

import (
	"context"
	"sync"
	"time"
)

// defaultConcurrency is how many calls run at a time when nobody says more.
const defaultConcurrency = 8

// session is one process and the calls that run in it.
type session struct {
	*running

	slots   chan struct{} // one for each call that runs
	listing chan struct{} // one listing at a time; it does not take a slot
	suspect chan struct{} // a call was not answered: look at its health

	mu      sync.Mutex
	held    int // callers, those who wait for a slot included
	waiting int
	used    time.Time
	empty   chan struct{} // not nil while somebody waits for held == 0
}

func newSession(r *running, inst Instance, opts Options) *session {
	limit := defaultConcurrency
	if inst.MaxConcurrency > 0 {
		limit = inst.MaxConcurrency
	}
	if asked := r.desc.MaxConcurrency; asked > 0 {
		limit = min(limit, asked)
	}
	return &session{
		running: r, slots: make(chan struct{}, limit), listing: make(chan struct{}, 1),
		suspect: make(chan struct{}, 1), used: opts.Clock(),
	}
}

// hold keeps the session from being stopped until release.
func (s *session) hold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held++
}

func (s *session) release(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held--
	s.used = now
	if s.held == 0 && s.empty != nil {
		close(s.empty)
		s.empty = nil
	}
}

// load tells how many calls run and how many wait.
func (s *session) load() (calls, waiting int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held - s.waiting, s.waiting
}

// idleFor tells for how long there was no call; 0 while there is one.
func (s *session) idleFor(now time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.held > 0 {
		return 0
	}
	return now.Sub(s.used)
}

// turn waits for a place in slots. It fails when too many wait already.
func (s *session) turn(ctx context.Context, slots chan struct{}, limit int) (ok bool, err error) {
	select {
	case slots <- struct{}{}:
		return true, nil
	default:
	}
	s.mu.Lock()
	if s.waiting >= limit {
		s.mu.Unlock()
		return false, nil
	}
	s.waiting++
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		s.waiting--
		s.mu.Unlock()
	}()
	select {
	case slots <- struct{}{}:
		return true, nil
	case <-ctx.Done():
		return false, ctx.Err()
	}
}

// doubt asks for a look at the process's health.
func (s *session) doubt() {
	select {
	case s.suspect <- struct{}{}:
	default:
	}
}

// drain lets running calls end, then stops the process. impatient cuts the
// waiting short.
func (s *session) drain(ctx context.Context, opts Options, impatient func() (<-chan struct{}, bool)) {
	s.mu.Lock()
	empty := s.empty
	if s.held > 0 && empty == nil {
		empty = make(chan struct{})
		s.empty = empty
	}
	s.mu.Unlock()
	timer := time.NewTimer(opts.DrainGrace)
	defer timer.Stop()
	for empty != nil {
		changed, hurry := impatient()
		if hurry {
			break
		}
		select {
		case <-empty:
			empty = nil
		case <-s.Done():
			empty = nil
		case <-timer.C:
			empty = nil
		case <-changed:
		}
	}
	grace := opts.KillGrace
	if _, hurry := impatient(); hurry {
		grace = 0
	} else {
		// Its own deadline bounds it, also when the core is stopping; whether it
		// worked changes nothing.
		_ = s.Close(context.WithoutCancel(ctx))
	}
	s.Kill(grace)
}
