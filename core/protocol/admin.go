package protocol

import "github.com/lorry-controller/lorry-controller/core"

// Times are Unix seconds, 0 for never; texts that end in _nice are for people.
// Keys come in both spellings where the original renamed one.

// Lorry is one Lorry as the API shows it.
type Lorry struct {
	Path          string      `json:"path"`
	Text          string      `json:"text"`
	Generated     int         `json:"generated"` // 1 when it comes from an Upstream Host
	FromHost      string      `json:"from_host"`
	FromTroveHost string      `json:"from_trovehost"`
	FromPath      string      `json:"from_path"`
	Section       string      `json:"section"`
	UpstreamHost  string      `json:"upstream_host"`
	RunningJob    *core.JobID `json:"running_job"` // null when none runs
	Interval      int64       `json:"interval"`    // seconds
	IntervalNice  string      `json:"interval_nice"`
	LorryTimeout  int64       `json:"lorry_timeout"` // seconds
	Due           int64       `json:"due"`
	DueNice       string      `json:"due_nice"`
	Position      int64       `json:"position"`
	LastRun       int64       `json:"last_run"`
	LastRunNice   string      `json:"last_run_nice"`
	LastRunExit   string      `json:"last_run_exit"`
	LastRunError  string      `json:"last_run_error"` // the cause of the last failure, or ""
	LastSuccess   int64       `json:"last_success"`
	LastEqual     int64       `json:"last_equal"`
	Failures      int         `json:"failures"` // since the last success
	// Failure is why the last job failed; its kind is "" after a success.
	Failure       FailureInfo        `json:"failure"`
	DiskUsage     int64              `json:"disk_usage"` // bytes
	DiskUsageNice string             `json:"disk_usage_nice"`
	Digest        string             `json:"digest"`
	Rewrites      core.RewritePolicy `json:"rewrites"`
	HeldReason    string             `json:"held_reason"`
	Removed       bool               `json:"removed"`
}

// FailureInfo is a core.Failure with all of its keys present.
type FailureInfo struct {
	Kind  core.FailureKind `json:"kind"`
	Cause string           `json:"cause"`
	Hint  string           `json:"hint"`
	// RetryAfter is how many seconds the host asked to be left alone, or 0.
	RetryAfter int64 `json:"retry_after,omitempty"`
}

// LorryDetail is the answer of GET /1.0/lorry/PATH.
type LorryDetail struct {
	Lorry
	Jobs []core.JobID `json:"jobs"` // oldest first
	Why  Why          `json:"why"`
}

// Why says why a Lorry is not running now.
type Why struct {
	Reason string `json:"reason"`
	Detail string `json:"detail"`
	Until  int64  `json:"until"`
}

// JobInfo is one job as the API shows it.
type JobInfo struct {
	JobID         core.JobID       `json:"job_id"`
	Path          string           `json:"path"`
	Host          string           `json:"host"` // the minion's
	PID           int              `json:"pid"`
	State         string           `json:"state"` // running, succeeded, failed, lost or returned
	Exit          string           `json:"exit"`  // "" while it runs
	Kill          int              `json:"kill"`  // 1 when it is to be stopped
	Started       int64            `json:"started"`
	Updated       int64            `json:"updated"`
	Ended         int64            `json:"ended"`
	JobStarted    string           `json:"job_started"`
	JobEnded      string           `json:"job_ended"`
	DiskUsage     int64            `json:"disk_usage"` // bytes
	DiskUsageNice string           `json:"disk_usage_nice"`
	Failure       FailureInfo      `json:"failure"`
	Unchanged     bool             `json:"unchanged"`
	Refs          []core.RefResult `json:"refs"`
	OutputSize    int64            `json:"output_size"` // bytes written, kept or not
	Progress      *ProgressInfo    `json:"progress"`    // what the minion told last; null when it told nothing, and at the end
	Output        string           `json:"output"`
	Timestamp     string           `json:"timestamp"` // of this answer
}

// HostInfo is one Upstream Host as the API shows it, without credentials.
type HostInfo struct {
	Host           string            `json:"host"`
	TroveHost      string            `json:"trovehost"`
	Type           string            `json:"type"`
	Protocol       string            `json:"protocol"`
	PrefixMap      string            `json:"prefixmap"` // JSON object as text, as the original gave it
	Prefixes       []core.PrefixRule `json:"prefixes"`
	Ignore         string            `json:"ignore"` // JSON list as text
	LorryInterval  int64             `json:"lorry_interval"`
	LorryTimeout   int64             `json:"lorry_timeout"`
	LsInterval     int64             `json:"ls_interval"`
	LsIntervalNice string            `json:"ls_interval_nice"`
	LsLastRun      int64             `json:"ls_last_run"`
	LsLastRunNice  string            `json:"ls_last_run_nice"`
	LsDue          int64             `json:"ls_due"`
	LsDueNice      string            `json:"ls_due_nice"`
	LsError        string            `json:"ls_error"`
	Listed         int               `json:"listed"` // repositories in the last complete listing
	Purge          string            `json:"purge"`  // why removals are held back, or ""
	PurgeSince     int64             `json:"purge_since"`
	HeldUntil      int64             `json:"held_until"`
	HeldReason     string            `json:"held_reason"`
}

