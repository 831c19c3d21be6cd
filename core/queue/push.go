package queue

import (
	"context"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Push is what an upstream told: that something was pushed, or that a host has
// got or lost repositories.
type Push struct {
	// Repositories are names as core.RepositoryName gives them.
	Repositories []string
	// Generated are repositories of Upstream Hosts.
	Generated []HostPath
	// Hosts are Upstream Hosts of CONFGIT whose listing has changed; a name of
	// no host is no error.
	Hosts []string
}

// HostPath is a repository's path on an Upstream Host of CONFGIT. Upper and
// lower case are told apart.
type HostPath struct{ Host, Path string }

// PushResult says what a Push has moved.
type PushResult struct{ Lorries, Hosts int }

// pushMax bounds the Lorries that one push moves: several can mirror one
// repository, and a host can tell of several repositories at once.
const pushMax = 1000

// FirstTurn is behind the places of what an admin moves to the top, and before
// those of what was pushed. Up to the year 2223 these are negative when it moves
// their times, in microseconds, before all times of the queue: so pushed Lorries
// come in the order of the pushes and before those whose interval is over.
const FirstTurn = -8_000_000_000_000_000

// Pushed makes the Lorries of what was pushed due now and first, and the
// listings of the hosts due. A Lorry that waits since an earlier push keeps its
// place; one that runs is due again when its job ends, since that may have begun
// before the push.
func (q *Queue) Pushed(ctx context.Context, p Push) (PushResult, error) {
	paths, err := q.store.PushedLorries(ctx, p, pushMax)
	if err != nil || len(paths)+len(p.Hosts) == 0 {
		return PushResult{}, err
	}
	slices.Sort(paths) // one order for all who lock several rows
	at := q.clock().UTC()
	result := PushResult{Lorries: len(paths)}
	err = q.change(ctx, func(ctx context.Context, tx Tx) error {
		if err := tx.Push(ctx, slices.Compact(paths), at, pushedTurn(at)); err != nil {
			return err
		}
		hosts, err := tx.ListSoon(ctx, p.Hosts, at)
		result.Hosts = hosts
		return err
	})
	if err != nil {
		return PushResult{}, err
	}
	return result, nil
}

// clockSlack is how far the clocks of several cores may be apart.
const clockSlack = time.Minute

// pushedTurn is the place in the queue of what was pushed then.
func pushedTurn(at time.Time) int64 { return at.UnixMicro() + FirstTurn }

// again makes a Lorry due once more whose job began before the last push, before
// an admin asked for one, or before its text changed. It says so: then what the
// job saw is no reason for the next one to look at less. A push that is still to
// come is one of before the clock was set back: until then each job would have
// begun before it.
func again(j core.Job, l *core.LorryState) bool {
	if l.Pushed.IsZero() || l.Pushed.Before(j.Started) || l.Pushed.After(j.Ended.Add(clockSlack)) {
		return false
	}
	l.Due, l.Position = l.Pushed, pushedTurn(l.Pushed)
	return true
}

// unfinished gives a Lorry its place back whose job came to nothing through no
// fault of its own: it must not wait behind all that became due meanwhile.
func unfinished(before, l *core.LorryState) {
	if before.Due.Before(l.Due) {
		l.Due = before.Due
	}
	if before.Pushed.After(before.LastRun) {
		l.Position = pushedTurn(before.Pushed)
	}
}
