package daemon

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/telemetry/metrics"
)

// metricsSource gives the figures that a scrape asks for.
func (d *Daemon) metricsSource() metrics.Source {
	return metrics.Source{
		Version: d.opts.Version, Clock: time.Now, Hosts: d.queue.Hosts, Problems: d.queue.Problems,
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
					Starts: s.Starts, Faults: s.Faults, Calls: s.Calls, HeldUntil: s.HeldUntil,
				})
			}
			return list
		},
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
