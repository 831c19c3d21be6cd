package webapptest

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// SetHeldRewrites puts rewritten refs into the queue that wait for an approval.
func (q *Queue) SetHeldRewrites(held ...queue.HeldRewrite) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.held = held
}

// change acts on one Lorry.
func (q *Queue) change(path string, act func(l *core.LorryState)) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, err := q.lorry(path)
	if err != nil {
		return err
	}
	act(l)
	q.wake()
	return nil
}

// Retry implements api.Queue.
func (q *Queue) Retry(_ context.Context, path string) error {
	return q.change(path, func(l *core.LorryState) { l.Failures, l.Due = 0, q.clock() })
}

// HoldLorry implements api.Queue.
func (q *Queue) HoldLorry(_ context.Context, path, reason string) error {
	return q.change(path, func(l *core.LorryState) { l.HeldReason = reason })
}

// ResumeLorry implements api.Queue.
func (q *Queue) ResumeLorry(_ context.Context, path string) error {
	return q.change(path, func(l *core.LorryState) { l.HeldReason = "" })
}

// HoldHost implements api.Queue.
func (q *Queue) HoldHost(_ context.Context, name string, until time.Time, reason string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.hosts {
		if q.hosts[i].Name == name {
			q.hosts[i].HeldUntil, q.hosts[i].HeldReason = until, reason
			return nil
		}
	}
	if q.others == nil {
		q.others = map[string]queue.HostHold{}
	}
	q.others[name] = queue.HostHold{Until: until, Reason: reason}
	return nil
}

// ResumeHost implements api.Queue.
func (q *Queue) ResumeHost(ctx context.Context, name string) error {
	return q.HoldHost(ctx, name, time.Time{}, "")
}

// HeldRewrites implements api.Queue.
func (q *Queue) HeldRewrites(_ context.Context, path string) ([]queue.HeldRewrite, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var list []queue.HeldRewrite
	for _, h := range q.held {
		if path == "" || h.Path == path {
			list = append(list, h)
		}
	}
	return list, nil
}

// ApproveRewrite implements api.Queue.
func (q *Queue) ApproveRewrite(_ context.Context, path, ref, old, tip string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i, h := range q.held {
		if h.Path != path || h.Ref != ref {
			continue
		}
		if h.New != tip || old != "" && h.Old != old {
			return core.Errorf(core.KindConflict, "the rewrite of %q in %q that waits is from %q to %q", ref, path, h.Old, h.New)
		}
		q.held[i].Approved = true
		return nil
	}
	return core.Errorf(core.KindNotFound, "no rewrite of %q in %q waits", ref, path)
}
