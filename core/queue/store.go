package queue

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Store is what the run queue needs of the STATEDB. *statedb.DB has it.
type Store interface {
	// Write runs fn in one short transaction. It may run together with other
	// callers' transactions, and more than once: fn must set, never add to,
	// what it captures, and use the context that it gets.
	Write(ctx context.Context, fn func(ctx context.Context, tx Tx) error) error

	// Gate is the state of the queue's switch, without a lock.
	Gate(ctx context.Context) (Gate, error)
	// Counts gives the sizes of the queue at the given time.
	Counts(ctx context.Context, now time.Time) (Counts, error)
	// Lorries lists Lorries in queue order without their Text.
	Lorries(ctx context.Context, page Page) ([]core.LorryState, error)
	// QueuePaths lists the same Lorries by their paths alone.
	QueuePaths(ctx context.Context, page Page) ([]string, error)
	// Failing lists the Lorries whose last job failed in the order of their
	// paths, without their Text.
	Failing(ctx context.Context, page Page) ([]core.LorryState, error)
	// Lorry gives one; core.KindNotFound when there is none.
	Lorry(ctx context.Context, path string) (core.LorryState, error)
	// Ahead counts the Lorries that come before one in the queue and are due, up
	// to limit.
	Ahead(ctx context.Context, path string, now time.Time, limit int) (int, error)
	// Load counts the running jobs by upstream host name.
	Load(ctx context.Context) (map[string]int, error)
	// HostHolds gives the holds that last beyond now.
	HostHolds(ctx context.Context, now time.Time) (map[string]HostHold, error)
	// NextTurn is the next time after the given one when a Lorry becomes due or
	// a host's hold ends; zero when there is none.
	NextTurn(ctx context.Context, after time.Time) (time.Time, error)

	Jobs(ctx context.Context, filter JobFilter) ([]core.Job, error)
	// JobIDs lists the ids above after of the jobs that a filter without its Limit
	// selects, oldest first, at most limit.
	JobIDs(ctx context.Context, filter JobFilter, after core.JobID, limit int) ([]core.JobID, error)
	Job(ctx context.Context, id core.JobID) (core.Job, error)
	Output(ctx context.Context, id core.JobID, offset, limit int64) (string, error)
	// Alone says for how long no core has done the upkeep; 0 when one does, or that
	// is not known.
	Alone(ctx context.Context) (time.Duration, error)
	// ClocksSet says how often CountClockSet has counted.
	ClocksSet(ctx context.Context) (int64, error)
	// Expired names running jobs whose lease ended at or before now, with ids
	// above after, at most limit.
	Expired(ctx context.Context, now time.Time, after core.JobID, limit int) ([]core.JobID, error)
	// Outdated names ended jobs that the policy lets go, at most limit, at or
	// above the given id; next is where to go on, 0 at the end.
	Outdated(ctx context.Context, policy Retention, now time.Time, from core.JobID, limit int) (ids []core.JobID, next core.JobID, err error)
	HeldRewrites(ctx context.Context, path string) ([]HeldRewrite, error)

	// PushedLorries names the Lorries that a push is for, at most limit of each
	// kind.
	PushedLorries(ctx context.Context, p Push, limit int) ([]string, error)

	Hosts(ctx context.Context) ([]core.HostState, error)
	Problems(ctx context.Context) ([]core.Problem, error)
	ConfigCommit(ctx context.Context) (string, error)

	// FindLorries and FindJobs list page by page, by what is asked for.
	FindLorries(ctx context.Context, f LorryFilter) (LorryList, error)
	FindJobs(ctx context.Context, s JobSearch) ([]core.Job, error)
	FailureGroups(ctx context.Context, limit int) ([]FailureGroup, error)
	Outcomes(ctx context.Context) (Outcomes, error)
	FindHeld(ctx context.Context, s HeldSearch) ([]HeldRewrite, error)
	// Tails says how far the output of jobs has come; unknown ones are left out.
	Tails(ctx context.Context, ids []core.JobID) ([]Tail, error)
	// Minions lists the minions by name; Drained names those that get no job.
	Minions(ctx context.Context) ([]Minion, error)
	Drained(ctx context.Context) ([]string, error)
}

