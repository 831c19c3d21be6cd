package daemon

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
)

// chore is one thing that upkeep does again and again.
type chore struct {
	name string
	// first is the time from the start to the first run, every the time from
	// the end of one run to the next; 0 means that it never runs by itself.
	first, every time.Duration
	// pace gives every, when it may change; nil: it does not.
	pace func() time.Duration
	// once runs it once also when every is 0.
	once bool
	// asked gets a value when it is to run at once; nil: never.
	asked <-chan struct{}
	do    func(ctx context.Context) error
}

// leadAgain is how soon a core that does not lead looks again.
const leadAgain = 5 * time.Second

// upkeep runs chores in whichever core leads. Each has a goroutine of its own,
// so that a host that hangs delays no other chore; one that fails is logged and
// comes round again.
type upkeep struct {
	chores []chore
	log    hclog.Logger
	// lead finds out which core does the upkeep, until ctx ends; nil when there
	// is no other one.
	lead func(ctx context.Context)
	// leads reports whether this core is the one that does the upkeep, and gives
	// the context in which it may.
	leads func(ctx context.Context) (context.Context, bool)
	// changed gives what is closed when the pace of chores may have changed;
	// nil: it does not.
	changed func() <-chan struct{}
}

// run returns when ctx has ended and every chore has stopped.
func (u *upkeep) run(ctx context.Context) {
	var running sync.WaitGroup
	if u.lead != nil {
		running.Go(func() { u.lead(ctx) })
	}
	for _, c := range u.chores {
		running.Go(func() { u.repeat(ctx, c) })
	}
	running.Wait()
}

func (u *upkeep) repeat(ctx context.Context, c chore) {
	var last time.Time // the end of the last run
	first := time.Now().Add(c.first)
	for {
		var changed <-chan struct{} // before the pace is asked for
		if u.changed != nil {
			changed = u.changed()
		}
		next, ever := c.next(first, last)
		if !u.until(ctx, next, ever, changed, c.asked) {
			if ctx.Err() != nil {
				return
			}
			continue
		}
		term, ok := u.leads(ctx)
		if !ok {
			first, last = time.Now().Add(leadAgain), time.Time{}
			continue
		}
		if err := c.do(term); err != nil && term.Err() == nil {
			u.log.Warn("upkeep failed", "chore", c.name, "err", err, "hint", hintOf(err))
		}
		last = time.Now()
	}
}

// hintOf is what to do about an error, or "".
func hintOf(err error) string {
	var known *core.Error
	if errors.As(err, &known) {
		return known.Hint
	}
	return ""
}

// next is when a chore is to run, if it is to run by itself.
func (c chore) next(first, last time.Time) (at time.Time, ever bool) {
	every := c.every
	if c.pace != nil {
		every = c.pace()
	}
	switch {
	case last.IsZero():
		return first, every > 0 || c.once
	default:
		return last.Add(every), every > 0
	}
}

// until waits until a time, or for ever, but no longer than until somebody asks;
// false when ctx has ended or the settings have changed before.
func (u *upkeep) until(ctx context.Context, next time.Time, ever bool, changed, asked <-chan struct{}) bool {
	var due <-chan time.Time
	if ever {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		due = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-changed:
		return false
	case <-asked:
		return ctx.Err() == nil
	case <-due:
		return ctx.Err() == nil
	}
}
