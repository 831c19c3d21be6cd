package adapter

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// supervisor looks after one instance. One goroutine moves it from phase to
// phase; callers wait for a phase and are counted in their session.
type supervisor struct {
	name  string
	opts  Options
	start startFunc
	stamp func(Instance) string
	log   hclog.Logger

	cancel   context.CancelFunc
	done     chan struct{}
	kick     chan struct{}  // something below has changed that the goroutine must see
	draining sync.WaitGroup // sessions that are being stopped in the background

	mu      sync.Mutex
	inst    Instance
	st      State
	cur     *session      // not nil in PhaseReady
	changed chan struct{} // closed and made anew with every change of phase
	wanted  int           // callers who need a session
	orders  []chan error  // restarts asked for, to be answered
	stale   bool          // the instance or its program has changed
	closing bool          // no new calls
	hurry   bool          // closing, and out of patience
	tried   string        // the program's stamp at the last start
	looked  string        // the program's stamp at the last refresh
	faults  []time.Time   // within the breaker's window
	streak  int           // faults since the adapter was last settled
	held    hold          // the host is left alone
	bad     blames
	warned  []string // warnings that the log has
	unfit   error    // what is wrong with the program, seen without starting it
}

func newSupervisor(inst Instance, opts Options, start startFunc, stamp func(Instance) string) *supervisor {
	ctx, cancel := context.WithCancel(context.Background())
	s := &supervisor{
		name: inst.Name, opts: opts, start: start, stamp: stamp, cancel: cancel, inst: inst,
		log:  opts.Log.With("adapter", inst.Type, "host", inst.Name),
		done: make(chan struct{}), kick: make(chan struct{}, 1), changed: make(chan struct{}),
	}
	s.st = State{Phase: PhaseStopped, Since: opts.Clock()}
	go s.run(ctx)
	return s
}

// run is the one goroutine that changes the phase.
func (s *supervisor) run(ctx context.Context) {
	defer close(s.done)
	for ctx.Err() == nil {
		switch s.phase() {
		case PhaseReady:
			s.watch(ctx)
		case PhaseBackoff:
			s.pause(ctx)
		default: // stopped or broken
			s.idle(ctx)
		}
	}
	s.retire(context.WithoutCancel(ctx), PhaseStopped, "the core stops it")
	s.draining.Wait()
	s.answer(errClosed)
}

func (s *supervisor) phase() Phase {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.st.Phase
}

// poke wakes the goroutine.
func (s *supervisor) poke() {
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// enter changes the phase and tells everyone who waits. s.mu is held.
func (s *supervisor) enter(phase Phase, reason, hint string) {
	s.st.Phase, s.st.Reason, s.st.Hint, s.st.Since, s.st.NextStart = phase, reason, hint, s.opts.Clock(), time.Time{}
	s.tellAll()
	level := hclog.Info
	if phase == PhaseBackoff || phase == PhaseBroken {
		level = hclog.Error
	}
	s.log.Log(level, "adapter changed its phase", "phase", phase, "reason", reason, "hint", hint, "pid", s.st.PID)
}

// idle waits until a process is needed. A broken one needs an order or a change.
func (s *supervisor) idle(ctx context.Context) {
	for {
		s.mu.Lock()
		broken := s.st.Phase == PhaseBroken
		ordered := len(s.orders) > 0 || broken && s.stale
		if ordered {
			s.faults, s.streak = nil, 0
		}
		needed := ordered || !broken && s.wanted > 0 && !s.isHeld()
		s.stale = false
		s.mu.Unlock()
		if needed {
			s.begin(ctx)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.kick:
		}
	}
}

// begin starts a process when there is none.
func (s *supervisor) begin(ctx context.Context) {
	s.mu.Lock()
	s.enter(PhaseStarting, "", "")
	s.mu.Unlock()
	next, err := s.launch(ctx)
	if err != nil {
		s.fault(err)
		s.answer(s.errorOf(err))
		return
	}
	s.install(next)
	s.answer(nil)
}

// launch starts a process of the instance as it is now.
func (s *supervisor) launch(ctx context.Context) (*session, error) {
	s.mu.Lock()
	inst := s.inst
	s.st.Starts++
	s.tried = s.stamp(inst)
	s.mu.Unlock()
	r, err := s.start(ctx, inst, s.log)
	if err != nil {
		return nil, err
	}
	return newSession(r, inst, s.opts), nil
}

// install makes a new session the current one.
func (s *supervisor) install(next *session) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cur = next
	r := next.running
	s.st.PID, s.st.Version, s.st.SDKVersion, s.st.Summary = r.PID(), r.desc.Version, r.desc.SDKVersion, r.desc.Summary
	s.st.Path, s.st.Checksum, s.st.Protocol, s.st.Doubts = r.path, r.checksum, r.protocol, r.doubts
	s.enter(PhaseReady, "", "")
}