// Tx is one transaction of a Store.
type Tx interface {
	// Gate reads the queue's switch and locks it, so that claims of several
	// cores come one after the other and every limit holds exactly. What Ready
	// gives behind it comes along, since that is nearly always wanted.
	Gate(ctx context.Context, p ReadyParams) (Gate, []Ready, error)
	SetRunning(ctx context.Context, running bool) error
	SetMaxJobs(ctx context.Context, limit *int) error
	Load(ctx context.Context) (map[string]int, error)
	HostHolds(ctx context.Context, now time.Time) (map[string]HostHold, error)

	// Ready gives due Lorries that no job runs and no admin holds, in queue
	// order, locked; those locked by others are passed over.
	Ready(ctx context.Context, p ReadyParams) ([]Ready, error)
	// StartJobs gives every job an id and a place in the history, and makes it
	// the running job of its Lorry. Fence and times are the caller's, and so is
	// having asked the Gate.
	StartJobs(ctx context.Context, jobs []core.Job) ([]core.JobID, error)

	// StartFirst chooses and starts in one go, for a claim that no limit of a host
	// holds back, and is to be all of its transaction. It gives nothing, and has
	// changed nothing, when the long way is to be gone, by Gate, Ready and
	// StartJobs: because nothing is due, because the gate is not wide open, or
	// because the database knows no shorter one.
	StartFirst(ctx context.Context, p FirstParams) ([]Claimed, error)

	// Live gives the running ones among the jobs, locked, in the order of ids.
	Live(ctx context.Context, ids []core.JobID) ([]Live, error)
	// Report writes what became of running jobs.
	Report(ctx context.Context, reports []Report) error
	// AppendOutput adds to the output of an ended job; core.KindNotFound when
	// there is none of that number.
	AppendOutput(ctx context.Context, id core.JobID, text string) error
	// Kill marks a running job to be stopped.
	Kill(ctx context.Context, id core.JobID, reason core.FailureKind) error
	// Extend gives running jobs whose minion could not report a whole lease from
	// now on. One that had such a one since its last report gets no second, but is
	// given back the time for which there was no core to report to. None is longer.
	Extend(ctx context.Context, now time.Time, lease, alone time.Duration) error
	// SetLeases sets the lease of all running jobs to until, also of those that
	// have a longer one.
	SetLeases(ctx context.Context, until time.Time) error
	// ClockSet puts right what stands in times of a clock that was set by so
	// much, or, with 0, by an unknown time while nobody looked. Running jobs are
	// as old as they were. Lorries that ran at a time which is now still to come,
	// and hosts that were listed then, wait as long as they would have: back says
	// by how much their times were moved.
	ClockSet(ctx context.Context, by time.Duration, now time.Time) (back time.Duration, err error)
	// CountClockSet counts that a clock which was set is put right, for the other
	// cores to know, when that was counted so often before; else another core was
	// first, and nothing is to be changed.
	CountClockSet(ctx context.Context, before int64) (first bool, err error)
	// RemoveJobs forgets ended jobs and says how many there were.
	RemoveJobs(ctx context.Context, ids []core.JobID) (int, error)

	// Place puts a Lorry first (due now) or last in the queue.
	Place(ctx context.Context, path string, top bool, now time.Time) error
	// Retry forgets the failures of a Lorry and makes it due now.
	Retry(ctx context.Context, path string, now time.Time) error
	// Push makes Lorries due now and gives those that no job runs that place,
	// unless they have an earlier one.
	Push(ctx context.Context, paths []string, now time.Time, turn int64) error
	// ListSoon makes the listings of hosts due, and says of how many.
	ListSoon(ctx context.Context, hosts []string, now time.Time) (int, error)
	// Hold sets the reason why a Lorry is held, or "" to let it go.
	Hold(ctx context.Context, path, reason string) error
	// RetryAll and HoldAll do the same with those of the Lorries that it
	// changes, and count them.
	RetryAll(ctx context.Context, paths []string, now time.Time) (int, error)
	HoldAll(ctx context.Context, paths []string, reason string) (int, error)
	// HoldHost holds an upstream host until then; a zero time lets it go.
	HoldHost(ctx context.Context, name string, hold HostHold) error
	// HoldHostLonger does the same unless the host is held for as long already,
	// whoever has said so up to this moment.
	HoldHostLonger(ctx context.Context, name string, hold HostHold) error
	// EndHold lets an upstream host go that is held for this reason.
	EndHold(ctx context.Context, name, reason string) error

	// HoldRewrites records what refs of a Lorry are held now: all of them, so
	// that those which are no longer reported lapse.
	HoldRewrites(ctx context.Context, path string, refs []core.RefResult, now time.Time) error
	// ApproveRewrite approves a held rewrite to tip; from old, unless that is "".
	ApproveRewrite(ctx context.Context, path, ref, old, tip string) error
	HeldRewrites(ctx context.Context, path string) ([]HeldRewrite, error)

	// SeeMinions records minions that asked for a job, and forgets those that
	// were last seen before old and do not drain.
	SeeMinions(ctx context.Context, seen []Minion, old time.Time) error
	DrainMinion(ctx context.Context, name string, drain bool) error
	ForgetMinion(ctx context.Context, name string) error
}

