package queue

import (
	"context"
	"time"
)

// HeldSearch selects held rewrites, in the order of path and ref. Zero fields
// do not select.
type HeldSearch struct {
	Path   string // of one Lorry
	Text   string // part of the path
	Before time.Time
	// Approved, when set, selects by whether an admin has approved them.
	Approved *bool
	// AfterPath and AfterRef are the last one of the page before.
	AfterPath, AfterRef string
	Limit               int // at most so many; below 1 means all
}

// FindHeld lists held rewrites page by page.
func (q *Queue) FindHeld(ctx context.Context, s HeldSearch) ([]HeldRewrite, error) {
	return q.store.FindHeld(ctx, s)
}
