package protocol

import "github.com/lorry-controller/lorry-controller/core"

// QueuePaths is the answer of GET /1.0/list-queue.
type QueuePaths struct {
	Queue []string `json:"queue"`
	// Next is the cursor of the next page, when there is one.
	Next string `json:"next,omitempty"`
}

// Lorries is the answer of GET /1.0/lorries.
type Lorries struct {
	Lorries []Lorry `json:"lorries"`
	Next    string  `json:"next"` // cursor of the next page; "" at the end
}

// FailureGroup counts the Lorries that fail in the same way on the same host.
type FailureGroup struct {
	Kind  core.FailureKind `json:"kind"`
	Host  string           `json:"host"` // upstream host name, or ""
	Count int              `json:"count"`
	Cause string           `json:"cause"` // of one of them
}

// Failures is the answer of GET /1.0/failures, the biggest groups first.
type Failures struct {
	Groups []FailureGroup `json:"groups"`
}

// RunningJobs is the answer of GET /1.0/list-running-jobs.
type RunningJobs struct {
	RunningJobs []core.JobID `json:"running_jobs"`
}

// JobIDs is the answer of GET /1.0/list-jobs.
type JobIDs struct {
	JobIDs []core.JobID `json:"job_ids"`
	Next   string       `json:"next,omitempty"`
}

// Jobs is the answer of GET /1.0/jobs; the jobs come without their output.
type Jobs struct {
	Jobs []JobInfo `json:"jobs"`
	Next string    `json:"next"`
}

// StoppedJob is the answer of POST /1.0/stop-job: the Lorry of the job.
type StoppedJob struct {
	Lorry
	JobID core.JobID `json:"job_id"`
	Kill  bool       `json:"kill"`
}

// RemovedJob is the answer of POST /1.0/remove-job; without an id it stays, for
// the reason given.
type RemovedJob struct {
	JobID  *core.JobID `json:"job_id"`
	Reason string      `json:"reason,omitempty"`
}

// Ghosts is the answer of POST /1.0/remove-ghost-jobs.
type Ghosts struct {
	JobIDs  []core.JobID `json:"job_ids"`
	Removed int          `json:"removed"`
}

// Removed is the answer of POST /1.0/remove-old-jobs.
type Removed struct {
	Removed int `json:"removed"`
}

// MaxJobs is the limit of jobs at a time; null: none.
type MaxJobs struct {
	MaxJobs *int `json:"max_jobs"`
}

// UpdatedHosts names the Upstream Hosts that were listed, under both names.
type UpdatedHosts struct {
	Troves []string `json:"updated-troves"`
	Hosts  []string `json:"updated-hosts"`
}

// Hosts is the answer of GET /1.0/hosts, under both names.
type Hosts struct {
	Hosts  []HostInfo `json:"hosts"`
	Troves []HostInfo `json:"troves"`
	Holds  []HostHold `json:"holds"`
}

// Adapters is the answer of GET /1.0/adapters.
type Adapters struct {
	Adapters []Adapter `json:"adapters"`
}

// Problems is the answer of GET /1.0/problems.
type Problems struct {
	Problems []core.Problem `json:"problems"`
}

// HeldRewrites is the answer of GET /1.0/held-rewrites.
type HeldRewrites struct {
	HeldRewrites []HeldRewrite `json:"held_rewrites"`
	Next         string        `json:"next"`
}

// GroupChanged is the answer of what is done to a group of Lorries.
type GroupChanged struct {
	Changed int    `json:"changed"`
	Message string `json:"message"`
}

// Minion is one minion as the API shows it.
type Minion struct {
	Name     string   `json:"name"`
	Address  string   `json:"address"` // from which it asked last, or ""
	PID      int      `json:"pid"`
	Version  string   `json:"version"`  // its own; "" when it does not tell
	Protocol int      `json:"protocol"` // version of the minion protocol
	Labels   []string `json:"labels"`
	State    string   `json:"state"` // idle, busy, no room, draining, drained or silent
	Since    int64    `json:"since"` // when it was first seen
	LastSeen int64    `json:"last_seen"`
	SeenNice string   `json:"last_seen_nice"`
	// Draining is set when it gets no job any more.
	Draining bool `json:"draining"`
	// Short says why it gets no job for want of room in its working area, or "".
	Short string      `json:"short,omitempty"`
	Jobs  []MinionJob `json:"jobs"` // that it runs now
}

