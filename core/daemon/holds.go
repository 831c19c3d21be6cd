package daemon

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// hostHolder keeps the Lorries of an upstream host name, or all of them, from
// being claimed. *queue.Queue has it.
type hostHolder interface {
	HostHolds(ctx context.Context) (map[string]queue.HostHold, error)
	HoldHostLonger(ctx context.Context, name string, until time.Time, reason string) error
	EndHold(ctx context.Context, name, reason string) error
}

// party is a host on the way of a job.
type party struct {
	adapter string // the instance that speaks for it
	held    string // what the queue holds for it
	up      bool   // it is an Upstream Host
}

func upstreamOf(l core.LorryState) party { return party{l.Host, l.UpstreamHost, true} }
func theDownstream() party               { return party{adapter.DownstreamName, queue.AllHosts, false} }

// react does what the table of error kinds says about an error, as far as it
// goes beyond the one job: a host that wants to be left alone, or refuses the
// credentials, is held in the queue, so that its Lorries need not fail one after
// the other; that a repository is gone is asked of a listing. It gives the error.
func (p *preparer) react(ctx context.Context, at party, err error) error {
	var also error
	switch adapter.RuleOf(err).Action {
	case adapter.HoldUntil, adapter.HoldAndAlert:
		also = p.hold(ctx, at, err)
	case adapter.ConfirmByListing:
		if at.up && p.confirm != nil {
			also = p.confirm(ctx, at.adapter)
		}
	default: // the job's failure and the adapter's state say it all
	}
	if also != nil {
		return fmt.Errorf("%w (and the host can't be held or listed: %v)", err, also) //nolint:errorlint // the first one says what to do
	}
	return err
}

// listingFailed holds the Lorries of an Upstream Host that asks to be left alone
// while it is listed: their jobs would go on asking it.
func (d *Daemon) listingFailed(ctx context.Context, host, upstreamHost string, err error) {
	if d.prepare == nil || adapter.RuleOf(err).Action != adapter.HoldUntil {
		return // the next listing tries again
	}
	if holdErr := d.prepare.hold(ctx, party{adapter: host, held: upstreamHost, up: true}, err); holdErr != nil {
		d.log.Warn("a host can't be held", "host", host, "err", holdErr)
	}
}

// hold holds a host, unless it is held for longer already, by an admin perhaps.
func (p *preparer) hold(ctx context.Context, at party, err error) error {
	if p.holder == nil || at.held == "" {
		return nil
	}
	return p.holder.HoldHostLonger(ctx, at.held, p.clock().Add(adapter.HoldFor(err)), markHold(core.KindOf(err), at.adapter)+err.Error())
}

// markHold begins the reason of a hold that an adapter's error was the reason
// of, so that it can be told from an admin's.
func markHold(kind core.Kind, name string) string { return fmt.Sprintf("[%s: %s] ", kind, name) }

// adapterOfHold gives the kind of error and the adapter that a hold is because
// of, or false when it is somebody else's.
func adapterOfHold(reason string) (kind core.Kind, name string, ok bool) {
	mark, _, ok := strings.Cut(reason, "] ")
	rest, marked := strings.CutPrefix(mark, "[")
	k, name, split := strings.Cut(rest, ": ")
	return core.Kind(k), name, ok && marked && split
}

// liftHolds ends the holds of hosts whose adapter would ask them again, because
// their configuration has changed, this core was started anew, or somebody has
// restarted the adapter named (then whatever the hold is for).
func liftHolds(ctx context.Context, holder hostHolder, states []adapter.State, restarted string) error {
	holds, err := holder.HostHolds(ctx)
	if err != nil {
		return err
	}
	stillHeld := map[string]bool{}
	for _, s := range states {
		stillHeld[s.Name] = s.HeldKind == string(core.KindUnauthenticated)
	}
	for name, hold := range holds {
		kind, instance, ours := adapterOfHold(hold.Reason)
		changed := kind == core.KindUnauthenticated && !stillHeld[instance]
		if !ours || instance != restarted && !changed {
			continue
		}
		if err := holder.EndHold(ctx, name, hold.Reason); err != nil {
			return err
		}
	}
	return nil
}
