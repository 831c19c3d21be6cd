package daemon

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/telemetry/metrics"
)

// metricsSource gives the figures that a scrape asks for.
func (d *Daemon) metricsSource() metrics.Source {
	return metrics.Source{
		Version: d.opts.Version, Clock: time.Now, Minions: d.countMinions, Mirrors: d.mirrors,
		Hosts:    func(ctx context.Context) ([]core.HostState, error) { return d.queue.Hosts(ctx) },
		Problems: func(ctx context.Context) ([]core.Problem, error) { return d.queue.Problems(ctx) },
		Ping:     func(ctx context.Context) error { return d.db.Ping(ctx) },
		Lorries:  d.eachLorry(),
		Queue: func(ctx context.Context) (metrics.Queue, error) {
			s, err := d.queue.Status(ctx)
			return metrics.Queue{
				Running: s.Running, MaxJobs: s.MaxJobs, Lorries: s.Counts.Lorries, Jobs: s.Counts.Running,
				Due: s.Counts.Due, Failing: s.Counts.Failing, Held: s.Counts.Held,
			}, err
		},
		Adapters: func() []metrics.Adapter {
			var list []metrics.Adapter
			for _, s := range d.adapters.States() {
				list = append(list, metrics.Adapter{
					Name: s.Name, Type: s.Type, State: string(s.Phase), Version: s.Version,
					Starts: s.Starts, Faults: s.Faults, Calls: s.Calls, HeldUntil: s.HeldUntil, ExpiresAt: s.ExpiresAt,
				})
			}
			return list
		},
	}
}

// minionSilent is how long a minion may not be heard of until it counts as
// silent.
const minionSilent = 10 * time.Minute

// countMinions counts the minions by state.
func (d *Daemon) countMinions(ctx context.Context) (map[string]int, error) {
	all, err := d.queue.Minions(ctx)
	by := map[string]int{}
	for _, m := range all {
		switch {
		case time.Since(m.Seen) > minionSilent:
			by["silent"]++
		case m.Drain:
			by["draining"]++
		default:
			by["active"]++
		}
	}
	return by, err
}

func (d *Daemon) mirrors(ctx context.Context) (metrics.Mirrors, error) {
	f, err := d.db.Figures(ctx, metrics.StalenessBounds())
	return metrics.Mirrors{
		Within: f.Within, Equal: f.Equal, Never: f.Never, Sum: f.Sum, Worst: f.Worst, DiskUsage: f.DiskUsage, Overdue: f.Overdue,
	}, err
}

// eachLorry gives a function that lists all Lorries, or nil when there are to be
// no metrics of single ones.
func (d *Daemon) eachLorry() func(context.Context, func(core.LorryState)) error {
	if !d.config.MetricsPerLorry {
		return nil
	}
	const page = 1000
	return func(ctx context.Context, tell func(core.LorryState)) error {
		for f := (queue.LorryFilter{Sort: queue.SortPath, Limit: page}); ; {
			list, err := d.queue.FindLorries(ctx, f)
			if err != nil {
				return err
			}
			for _, l := range list.Lorries {
				tell(l)
			}
			if f.After = list.Next; f.After == nil {
				return nil
			}
		}
	}
}

// countedReads counts the readings of CONFGIT.
type countedReads struct {
	*reconcile.Reconciler
	metrics *metrics.Metrics
}

// ReadConfiguration reads CONFGIT and counts that.
func (c countedReads) ReadConfiguration(ctx context.Context) ([]core.Problem, error) {
	problems, err := c.Reconciler.ReadConfiguration(ctx)
	c.metrics.ConfigRead(err, time.Now())
	return problems, err
}