// Gate is the switch of the queue and its limit.
type Gate struct {
	Running bool
	MaxJobs *int
	// HoldsUntil is when the last hold of a host ends; zero without any.
	HoldsUntil time.Time
}

// HostHold holds all Lorries of an upstream host.
type HostHold struct {
	Until  time.Time
	Reason string
}

// ReadyParams asks for due Lorries.
type ReadyParams struct {
	Now         time.Time
	Limit       int
	ExceptHosts []string // upstream hosts that are held or full
}

// FirstParams asks for jobs of the first due Lorries.
type FirstParams struct {
	Now time.Time
	// Jobs are to be started, as many as there are due Lorries, and without
	// their ids, paths and fences.
	Jobs []core.Job
	// Prefer names Lorries that go before others among the first Window of the
	// queue, except before those that are at the top or due since before
	// Overdue; empty: the order is the queue's.
	Prefer  []string
	Window  int
	Overdue time.Time
}

// Ready is a due Lorry with the fence of its last job.
type Ready struct {
	core.LorryState
	Fence core.Fence
	// Approved is how many of its held rewrites an admin has approved.
	Approved int
}

// Live is a running job with what its next report needs to know.
type Live struct {
	Job        core.Job
	KillReason core.FailureKind // "" when it is not to be stopped
	OutputKept int64            // bytes of output in the STATEDB
	Received   int64            // bytes of output that the minion has reported
	// Lorry has what a report needs or changes: neither Text nor what else
	// reconciling alone writes.
	Lorry core.LorryState
}

// Report is the new state of a running job and, when it ended, of its Lorry.
type Report struct {
	Job        core.Job
	KillReason core.FailureKind
	Output     string // to be kept, at byte OutputAt
	OutputAt   int64
	Received   int64 // bytes of output that the minion has reported
	// Lorry is the new state of the Lorry when the job ended. A removed one is
	// forgotten. A negative Position is its place instead of its due time.
	Lorry *core.LorryState
}

// HeldRewrite is a rewritten ref that waits for an admin.
type HeldRewrite struct {
	Path, Ref, Old, New string
	Since               time.Time
	Approved            bool
}

// Retention says which ended jobs are kept. A zero bound does not apply.
type Retention struct {
	Age          time.Duration // forget jobs that ended longer ago
	UnchangedAge time.Duration // the same for jobs that changed nothing
	PerLorry     int           // keep at most so many of each Lorry, the newest
}
