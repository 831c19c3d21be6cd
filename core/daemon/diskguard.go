package daemon

import (
	"context"
	"fmt"
	"path/filepath"
	"syscall"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/schedule"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/telemetry/metrics"
)

// diskGuard gives no new job while a file system has too little room, since a
// job that ends with a full disk costs more than one that waits. What runs goes
// on, and jobs are given again by itself once there is room.
type diskGuard struct {
	adminQueue
	dirs    []string     // whose file systems are watched
	minFree func() int64 // bytes
	free    func(dir string) (int64, error)
	clock   core.Clock
	minions minionLister // of all minions, also those of other cores; nil: none
}

// timedQueue tells the metrics how long the STATEDB takes.
type timedQueue struct {
	diskGuard
	metrics *metrics.Metrics
}

// Update passes the reports on.
func (q timedQueue) Update(ctx context.Context, updates []queue.UpdateParams) ([]queue.UpdateResult, error) {
	began := time.Now()
	defer func() { q.metrics.StateDB("update", time.Since(began)) }()
	return q.diskGuard.Update(ctx, updates)
}

// Claim passes the request on.
func (q timedQueue) Claim(ctx context.Context, p queue.ClaimParams) ([]queue.Claimed, error) {
	began := time.Now()
	defer func() { q.metrics.StateDB("claim", time.Since(began)) }()
	return q.diskGuard.Claim(ctx, p)
}

// guardAgain is how soon a minion that waits looks again for room.
const guardAgain = 5 * time.Second

// Claim gives nothing while there is too little room.
func (g diskGuard) Claim(ctx context.Context, p queue.ClaimParams) ([]queue.Claimed, error) {
	if g.warning() != "" {
		return nil, nil
	}
	return g.adminQueue.Claim(ctx, p)
}

// Explain tells of the room, too.
func (g diskGuard) Explain(ctx context.Context, path string) (queue.Why, error) {
	why, err := g.adminQueue.Explain(ctx, path)
	if why = g.because(why); err == nil && why.Reason == schedule.BecauseDue {
		why = g.becauseOfMinions(ctx, why)
	}
	return why, err
}

// because gives the reason of a Lorry that nothing but the room keeps waiting.
func (g diskGuard) because(why queue.Why) queue.Why {
	if warning := g.warning(); warning != "" && why.Reason == schedule.BecauseDue {
		why.Reason, why.Detail = schedule.BecauseDisk, warning
	}
	return why
}

// WaitDue waits for room before it waits for a Lorry.
func (g diskGuard) WaitDue(ctx context.Context) {
	if g.warning() == "" {
		g.adminQueue.WaitDue(ctx)
		return
	}
	timer := time.NewTimer(guardAgain)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// warning says which file system has too little room, or is "". One that can't
// be asked is no reason to stop.
func (g diskGuard) warning() string {
	least := g.minFree()
	for _, dir := range g.dirs {
		if free, err := g.free(dir); err == nil && free < least {
			return fmt.Sprintf("no new job is given: only %d MB are free where %s is, less than min-free (%d MB)",
				free/1e6, dir, least/1e6)
		}
	}
	return ""
}

// guardedDirs are where this core and its own minions write.
func guardedDirs(c settings.Controller) []string {
	dirs := []string{c.Data}
	if url := c.StateDB.Reveal(); !statedb.IsPostgres(url) {
		dirs = append(dirs, filepath.Dir(url))
	}
	if c.Minions > 0 {
		dirs = append(dirs, c.WorkingArea)
	}
	return dirs
}

// freeBytes tells how much disk space is left where dir is.
func freeBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * s.Bsize, nil
}
