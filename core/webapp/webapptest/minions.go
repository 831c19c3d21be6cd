package webapptest

import (
	"context"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// SeeMinions implements minions.Queue.
func (q *Queue) SeeMinions(_ context.Context, seen []queue.Minion) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, m := range seen {
		if m.First = m.Seen; q.minions[m.Name] != nil {
			m.First, m.Drain = q.minions[m.Name].First, q.minions[m.Name].Drain
		}
		q.minions[m.Name] = &m
	}
	return nil
}

// Minions implements api.Queue.
func (q *Queue) Minions(context.Context) ([]queue.Minion, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var all []queue.Minion
	for _, m := range q.minions {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(a, b queue.Minion) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

// Drains implements minions.Queue.
func (q *Queue) Drains(_ context.Context, name string) (bool, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.minions[name]
	return m != nil && m.Drain, nil
}

// DrainMinion implements api.Queue.
func (q *Queue) DrainMinion(_ context.Context, name string, drain bool) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	m := q.minions[name]
	if m == nil {
		return core.Errorf(core.KindNotFound, "there is no minion %q", name)
	}
	m.Drain = drain
	q.wake()
	return nil
}

// ForgetMinion implements api.Queue.
func (q *Queue) ForgetMinion(_ context.Context, name string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.minions[name] == nil {
		return core.Errorf(core.KindNotFound, "there is no minion %q", name)
	}
	for _, j := range q.jobs {
		if j.Running() && j.Minion == name {
			return core.Errorf(core.KindConflict, "minion %q runs job %d", name, j.ID)
		}
	}
	delete(q.minions, name)
	return nil
}
