package daemon

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// chore is one thing that upkeep does again and again.
type chore struct {
	name string
	// first is the time from the start to the first run, every the time from
	// the end of one run to the next; every 0 means no further run.
	first, every time.Duration
	do           func(ctx context.Context) error
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
	timer := time.NewTimer(c.first)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		term, ok := u.leads(ctx)
		if !ok {
			timer.Reset(leadAgain)
			continue
		}
		if err := c.do(term); err != nil && term.Err() == nil {
			u.log.Warn("upkeep failed", "chore", c.name, "err", err)
		}
		if c.every <= 0 {
			return
		}
		timer.Reset(c.every)
	}
}
