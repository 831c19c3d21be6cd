package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/retire"
)

// retireEvery is how often it is looked for repositories to archive.
const retireEvery = 5 * time.Second

// retireChore archives, on the Downstream Host, the repositories of Lorries
// that went away, where that is wanted.
func (d *Daemon) retireChore() chore {
	retirer := retire.New(retire.Options{
		Store: d.db, Clock: d.clock.now, Log: d.log.Named("retire"),
		Host: func() (retire.Host, error) {
			down, err := d.adapters.Downstream(adapter.DownstreamName)
			if err != nil {
				return nil, err
			}
			host, ok := down.(retire.Host)
			if !ok {
				return nil, core.Errorf(core.KindUnsupported, "it can't retire repositories")
			}
			return host, nil
		},
		Audit: func(ctx context.Context, e audit.Entry) error {
			_, err := d.db.AppendAudit(ctx, e)
			return err
		},
	})
	return chore{name: "archive old repositories", first: retireEvery, every: retireEvery, do: func(ctx context.Context) error {
		if err := d.setDefaultRetire(ctx); err != nil {
			return err
		}
		return retirer.Round(ctx)
	}}
}

// setDefaultRetire records what the settings say of sections that say nothing.
func (d *Daemon) setDefaultRetire(ctx context.Context) error {
	return d.db.SetDefaultRetire(ctx, d.live().Downstream.Retire)
}

// retirements are the repositories that were archived, or are to be. The
// STATEDB has them.
type retirements interface {
	Retirement(ctx context.Context, path string) (retire.Retirement, bool, error)
	ForgetRetirement(ctx context.Context, path string) error
}

// revived finds out whether the repository of a Lorry that is back may have
// been archived. Then nothing that was known of it counts any more.
func (p *preparer) revived(ctx context.Context, path string, known *facts) (back, revive bool, err error) {
	if p.retired == nil {
		return false, false, nil
	}
	r, found, err := p.retired.Retirement(ctx, path)
	if err != nil {
		return false, false, fmt.Errorf("whether %q was archived: %w", path, err)
	}
	if found {
		*known = facts{}
	}
	return found, r.Attempts > 0, nil
}