// Adapter is the state of one host adapter.
type Adapter struct {
	Name   string `json:"name"` // the host it serves, or "downstream"
	Type   string `json:"type"`
	Role   string `json:"role"`   // upstream or downstream
	State  string `json:"state"`  // stopped, starting, ready, draining, backoff or broken
	Detail string `json:"detail"` // why, for people, or ""
	Hint   string `json:"hint"`   // what to do about it, or ""
	Since  int64  `json:"since"`  // of the state
	// NextStart is when a failed adapter is started again; 0 otherwise.
	NextStart  int64  `json:"next_start"`
	Program    string `json:"program"` // its file
	Checksum   string `json:"checksum"`
	Version    string `json:"version"`
	SDKVersion string `json:"sdk_version"`
	Protocol   int    `json:"protocol"` // major version; 0 before the first start
	PID        int    `json:"pid"`
	Starts     int    `json:"starts"` // since the controller has started
	Faults     int    `json:"faults"` // crashes and failed starts
	Calls      int    `json:"calls"`  // that run now
	Waiting    int    `json:"waiting"`
	// HeldUntil is until when the host is left alone; 0 when it is not. HeldKind
	// says why: rate-limited, or unauthenticated when it refused the credentials.
	HeldUntil     int64  `json:"held_until"`
	HeldKind      string `json:"held_kind"`
	CheckError    string `json:"check_error"` // what the last look at the host found
	ServerVersion string `json:"server_version"`
	// Doubts are what of the settings is ignored, or had better be otherwise.
	Doubts []Doubt `json:"doubts"`
	// Warnings are what that look found that should be mended before it is an
	// error; ExpiresAt is when the credentials end, 0 when that is not known.
	Warnings         []string `json:"warnings"`
	ExpiresAt        int64    `json:"expires_at"`
	SkipCertificates bool     `json:"skip_certificates"`
}

// Doubt is what is not as it should be with a setting, though the adapter runs.
type Doubt struct {
	Setting string `json:"setting"`
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"` // what a person can do, or ""
}

// HostHold says that the Lorries of an upstream host are not given out. The host
// need not be one of CONFGIT's; "*" is all of them.
type HostHold struct {
	Name   string `json:"name"`
	Until  int64  `json:"until"`
	Reason string `json:"reason"`
}

// HeldRewrite is a ref that upstream rewrote and that waits for an approval.
type HeldRewrite struct {
	Path     string `json:"path"`
	Ref      string `json:"ref"`
	Old      string `json:"old"`
	New      string `json:"new"`
	Since    int64  `json:"since"`
	Approved bool   `json:"approved"` // it goes out with the next job
}

// Counts are the sizes of the run queue.
type Counts struct {
	Lorries int `json:"lorries"`
	Running int `json:"running"`
	Due     int `json:"due"`
	Failing int `json:"failing"`
	Held    int `json:"held"`
}

// Status is the answer of GET /1.0/status.
type Status struct {
	RunningQueue    bool       `json:"running_queue"`
	RunQueue        []Lorry    `json:"run_queue"`
	Hosts           []HostInfo `json:"hosts"`
	Troves          []HostInfo `json:"troves"`
	MaxJobs         *int       `json:"max_jobs"` // null: no limit
	WarningMsg      string     `json:"warning_msg"`
	Links           bool       `json:"links"`
	DiskFree        int64      `json:"disk_free"` // bytes
	DiskFreeMiB     float64    `json:"disk_free_mib"`
	DiskFreeGiB     float64    `json:"disk_free_gib"`
	PublishFailures bool       `json:"publish_failures"`
	Failures        []Lorry    `json:"failures"` // the first of the Lorries whose last job failed
	Counts          Counts     `json:"counts"`
	Problems        int        `json:"problems"` // how many problems CONFGIT has
	Version         string     `json:"version"`
	Address         string     `json:"address"`
	Downstream      string     `json:"downstream"`
	Adapters        []Adapter  `json:"adapters"`
	Holds           []HostHold `json:"holds"`     // upstream hosts whose Lorries are held
	Timestamp       string     `json:"timestamp"` // of this answer
}
