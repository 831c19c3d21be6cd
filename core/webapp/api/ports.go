package api

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
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
	// QueuePaths lists the same Lorries by their paths alone.
	QueuePaths(ctx context.Context, page queue.Page) ([]string, error)
	Lorry(ctx context.Context, path string) (core.LorryState, error)
	Explain(ctx context.Context, path string) (queue.Why, error)
	MoveToTop(ctx context.Context, path string) error
	MoveToBottom(ctx context.Context, path string) error
	Jobs(ctx context.Context, filter queue.JobFilter) ([]core.Job, error)
	// JobIDs lists the ids above after of the same jobs, oldest first, at most
	// limit.
	JobIDs(ctx context.Context, filter queue.JobFilter, after core.JobID, limit int) ([]core.JobID, error)
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
	// Retry forgets a Lorry's failures and makes it due now.
	Retry(ctx context.Context, path string) error
	// HoldLorry keeps a Lorry from being claimed until ResumeLorry.
	HoldLorry(ctx context.Context, path, reason string) error
	ResumeLorry(ctx context.Context, path string) error
	// HoldHost keeps all Lorries of an upstream host name from being claimed
	// until then (zero: for ever) or until ResumeHost.
	HoldHost(ctx context.Context, name string, until time.Time, reason string) error
	ResumeHost(ctx context.Context, name string) error
	// HostHolds lists the upstream hosts that are held now.
	HostHolds(ctx context.Context) (map[string]queue.HostHold, error)
	// HeldRewrites lists the rewritten refs of a Lorry, or of all ("").
	HeldRewrites(ctx context.Context, path string) ([]queue.HeldRewrite, error)
	// ApproveRewrite sends a rewrite with the next job, from old, unless that is
	// "", to tip; core.KindConflict when another one of the ref is held by now,
	// core.KindNotFound when none is.
	ApproveRewrite(ctx context.Context, path, ref, old, tip string) error
	// FindLorries, FindJobs and FindHeld list page by page what is asked for.
	FindLorries(ctx context.Context, f queue.LorryFilter) (queue.LorryList, error)
	FindJobs(ctx context.Context, s queue.JobSearch) ([]core.Job, error)
	FindHeld(ctx context.Context, s queue.HeldSearch) ([]queue.HeldRewrite, error)
	// FailureGroups lists the biggest groups of failing Lorries.
	FailureGroups(ctx context.Context, limit int) ([]queue.FailureGroup, error)
	// Outcomes counts Lorries by how their last job ended.
	Outcomes(ctx context.Context) (queue.Outcomes, error)
	// RetryAll and HoldAll change what the filter selects and count it; no
	// reason resumes.
	RetryAll(ctx context.Context, f queue.LorryFilter) (int, error)
	HoldAll(ctx context.Context, f queue.LorryFilter, reason string) (int, error)
	// Tails says how far the output of jobs has come.
	Tails(ctx context.Context, ids []core.JobID) ([]queue.Tail, error)
	// ConfigCommit is the commit of CONFGIT in force, or "".
	ConfigCommit(ctx context.Context) (string, error)
	Minions(ctx context.Context) ([]queue.Minion, error)
	// DrainMinion and ForgetMinion are core.KindNotFound for an unknown one.
	DrainMinion(ctx context.Context, name string, drain bool) error
	ForgetMinion(ctx context.Context, name string) error
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
	// ListHost does so for one of them now; core.KindNotFound when CONFGIT has
	// none of that name.
	ListHost(ctx context.Context, name string) ([]string, error)
	// ApprovePurge lists a host now and believes the listing if it drops what was
	// held.
	ApprovePurge(ctx context.Context, host string) error
}

// Adapters shows and restarts the host adapters.
type Adapters interface {
	Adapters() []protocol.Adapter
	// RestartAdapter replaces an adapter's process, also of one that is broken;
	// core.KindNotFound when there is none of that name.
	RestartAdapter(ctx context.Context, name string) error
}
