package queue

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// The states by which Lorries are looked for. They overlap: a Lorry that fails
// may be due too.
const (
	StateRunning = "running" // a job of it runs
	StateDue     = "due"     // nothing keeps it from running but limits and holds of its host
	StateWaiting = "waiting" // its time has not come
	StateHeld    = "held"    // an admin holds it
	StateFailing = "failing" // jobs have failed since its last success
	StateOK      = "ok"      // it was mirrored, and nothing has failed since
	StateNew     = "new"     // no job of it has ended
	StateRemoved = "removed" // it goes when its job ends
)

// The states by which jobs are looked for, beside StateRunning.
const (
	StateStopping  = "stopping"
	StateEnded     = "ended" // whatever the result
	StateSucceeded = "succeeded"
	StateFailed    = "failed"
	StateLost      = "lost"
	StateReturned  = "returned"
)

// The orders in which Lorries are listed. All but SortPath have the path behind
// them, so that every order is whole.
const (
	SortQueue       = "queue"
	SortPath        = "path"
	SortHost        = "host"
	SortKind        = "kind"
	SortLastRun     = "last-run"
	SortLastSuccess = "last-success"
	SortFailures    = "failures"
	SortDiskUsage   = "disk-usage"
)

// LorryFilter selects Lorries. Zero fields do not select.
type LorryFilter struct {
	State string // one of the State… constants
	// Host is the upstream host name of the spec, or the Upstream Host that the
	// Lorry was generated from.
	Host string
	Kind core.FailureKind // of the failure; only failing Lorries have one
	Text string           // part of the path, upper and lower case alike
	// Paths, when it is not nil, selects by name.
	Paths []string
	// Stale selects those whose last success was before then, or never was.
	Stale time.Time
	Now   time.Time // for StateDue and StateWaiting

	Sort     string // one of the Sort… constants; "" means SortQueue
	Reverse  bool
	After    *Cursor // the end of the page before
	Limit    int     // at most so many; below 1 means 1
	WithText bool    // with the specification's text
}

// Cursor is a place in an ordered list, behind one of its members.
type Cursor struct {
	Key  string `json:"k,omitempty"` // of an order by texts
	At   int64  `json:"n,omitempty"` // of an order by numbers
	Path string `json:"p"`
}

// LorryList is one page of Lorries.
type LorryList struct {
	Lorries []core.LorryState
	Next    *Cursor // nil: that was the last page
}

// JobSearch selects jobs. Zero fields do not select.
type JobSearch struct {
	State  string // one of the State… constants for jobs
	Path   string // of one Lorry
	Host   string // upstream host name of the Lorry, as in LorryFilter
	Minion string
	Kind   core.FailureKind
	Text   string // part of the Lorry's path
	// Before and Since bound when the job was started.
	Before, Since time.Time

	Oldest bool       // oldest first; newest first otherwise
	After  core.JobID // the last one of the page before
	Limit  int        // at most so many; below 1 means 1
}

// Tail says how far the output of a job has come.
type Tail struct {
	ID    core.JobID
	Kept  int64 // bytes of output in the STATEDB
	Ended bool
	// Progress is what the minion told last; nil when it told nothing, and when
	// the job has ended.
	Progress *core.Progress
}

// FailureGroup counts the Lorries that fail in the same way on the same host.
type FailureGroup struct {
	Kind  core.FailureKind
	Host  string // upstream host name; "" for specs without one
	Count int
	Cause string // of one of them
}

// Outcomes counts Lorries by how their last job ended.
type Outcomes struct {
	OK       int // mirrored, and nothing has failed since
	Degraded int // some refs or objects could not be brought over, the rest was
	Errors   int // failing otherwise
}

// Outcomes counts Lorries by how their last job ended; those of which no job
// has ended are not among them.
func (q *Queue) Outcomes(ctx context.Context) (Outcomes, error) { return q.store.Outcomes(ctx) }

// FindLorries lists Lorries page by page, without their Text unless that is
// asked for.
func (q *Queue) FindLorries(ctx context.Context, f LorryFilter) (LorryList, error) {
	if f.Now.IsZero() {
		f.Now = q.clock()
	}
	return q.store.FindLorries(ctx, f)
}

// FindJobs lists jobs page by page.
func (q *Queue) FindJobs(ctx context.Context, s JobSearch) ([]core.Job, error) {
	return q.store.FindJobs(ctx, s)
}

// Tails says how far the output of jobs has come; unknown jobs are left out.
func (q *Queue) Tails(ctx context.Context, ids []core.JobID) ([]Tail, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	return q.store.Tails(ctx, ids)
}

// FailureGroups lists the biggest groups of failing Lorries, at most limit.
func (q *Queue) FailureGroups(ctx context.Context, limit int) ([]FailureGroup, error) {
	return q.store.FailureGroups(ctx, limit)
}

// ConfigCommit is the commit of CONFGIT that was applied last, or "".
func (q *Queue) ConfigCommit(ctx context.Context) (string, error) {
	return q.store.ConfigCommit(ctx)
}

// groupChunk is how many Lorries of a group are changed in one transaction.
const groupChunk = 500

// RetryAll retries the failing Lorries that the filter selects, in short
// transactions, and counts them. When it ends with an error, the Lorries before
// are due already.
func (q *Queue) RetryAll(ctx context.Context, f LorryFilter) (int, error) {
	f.State = StateFailing
	return q.changeAll(ctx, f, func(now time.Time, paths []string) func(context.Context, Tx) (int, error) {
		return func(ctx context.Context, tx Tx) (int, error) { return tx.RetryAll(ctx, paths, now) }
	})
}

// HoldAll holds the Lorries that the filter selects, with a reason, or with ""
// resumes them, and counts them.
func (q *Queue) HoldAll(ctx context.Context, f LorryFilter, reason string) (int, error) {
	return q.changeAll(ctx, f, func(_ time.Time, paths []string) func(context.Context, Tx) (int, error) {
		return func(ctx context.Context, tx Tx) (int, error) { return tx.HoldAll(ctx, paths, clip(reason)) }
	})
}

// changeAll goes through a group in the order of paths, which no change moves.
func (q *Queue) changeAll(ctx context.Context, f LorryFilter, change func(time.Time, []string) func(context.Context, Tx) (int, error)) (int, error) {
	f.Sort, f.Reverse, f.After, f.Limit, f.WithText = SortPath, false, nil, groupChunk, false
	f.Now = q.clock()
	total := 0
	for {
		list, err := q.store.FindLorries(ctx, f)
		if err != nil {
			return total, err
		}
		paths := make([]string, 0, len(list.Lorries))
		for _, l := range list.Lorries {
			paths = append(paths, l.Path)
		}
		if len(paths) > 0 {
			n := 0
			act := change(f.Now, paths)
			err = q.change(ctx, func(ctx context.Context, tx Tx) (err error) {
				n, err = act(ctx, tx)
				return err
			})
			if err != nil {
				return total, err
			}
			total += n
		}
		if list.Next == nil {
			return total, nil
		}
		f.After = list.Next
	}
}
