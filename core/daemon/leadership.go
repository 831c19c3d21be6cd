package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// leadership keeps the lease of the core that does the upkeep. A core that
// cannot renew it, because the database or its network is away, steps down after
// two thirds of it, before another one can have taken over: what it was doing is
// cancelled. What it writes all the same, because it was stopped in the middle and
// goes on after another has taken over, the database refuses by its term.
type leadership struct {
	// try takes or renews the lease for ttl; term grows with each holder.
	try func(ctx context.Context) (term int64, ok bool, err error)
	ttl time.Duration
	log hclog.Logger

	asked chan struct{} // closed at the first answer

	mu      sync.Mutex
	term    int64
	leading context.Context // nil while another core leads
	stop    context.CancelFunc
	trust   *time.Timer // ends the leading unless it is renewed
}

func newLeadership(ttl time.Duration, log hclog.Logger, try func(ctx context.Context) (int64, bool, error)) *leadership {
	return &leadership{try: try, ttl: ttl, log: log, asked: make(chan struct{})}
}

// run asks for the lease again and again until ctx ends.
func (l *leadership) run(ctx context.Context) {
	defer l.stepDown()
	answered := sync.OnceFunc(func() { close(l.asked) })
	defer answered()
	for {
		wait := min(l.ttl/3, leadAgain)
		trust := time.Now().Add(l.ttl * 2 / 3)
		term, ok, err := l.try(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			l.log.Warn("can't tell who does the upkeep", "err", err)
		case err == nil && ok:
			l.lead(ctx, term, trust)
			wait = l.ttl / 3
		case err == nil:
			l.stepDown()
		}
		answered()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// lead goes on leading until the given time.
func (l *leadership) lead(ctx context.Context, term int64, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leading != nil && l.term == term && l.trust.Stop() {
		l.trust.Reset(time.Until(until))
		return
	}
	l.end()
	l.term = term
	l.leading, l.stop = context.WithCancel(statedb.UnderTerm(ctx, term))
	l.trust = time.AfterFunc(time.Until(until), l.stepDown)
	l.log.Debug("this core does the upkeep", "term", term)
}

func (l *leadership) stepDown() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leading != nil {
		l.log.Debug("this core does the upkeep no longer", "term", l.term)
	}
	l.end()
}

// end is to be called with the lock held.
func (l *leadership) end() {
	if l.leading != nil {
		l.trust.Stop()
		l.stop()
		l.leading = nil
	}
}

// leads reports whether this core does the upkeep, and gives the context in
// which it may, which ends when it steps down.
func (l *leadership) leads(ctx context.Context) (context.Context, bool) {
	select {
	case <-l.asked:
	case <-ctx.Done():
		return ctx, false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.leading, l.leading != nil
}