// fault decides what follows a crash or a start that failed.
func (s *supervisor) fault(err error) {
	if errors.Is(err, context.Canceled) {
		return // closing; run leaves its loop
	}
	if rule := RuleOf(s.errorOf(err)); rule.Action == HoldUntil || rule.Action == HoldAndAlert {
		s.refused(err)
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock()
	s.cur, s.st.PID = nil, 0
	s.st.Faults++
	s.streak++
	s.faults = append(s.faults, now)
	for len(s.faults) > 0 && now.Sub(s.faults[0]) > s.opts.BreakerWindow {
		s.faults = s.faults[1:]
	}
	hint := hintOf(err)
	switch kind := sdk.KindOf(err); {
	case kind == sdk.Invalid || kind == sdk.Unsupported:
		s.enter(PhaseBroken, err.Error(), hint)
	case len(s.faults) >= s.opts.BreakerFaults:
		s.enter(PhaseBroken, "it failed too often, last: "+err.Error(), "look into the log, then restart the adapter")
	default:
		s.enter(PhaseBackoff, err.Error(), hint)
		s.st.NextStart = now.Add(s.backoff())
	}
}

// backoff gives the pause before the next start, with a jitter of a quarter
// either way, so that many adapters do not come back at the same moment.
func (s *supervisor) backoff() time.Duration {
	d := s.opts.BackoffMin
	for range s.streak - 1 {
		if d = 2 * d; d >= s.opts.BackoffMax {
			d = s.opts.BackoffMax
			break
		}
	}
	return time.Duration(float64(d) * (0.75 + s.opts.Rand()/2))
}

// pause waits out the backoff, or less when there is an order or a change.
func (s *supervisor) pause(ctx context.Context) {
	s.mu.Lock()
	timer := time.NewTimer(s.st.NextStart.Sub(s.opts.Clock()))
	s.mu.Unlock()
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
			if s.refuseHeld() != nil {
				s.retire(ctx, PhaseStopped, "the host is left alone")
				return
			}
			s.begin(ctx)
			return
		case <-s.kick:
		}
		s.mu.Lock()
		now := len(s.orders) > 0 || s.stale
		s.stale = false
		s.mu.Unlock()
		if now {
			s.begin(ctx)
			return
		}
	}
}

// retire takes the current session out of use and stops it in the background;
// new callers wait for the next one.
func (s *supervisor) retire(ctx context.Context, phase Phase, reason string) {
	s.mu.Lock()
	old := s.cur
	s.cur = nil
	if s.st.Phase != phase {
		s.enter(phase, reason, "")
	}
	s.st.PID = 0
	s.mu.Unlock()
	s.drain(ctx, old)
}

// drain stops a session in the background: running calls may end first.
func (s *supervisor) drain(ctx context.Context, old *session) {
	if old == nil {
		return
	}
	s.draining.Go(func() {
		old.drain(ctx, s.opts, s.impatient)
		s.log.Debug("adapter's process has ended", "exit", old.Exit())
	})
}

// impatient gives a channel that is closed with the next change of phase or of
// patience, and whether patience is at its end.
func (s *supervisor) impatient() (<-chan struct{}, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed, s.hurry
}

// answer replies to all restarts that were asked for.
func (s *supervisor) answer(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, order := range s.orders {
		order <- err
	}
	s.orders = nil
}

// change takes over an instance as it is configured now.
func (s *supervisor) change(inst Instance) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := !sameInstance(s.inst, inst)
	s.inst = inst
	switch {
	case s.st.Starts > 0 && s.stamp(inst) != s.tried:
		fresh = true
	case s.st.Phase == PhaseBroken && s.opts.Clock().Sub(s.st.Since) > s.opts.BreakerWindow:
		fresh = true
	}
	if fresh {
		s.lift(core.KindUnauthenticated)
		s.stale = true
		s.poke()
	}
}

// refresh replaces the process of a program that was replaced. One that differs
// from what the last refresh saw may still be being written.
func (s *supervisor) refresh() {
	s.mu.Lock()
	defer s.mu.Unlock()
	stamp := s.stamp(s.inst)
	whole := stamp == s.looked
	s.looked = stamp
	if whole && stamp != "" && s.st.Starts > 0 && stamp != s.tried {
		s.stale = true
		s.poke()
	}
}

// restart asks for a new process and waits for it.
func (s *supervisor) restart(ctx context.Context) error {
	order := make(chan error, 1)
	s.mu.Lock()
	s.lift()
	s.bad = blames{}
	s.orders = append(s.orders, order)
	s.mu.Unlock()
	s.poke()
	select {
	case err := <-order:
		return err
	case <-s.done:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close stops everything and waits for it. When ctx ends, running calls are cut
// off.
func (s *supervisor) close(ctx context.Context) {
	s.cancel()
	s.tell(&s.closing)
	select {
	case <-s.done:
		return
	case <-ctx.Done():
	}
	s.tell(&s.hurry)
	<-s.done
}

// tell sets a flag and wakes everyone who looks at it.
func (s *supervisor) tell(flag *bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	*flag = true
	s.tellAll()
}

// tellAll wakes everyone who waits. s.mu is held.
func (s *supervisor) tellAll() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// state gives a copy of the state for others to read.
func (s *supervisor) state() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.st
	st.Name, st.Type, st.Role, st.SkipCertificates = s.inst.Name, s.inst.Type, string(s.inst.role()), s.inst.SkipCertificates
	if st.Path == "" {
		st.Path = s.inst.Path
	}
	s.showHold(&st)
	st.Warnings = s.warnings(s.opts.Clock())
	st.Waiting = s.wanted
	if s.cur != nil {
		calls, waiting := s.cur.load()
		st.Calls, st.Waiting = calls, st.Waiting+waiting
	}
	return st
}

func (s *supervisor) errorOf(err error) error {
	s.mu.Lock()
	inst := s.inst
	s.mu.Unlock()
	return errorOf(inst, err)
}
