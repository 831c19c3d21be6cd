package minions

import (
	"context"
	"sync"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// mostOwed bounds how many Lorries are remembered; those beyond wait for their
// next push, or for the day's look at downstream.
const mostOwed = 10_000

// owed are the Lorries whose Downstream Host could not be told of their last
// push. It is safe to lose.
type owed struct {
	mu    sync.Mutex
	paths map[string]struct{}
}

// note records how the Downstream Host was told of a Lorry's push.
func (o *owed) note(path string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case err == nil:
		delete(o.paths, path)
	case path != "" && len(o.paths) < mostOwed:
		if o.paths == nil {
			o.paths = make(map[string]struct{})
		}
		o.paths[path] = struct{}{}
	}
}

func (o *owed) none() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.paths) == 0
}

func (o *owed) has(path string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, is := o.paths[path]
	return is
}

// ended sees to what follows a good end. A job that only looked at upstream
// (it wrote nothing) has brought nothing downstream: the host is told only of
// what it should know already.
func (m *Minions) ended(ctx context.Context, u protocol.Update, p queue.UpdateParams) {
	switch {
	case !p.Unchanged || p.Sent > 0 || p.Output != "":
		m.pushed(ctx, u, m.tellPushed)
	case !m.owed.none():
		m.pushed(ctx, u, m.tellOwed)
	}
}

// tellOwed tells of a push that the host should know of.
func (m *Minions) tellOwed(ctx context.Context, u protocol.Update) (path string, err error) {
	job, err := m.queue.Job(ctx, u.JobID)
	if err != nil || !m.owed.has(job.Path) {
		return "", err
	}
	return m.tellPushed(ctx, u)
}
