package events

import (
	"context"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// Source is what is read of the run queue. *queue.Queue has it.
type Source interface {
	Status(ctx context.Context) (queue.Status, error)
	Jobs(ctx context.Context, filter queue.JobFilter) ([]core.Job, error)
	FindJobs(ctx context.Context, s queue.JobSearch) ([]core.Job, error)
	Job(ctx context.Context, id core.JobID) (core.Job, error)
	Output(ctx context.Context, id core.JobID, offset, limit int64) (string, error)
	Tails(ctx context.Context, ids []core.JobID) ([]queue.Tail, error)
	FindLorries(ctx context.Context, f queue.LorryFilter) (queue.LorryList, error)
	FindHeld(ctx context.Context, s queue.HeldSearch) ([]queue.HeldRewrite, error)
	Hosts(ctx context.Context) ([]core.HostState, error)
	HostHolds(ctx context.Context) (map[string]queue.HostHold, error)
	Minions(ctx context.Context) ([]queue.Minion, error)
	ConfigCommit(ctx context.Context) (string, error)
	Problems(ctx context.Context) ([]core.Problem, error)
}

// Adapters shows the host adapters of this core.
type Adapters interface{ Adapters() []protocol.Adapter }
