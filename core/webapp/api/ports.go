package api

import (
	"context"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// Queue is what the admin's routes need of the run queue. *queue.Queue has it.
// Every error of an unknown path or job has core.KindNotFound.
type Queue interface {
	Status(ctx context.Context) (queue.Status, error)
	SetRunning(ctx context.Context, running bool) error
	SetMaxJobs(ctx context.Context, limit *int) error
	// Queue lists Lorries in queue order.
	Queue(ctx context.Context, page queue.Page) ([]core.LorryState, error)
	Lorry(ctx context.Context, path string) (core.LorryState, error)
	Explain(ctx context.Context, path string) (queue.Why, error)
	MoveToTop(ctx context.Context, path string) error
	MoveToBottom(ctx context.Context, path string) error
	Jobs(ctx context.Context, filter queue.JobFilter) ([]core.Job, error)
	Job(ctx context.Context, id core.JobID) (core.Job, error)
	// Output gives the job's kept output from byte offset on, at most limit
	// bytes (0: all of it).
	Output(ctx context.Context, id core.JobID, offset, limit int64) (string, error)
	// StopJob sets the kill flag; core.KindConflict when the job does not run.
	StopJob(ctx context.Context, id core.JobID) error
	// RemoveJob forgets an ended job; core.KindConflict while it runs.
	RemoveJob(ctx context.Context, id core.JobID) error
	// BuryGhosts ends the jobs whose lease ran out and says which.
	BuryGhosts(ctx context.Context) ([]core.Job, error)
	Hosts(ctx context.Context) ([]core.HostState, error)
	Problems(ctx context.Context) ([]core.Problem, error)
}

// Configuration re-reads CONFGIT and lists Upstream Hosts. *reconcile.Reconciler has it.
type Configuration interface {
	// ReadConfiguration fetches CONFGIT and applies it. Problems are what could
	// not be used; an error means that nothing was changed.
	ReadConfiguration(ctx context.Context) ([]core.Problem, error)
	// ListHosts lists the Upstream Hosts that are due, or all of them, and
	// names those that were refreshed. A host that fails keeps its Lorries;
	// its failure is in its HostState.
	ListHosts(ctx context.Context, all bool) ([]string, error)
}