// MinionJob is a job that a minion runs.
type MinionJob struct {
	JobID   core.JobID `json:"job_id"`
	Path    string     `json:"path"`
	Started int64      `json:"started"`
}

// Minions is the answer of GET /1.0/minions.
type Minions struct {
	Minions []Minion `json:"minions"`
}

// Plan is the answer of POST /1.0/plan: what a commit of CONFGIT would change.
type Plan struct {
	Commit string `json:"commit"`
	// Current is the commit that is in force, or "".
	Current string `json:"current"`
	// Broken says why the commit can't be used at all, or "": then nothing
	// would be changed.
	Broken  string         `json:"broken"`
	Added   []PlanLorry    `json:"added"`
	Removed []PlanLorry    `json:"removed"`
	Changed []PlanLorry    `json:"changed"`
	Counts  PlanCounts     `json:"counts"`
	Hosts   PlanHosts      `json:"hosts"`
	Kept    []string       `json:"kept"` // sections that are broken: what they gave before stays
	KeptAll bool           `json:"kept_all"`
	Faults  []core.Problem `json:"problems"`
}

// PlanLorry is one Lorry that a plan is about.
type PlanLorry struct {
	Path    string   `json:"path"`
	Section string   `json:"section"`
	What    []string `json:"what,omitempty"` // what would change, as "interval: 1h0m0s -> 2h0m0s"
}

// PlanCounts are the sizes of a plan, also of what is too much to be listed.
type PlanCounts struct {
	Added     int `json:"added"`
	Removed   int `json:"removed"`
	Changed   int `json:"changed"`
	Unchanged int `json:"unchanged"`
}

// PlanHosts are the Upstream Hosts that a plan adds, removes and changes. What
// their listings will give is not known before they are listed.
type PlanHosts struct {
	Added   []string `json:"added"`
	Removed []string `json:"removed"`
	Changed []string `json:"changed"`
}

// Reload is the answer of POST /-/reload.
type Reload struct {
	// Applied says what was read again, and what came of it.
	Applied []string `json:"applied"`
	// Restart names changed settings that count from the next start on.
	Restart []string `json:"restart"`
	// Failed says what could not be read again; the rest was.
	Failed []string `json:"failed"`
}

// Health is the answer of GET /1.0/health-check, for Lorry 2's clients.
type Health struct {
	Status  string `json:"status"` // ok
	Version string `json:"version"`
}

// Lorry2 is one mirror as Lorry 2 lists it in GET /1.0/list-lorries.
type Lorry2 struct {
	Path           string         `json:"path"`
	Name           string         `json:"name"` // of the mirror in its file
	Spec           Lorry2Spec     `json:"spec"`
	RunningJob     *core.JobID    `json:"running_job"`
	LastRun        int64          `json:"last_run"`
	Interval       string         `json:"interval"`         // ISO 8601, such as PT1H
	LorryTimeout   string         `json:"lorry_timeout"`    // ISO 8601
	LastRunResults *Lorry2Results `json:"last_run_results"` // null before the first run
	LastRunOutput  string         `json:"last_run_output"`  // why the last run failed, or ""
	PurgeBefore    int64          `json:"purge_before"`     // always 0: nothing is purged by age
}

// Lorry2Spec is the specification of a mirror, as far as Lorry 2 shows it.
type Lorry2Spec struct {
	Type              string   `json:"type"`
	URL               string   `json:"url"`
	CheckCertificates bool     `json:"check-certificates"`
	Refspecs          []string `json:"refspecs"` // null: all
}

// Lorry2Results says how a run ended; it has one member, as in Lorry 2.
type Lorry2Results struct {
	Finished Lorry2Finished `json:"Finished"`
}

// Lorry2Finished is the end of a run.
type Lorry2Finished struct {
	ExitCode  int   `json:"exit_code"`
	DiskUsage int64 `json:"disk_usage"`
}
