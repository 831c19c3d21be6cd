package minions

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// keepAlive gives signs of life of claimed jobs while they are prepared, every
// third of a lease: their minion can't yet, and a Downstream Host may take
// longer than a lease. The returned function must be called; it ends that, and
// says which jobs were lost all the same. A host that is quick costs nothing.
func (m *Minions) keepAlive(ctx context.Context, claimed []queue.Claimed) (lost func() map[core.JobID]bool) {
	gone := make(map[core.JobID]bool)
	every := m.queue.Lease() / 3
	if every <= 0 {
		return func() map[core.JobID]bool { return gone }
	}
	began := time.Now()
	beating, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-beating.Done():
				return
			case <-tick.C:
				m.beat(beating, claimed, gone)
			}
		}
	}()
	return func() map[core.JobID]bool {
		cancel()
		<-done
		if time.Since(began) >= every && ctx.Err() == nil {
			m.beat(ctx, claimed, gone) // the minion begins with a whole lease
		}
		return gone
	}
}

// beat gives one sign of life of each job that is not gone, and notes those that
// are: they have ended, or run elsewhere.
func (m *Minions) beat(ctx context.Context, claimed []queue.Claimed, gone map[core.JobID]bool) {
	updates := make([]queue.UpdateParams, 0, len(claimed))
	for _, c := range claimed {
		if !gone[c.Job.ID] {
			updates = append(updates, queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence})
		}
	}
	if len(updates) == 0 {
		return
	}
	bounded, cancel := context.WithTimeout(ctx, claimTimeout)
	defer cancel()
	results, err := m.queue.Update(bounded, updates)
	if err != nil {
		if ctx.Err() == nil {
			m.log.Warn("jobs that are prepared could not be kept alive", "error", err)
		}
		return
	}
	for i, result := range results {
		if result.Stale {
			gone[updates[i].Job] = true
		}
	}
}
