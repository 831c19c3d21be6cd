package daemon

import (
	"context"
	"fmt"
	"syscall"
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
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

// freeBytes tells how much disk space is left where dir is.
func freeBytes(dir string) (int64, error) {
	var s syscall.Statfs_t
	if err := syscall.Statfs(dir, &s); err != nil {
		return 0, err
	}
	return int64(s.Bavail) * s.Bsize, nil
}
