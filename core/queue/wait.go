package queue

import (
	"context"
	"sync"
	"time"
)

// pollEvery bounds how long WaitDue trusts what this core knows: another core
// may have changed the STATEDB.
const pollEvery = 10 * time.Second

// waiters lets minions wait for work without asking the STATEDB again and
// again. gen counts the changes that may have made a Lorry claimable.
type waiters struct {
	mu      sync.Mutex
	gen     uint64
	changed chan struct{} // closed at the next change
	// The last claim that found nothing: what had changed before it, and when
	// it looked.
	seen   bool
	seenAt time.Time
	next   time.Time // the next due time after seenAt; zero when not known
}

// Wake makes waiting minions look again: call it when Lorries may have become
// claimable in a way that the queue does not see, such as after a reading of
// CONFGIT.
func (q *Queue) Wake() {
	w := &q.waiters
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gen++
	w.seen, w.next = false, time.Time{}
	close(w.changed)
	w.changed = make(chan struct{})
}

// generation is to be read before a claim and given to foundNothing.
func (w *waiters) generation() uint64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.gen
}

// foundNothing records that a claim at that time found nothing to give.
func (w *waiters) foundNothing(gen uint64, at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if gen != w.gen {
		return
	}
	w.seen, w.seenAt = true, at
	if !w.next.After(at) {
		w.next = time.Time{}
	}
}

// dueAt records that a Lorry becomes due then. Minions that wait already learn
// it when they look again.
func (w *waiters) dueAt(t time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t.Before(w.next) {
		w.next = t
	}
}

// WaitDue returns when a Lorry may have become claimable since the last claim
// that found nothing, or with ctx's end. One that is due but may not be claimed,
// because of a limit or a hold, does not end the wait; what lifts the limit does.
func (q *Queue) WaitDue(ctx context.Context) {
	w := &q.waiters
	w.mu.Lock()
	changed, seen, at, next := w.changed, w.seen, w.seenAt, w.next
	w.mu.Unlock()
	if !seen {
		return
	}
	if next.IsZero() {
		var err error
		if next, err = q.store.NextTurn(ctx, at); err != nil {
			q.log.Warn("cannot tell when the next Lorry is due", "error", err)
		}
		w.mu.Lock()
		if w.changed == changed {
			w.next = next
		}
		w.mu.Unlock()
	}
	wait := pollEvery
	if !next.IsZero() {
		wait = min(wait, max(next.Sub(q.clock()), 0))
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-changed:
	case <-timer.C:
	}
}
