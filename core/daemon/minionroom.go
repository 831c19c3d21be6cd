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

// shortMinions gives the minions that work, but have no room; absent says why
// nobody else will ask for a job, or is "".
func shortMinions(ctx context.Context, from minionLister, clock core.Clock) (short []queue.Minion, absent string) {
	if from == nil {
		return nil, ""
	}
	ctx, cancel := context.WithTimeout(ctx, minionsPatience)
	defer cancel()
	known, err := from.Minions(ctx)
	if err != nil {
		return nil, "" // it is no reason to say anything of minions
	}
	others, drain := 0, 0
	for _, m := range known {
		switch {
		case clock().Sub(m.Seen) > minionAway:
		case m.Drain:
			drain++
		case m.Short != "":
			short = append(short, m)
		default:
			others++
		}
	}
	switch {
	case others > 0:
		return short, ""
	case drain > 0:
		return short, "those that ask are told to drain"
	}
	return short, fmt.Sprintf("none has asked for a job within %s", core.Span(minionAway))
}

// becauseOfMinions gives the reason of a Lorry that no minion takes because none
// of those that work has room, or because there are none.
func (g diskGuard) becauseOfMinions(ctx context.Context, why queue.Why) queue.Why {
	switch short, absent := shortMinions(ctx, g.minions, g.clock); {
	case absent == "":
	case len(short) > 0:
		why.Reason, why.Detail = schedule.BecauseDisk, "no minion has room: "+tellShort(short)
	default:
		why.Detail += ": " + absent
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
