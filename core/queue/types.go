package queue

import (
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// ClaimParams asks for due Lorries on behalf of one minion.
type ClaimParams struct {
	Minion string
	PID    int
	Max    int      // at most so many; below 1 means 1
	Holds  []string // paths that the minion has in its working area
}

// Claimed is a Lorry with the job that was just started for it.
type Claimed struct {
	core.LorryState
	Job core.Job
	// Approved are the held rewrites that an admin lets through with this job.
	Approved []HeldRewrite
}

// UpdateParams reports on a running job.
type UpdateParams struct {
	Job core.JobID
	// Fence is what the claim gave, or 0 from a minion that knows no fences:
	// then the job id alone must match the running job.
	Fence  core.Fence
	Output string // new text, appended
	// Sent is how many bytes of output the minion has sent of this job with
	// this report, or 0 when it does not say. A report that came before keeps
	// its output from being appended twice.
	Sent int64
	// Progress is how far the job is; nil leaves what was reported last.
	Progress *core.Progress
	// Done ends the job with the fields below.
	Done      bool
	Exit      string // decimal exit code, negative for a signal
	Failure   core.Failure
	Unchanged bool
	DiskUsage int64
	Digest    string // "" leaves the old one
	Refs      []core.RefResult
	// Returned, with Done, hands the job back: no failure is counted and the
	// Lorry is due again at once.
	Returned bool
}

// UpdateResult tells the minion whether to go on.
type UpdateResult struct {
	Kill bool
	// Stale is set when the job is not (or no longer) this minion's; nothing
	// was changed then.
	Stale bool
}

// Counts are the sizes that the status page shows. They are kept, not counted
// over the whole table.
type Counts struct {
	Lorries, Running, Due, Failing, Held int
}

// Status is the state of the whole queue.
type Status struct {
	Running bool // the queue gives out jobs (RT/QSTART, RT/QSTOP)
	MaxJobs *int // nil: no limit
	Counts  Counts
}

// Page asks for part of a list. After is the last key of the page before
// ("" or 0 for the first).
type Page struct {
	After string
	Limit int // 0 means no limit
}

// JobFilter selects jobs.
type JobFilter struct {
	Path    string // of one Lorry; "" for all
	Running bool   // only those that run
	Failed  bool   // only those that ended with a failure
	Before  core.JobID
	Limit   int // newest first when set; 0 means all, oldest first
}

// Why explains why a Lorry is not running now.
type Why struct {
	Reason string    // "running", "due", "not due", "held", "backing off", "queue stopped", "host held", "host limit", "max-jobs", "disk"
	Detail string    // a sentence for people
	Until  time.Time // when it changes by itself, or zero
}
