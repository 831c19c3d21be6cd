package minions

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// Queue is what the minions' routes need of the run queue. *queue.Queue has it.
type Queue interface {
	// Claim starts jobs for due Lorries; none due is an empty answer.
	Claim(ctx context.Context, p queue.ClaimParams) ([]queue.Claimed, error)
	// WaitDue returns when a Lorry may have become due, or with ctx's end.
	WaitDue(ctx context.Context)
	// Update applies each report on its own; results are in the same order.
	Update(ctx context.Context, updates []queue.UpdateParams) ([]queue.UpdateResult, error)
	Job(ctx context.Context, id core.JobID) (core.Job, error)
	Lorry(ctx context.Context, path string) (core.LorryState, error)
	// SeeMinions records who asked for a job; Drains says who gets none.
	SeeMinions(ctx context.Context, seen []queue.Minion) error
	Drains(ctx context.Context, name string) (bool, error)
	// Lease is how long a minion may stay silent.
	Lease() time.Duration
}

// Preparer gets the Downstream Host and the credentials ready for a job. It is
// called outside any transaction and may take as long as its context allows.
type Preparer interface {
	// Prepare makes sure that the downstream repository can be pushed to and
	// gives the access to both sides.
	Prepare(ctx context.Context, lorry core.LorryState) (Prepared, error)
	// Pushed tells the Downstream Host that branches have arrived; head is the
	// upstream's default branch as the importer saw it, or "".
	Pushed(ctx context.Context, lorry core.LorryState, head string) error
}

// Prepared is what a job needs beside its text.
type Prepared struct {
	Fetch     *core.Access // nil: the spec's URL as it stands
	Push      core.Access
	FileRoots []string
	// DenyPrivate refuses to fetch from addresses that are not public, but for
	// those of Allow.
	DenyPrivate bool
	Allow       []string
	// PushOptions are given to git with every push of the job, in order.
	PushOptions []string
	// Created says that the repository on the Downstream Host was made just now:
	// what an earlier push brought there is gone.
	Created bool
}
