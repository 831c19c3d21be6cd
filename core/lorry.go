package core

import "time"

// Defaults of a Lorry for which CONFGIT says nothing.
const (
	// DefaultInterval is used when an interval is missing or unreadable.
	DefaultInterval = 24 * time.Hour
	// DefaultTimeout is how long one job may run when no lorry-timeout is set.
	DefaultTimeout = time.Hour
)

// RewritePolicy says what happens when an upstream ref no longer descends
// from the one that was mirrored.
type RewritePolicy string

// The rewrite policies. The zero value leaves the choice to the refspecs: a
// "+" forces, its absence holds the rewrite for an admin.
const (
	RewriteByRefspec RewritePolicy = ""
	RewriteForce     RewritePolicy = "force"
	RewriteHold      RewritePolicy = "hold"
	RewriteRefuse    RewritePolicy = "refuse"
)

// Lorry is the specification of one mirror, identified by the path of its
// repository on the Downstream Host.
type Lorry struct {
	// Path is the downstream path without ".git", such as "upstream/foo".
	Path string
	// Text is the specification as given to the importer: a JSON object
	// {path: spec}. It never holds a credential.
	Text string
	// Section names the section of CONFGIT that gave the Lorry. It is stable
	// between two readings: "lorries:PREFIX" or "host:NAME".
	Section string
	// Host is the Upstream Host that the Lorry was generated from, or "" for
	// one that comes from a .lorry file.
	Host string
	// HostPath is the repository's path on Host, or "".
	HostPath string
	// UpstreamHost is the host name that the spec's URL points to, for limits
	// per upstream host. Where the spec has none (a plain path) it is Host in
	// lower case, or "".
	UpstreamHost string
	// Repository is the RepositoryName of the spec's URL, or "".
	Repository string
	// Interval is the time from the end of one job to the next due time.
	Interval time.Duration
	// Timeout is how long one job may run.
	Timeout time.Duration
	// Rewrites chooses what happens with rewritten refs.
	Rewrites RewritePolicy
	// ListedHead is the default branch that the Upstream Host reported for a
	// generated Lorry (a full ref), or "".
	ListedHead string
	// ListedDescription is the description that the Upstream Host reported.
	ListedDescription string
}

// LorryState is a Lorry and everything that the STATEDB knows of it.
type LorryState struct {
	Lorry
	// Due is when the Lorry may run next.
	Due time.Time
	// Position moves a Lorry before (negative) or behind (positive) all that
	// were not moved; 0 is an ordinary place.
	Position int64
	// RunningJob is the job that runs now, or 0.
	RunningJob JobID
	// Removed is set when CONFGIT no longer wants the Lorry but its job still
	// runs; it goes when the job ends.
	Removed bool
	// LastRun is the end of the last job, whatever its result.
	LastRun time.Time
	// LastSuccess is the end of the last job that succeeded.
	LastSuccess time.Time
	// LastEqual is when downstream was last known to be equal to upstream.
	LastEqual time.Time
	// LastExit is the exit of the last job as text: "0", "1", "-9", or "".
	LastExit string
	// LastFailure is why the last job failed; its Kind is "" after a success.
	LastFailure Failure
	// Failures counts the failed jobs since the last success.
	Failures int
	// DiskUsage is what the working area took after the last job, in bytes.
	DiskUsage int64
	// Digest is the digest of the upstream's refs at the last verified push.
	Digest string
	// HeldReason says why an admin holds the Lorry, or "".
	HeldReason string
	// Pushed is when upstream last told that something was pushed there, or an
	// admin last asked for a job to come first or while one was running.
	Pushed time.Time
}

// JobID numbers a job. The first is 1; numbers are never used twice.
type JobID int64

// Fence grows with every claim of a Lorry. Each statement about a running job
// names the fence that it was claimed with, so that a minion which comes back
// late changes nothing.
type Fence int64

// Job is one execution of a Lorry.
type Job struct {
	ID     JobID
	Path   string
	Fence  Fence
	Minion string // the minion's host name (v1: host)
	PID    int    // the minion's process id; 0 when not told
	// Started, Updated and Ended are the times of the claim, of the last
	// message from the minion, and of the end (zero while it runs).
	Started, Updated, Ended time.Time
	// Lease is until when the minion may stay silent.
	Lease time.Time
	// Kill is set when the job is to be stopped at the minion's next update.
	Kill bool
	// Exit is "" while the job runs, then the exit code in decimal; negative
	// for a signal, "lost" for a job whose minion went silent, "returned" for
	// one that was handed back unfinished.
	Exit      string
	Failure   Failure
	DiskUsage int64 // bytes; 0 when unknown
	// OutputSize counts the bytes that the job wrote, including any beyond
	// the cap that were not kept.
	OutputSize int64
	// Unchanged is set when the job found that nothing had to be done.
	Unchanged bool
	Refs      []RefResult
	// Progress is what the minion told last of a running job; nil when it told
	// nothing, and when the job has ended.
	Progress *Progress
}

// Running reports whether the job has not ended.
func (j Job) Running() bool { return j.Exit == "" }

// RefResult says what became of one ref in a job.
type RefResult struct {
	Ref    string `json:"ref"`
	Old    string `json:"old,omitempty"`
	New    string `json:"new,omitempty"`
	Status string `json:"status"`           // one of the Ref… constants
	Reason string `json:"reason,omitempty"` // why it was refused or held
}

// What can become of a ref.
const (
	RefNew      = "new"
	RefUpdated  = "updated"
	RefForced   = "forced"
	RefDeleted  = "deleted"
	RefRejected = "rejected"
	RefHeld     = "held"
)
