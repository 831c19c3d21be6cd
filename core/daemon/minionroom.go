package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/schedule"
)

// minionLister knows the minions. The run queue has it.
type minionLister interface {
	Minions(ctx context.Context) ([]queue.Minion, error)
}

const (
	// minionAway is how long a minion may keep quiet and still be one that could
	// take a job; with nothing to do it asks at least once a minute.
	minionAway = 3 * time.Minute
	// minionsPatience bounds a look at the minions.
	minionsPatience = 2 * time.Second
)

// shortMinions gives the minions that work, but have no room, and whether there
// are no others.
func shortMinions(ctx context.Context, from minionLister, clock core.Clock) (short []queue.Minion, all bool) {
	if from == nil {
		return nil, false
	}
	ctx, cancel := context.WithTimeout(ctx, minionsPatience)
	defer cancel()
	known, err := from.Minions(ctx)
	if err != nil {
		return nil, false // it is no reason to say anything of minions
	}
	others := 0
	for _, m := range known {
		switch {
		case m.Drain || clock().Sub(m.Seen) > minionAway:
		case m.Short != "":
			short = append(short, m)
		default:
			others++
		}
	}
	return short, len(short) > 0 && others == 0
}

// becauseOfMinions gives the reason of a Lorry that no minion takes because none
// of those that work has room.
func (g diskGuard) becauseOfMinions(ctx context.Context, why queue.Why) queue.Why {
	if short, all := shortMinions(ctx, g.minions, g.clock); all {
		why.Reason, why.Detail = schedule.BecauseDisk, "no minion has room: "+tellShort(short)
	}
	return why
}

// told is what an admin must know of the room, here and where the minions are.
func (g diskGuard) told(ctx context.Context) string {
	if warning := g.warning(); warning != "" {
		return warning
	}
	short, _ := shortMinions(ctx, g.minions, g.clock)
	return tellShort(short)
}

// tellShort names the first of some minions with their reason.
func tellShort(short []queue.Minion) string {
	const most = 3
	var told []string
	for _, m := range short[:min(len(short), most)] {
		told = append(told, fmt.Sprintf("minion %q gets no job: %s", m.Name, m.Short))
	}
	if more := len(short) - most; more > 0 {
		told = append(told, fmt.Sprintf("and %d more", more))
	}
	return strings.Join(told, "; ")
}
