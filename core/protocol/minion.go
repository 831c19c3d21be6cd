package protocol

import "github.com/lorry-controller/lorry-controller/core"

// Version numbers the minion protocol. 1 is the original's (host and pid
// alone, no lease); 2 adds leases, fences, batches and access.
const Version = 2

// GiveMeJob asks for work. Over HTTP it is a form or a JSON object; the
// original sends host and pid alone.
type GiveMeJob struct {
	Host    string `json:"host"`
	PID     int    `json:"pid"`
	Version int    `json:"version,omitempty"` // protocol version; 0 or 1 for the original
	Build   string `json:"build,omitempty"`   // the minion's own version, for people
	Max     int    `json:"max,omitempty"`     // at most so many jobs; 0 means 1
	Wait    int    `json:"wait,omitempty"`    // seconds to wait for one to become due; at most 60
	// Holds are the paths that the minion has in its working area, for affinity.
	Holds []string `json:"holds,omitempty"`
	// Labels say what the minion is good for, such as "site-a"; for people and
	// for choosing minions.
	Labels []string `json:"labels,omitempty"`
	// Free is how many bytes are free where the minion's working area is, at
	// least 1; 0: it does not tell.
	Free int64 `json:"free,omitempty"`
	// Running are the jobs that the minion works on now.
	Running []core.JobID `json:"running,omitempty"`
}

// Access is how git reaches a repository. It travels only in a job answer to
// an authenticated minion or over loopback, and from the minion to the
// importer over a private file descriptor.
type Access struct {
	URL      string `json:"url"`
	Username string `json:"username,omitempty"`
	Secret   string `json:"secret,omitempty"`
	// SecretIn is the parameter of the URL's query that Secret is sent as; "":
	// it is sent as basic authentication is.
	SecretIn         string `json:"secret_in,omitempty"`
	KnownHosts       string `json:"known_hosts,omitempty"`
	SkipCertificates bool   `json:"skip_certificates,omitempty"`
	// Authorities are certificates, in PEM, of authorities that are trusted for
	// this URL's host beside those that the minion's machine knows.
	Authorities string `json:"authorities,omitempty"`
	// PushOptions are given to git as push options, in order (--push-option).
	PushOptions []string `json:"push_options,omitempty"`
}

// Job is one job as a minion gets it. The original's minion reads job_id,
// path and text and ignores the rest.
type Job struct {
	JobID        *core.JobID `json:"job_id"` // null: nothing to do
	Path         string      `json:"path,omitempty"`
	Text         string      `json:"text,omitempty"`
	Interval     int64       `json:"interval,omitempty"`      // seconds
	LorryTimeout int64       `json:"lorry_timeout,omitempty"` // seconds
	RunningJob   *core.JobID `json:"running_job,omitempty"`
	FromHost     string      `json:"from_host,omitempty"`
	FromPath     string      `json:"from_path,omitempty"`

	// Version is the controller's protocol version; 0 from the original, which
	// never waits for a job to become due.
	Version int `json:"version,omitempty"`

	Fence     core.Fence `json:"fence,omitempty"`
	Lease     int64      `json:"lease,omitempty"`     // seconds of silence before the job counts as lost
	Heartbeat int64      `json:"heartbeat,omitempty"` // send an update at least so often, in seconds
	// Digest is that of the upstream's refs at the last verified push, or "".
	Digest   string             `json:"digest,omitempty"`
	Rewrites core.RewritePolicy `json:"rewrites,omitempty"`
	Fetch    *Access            `json:"fetch,omitempty"`
	Push     *Access            `json:"push,omitempty"`
	// Withheld says why the credentials of this job were left out, or "".
	Withheld string `json:"withheld,omitempty"`
	// FileRoots are the directories below which file:// and plain paths may be
	// read by this job; none: not at all.
	FileRoots []string `json:"file_roots,omitempty"`
	// DenyPrivateAddresses refuses to fetch from addresses that are not public,
	// but for the hosts, addresses and networks of AllowAddresses.
	DenyPrivateAddresses bool     `json:"deny_private_addresses,omitempty"`
	AllowAddresses       []string `json:"allow_addresses,omitempty"`
	// Approved are the rewritten refs that an admin lets through with this job.
	Approved []Approval `json:"approved,omitempty"`

	Jobs []Job `json:"jobs,omitempty"` // all of them, when more than one was asked for

	// Drain tells the minion to take no further job: it is to end those that it
	// has and to go on asking, with no job in the answers, until this is false.
	Drain bool `json:"drain,omitempty"`
}

// Update is what a minion reports of one job.
type Update struct {
	JobID core.JobID `json:"job_id"`
	Fence core.Fence `json:"fence,omitempty"` // 0 from the original's minion
	// Exit is "no" while the job runs, then the exit code in decimal, negative
	// for a signal; "returned" hands the job back without counting a failure.
	Exit   string `json:"exit"`
	Stdout string `json:"stdout,omitempty"` // new output since the last update
	Stderr string `json:"stderr,omitempty"`
	// Sent counts the bytes of output that were sent of this job, with this
	// update's; 0 when not told. An update whose answer was lost is sent again
	// as it was: its output is not taken twice.
	Sent      int64            `json:"sent,omitempty"`
	DiskUsage int64            `json:"disk_usage,omitempty"` // bytes
	Failure   core.Failure     `json:"failure,omitzero"`
	Unchanged bool             `json:"unchanged,omitempty"`
	Digest    string           `json:"digest,omitempty"` // of the refs that were verified downstream
	Head      string           `json:"head,omitempty"`   // upstream's default branch, a full ref
	Refs      []core.RefResult `json:"refs,omitempty"`
	// Progress is sent while the job runs, when it has changed; nil leaves what
	// was told last.
	Progress *core.Progress `json:"progress,omitempty"`
}

// UpdateAnswer tells the minion whether to go on.
type UpdateAnswer struct {
	JobID core.JobID `json:"job_id,omitempty"`
	Kill  bool       `json:"kill"`
	// Stale is set when the job is no longer this minion's.
	Stale bool `json:"stale,omitempty"`
}

// ImportRequest is what the minion writes to the importer's access descriptor:
// everything about one job that must not be in an argument or a file.
type ImportRequest struct {
	Path      string             `json:"path"`
	Digest    string             `json:"digest,omitempty"`
	Rewrites  core.RewritePolicy `json:"rewrites,omitempty"`
	Fetch     *Access            `json:"fetch,omitempty"`
	Push      *Access            `json:"push,omitempty"`
	FileRoots []string           `json:"file_roots,omitempty"`
	Approved  []Approval         `json:"approved,omitempty"`
	// Interval is how often the Lorry's turn comes, in seconds: one without a
	// working copy is held to the daily look at downstream by it.
	Interval int64 `json:"interval,omitempty"`
	// Progress asks for ProgressLines on the report descriptor, before the
	// report. An older minion takes nothing but the report from there.
	Progress bool `json:"progress,omitempty"`
	// Proxy is how upstream is reached, as the minion's proxy-config says; nil:
	// as the environment says. The Downstream Host is reached by it too, unless
	// NoProxy names it.
	Proxy *Proxy `json:"proxy,omitempty"`
	// DenyPrivateAddresses refuses to fetch from addresses that are not public,
	// but for the hosts, addresses and networks of AllowAddresses.
	DenyPrivateAddresses bool     `json:"deny_private_addresses,omitempty"`
	AllowAddresses       []string `json:"allow_addresses,omitempty"`
}

// Proxy is an HTTP proxy. Like Access it travels over the private file
// descriptor alone, since it may hold a password.
type Proxy struct {
	HTTP  string `json:"http,omitempty"`  // for http:// URLs, such as http://proxy.example.com:3128; no credential in it
	HTTPS string `json:"https,omitempty"` // the same for https:// URLs
	// NoProxy lists hosts that are reached without it, as the variable
	// no_proxy does: names, ".domain", addresses, networks, with commas.
	// Loopback is always reached without it.
	NoProxy  string `json:"no_proxy,omitempty"`
	Username string `json:"username,omitempty"`
	Password string `json:"password,omitempty"`
}

// Approval lets the rewrite of one downstream ref from one object to another
// through. Old is "", for any, from a core that does not tell it yet.
type Approval struct {
	Ref string `json:"ref"`
	Old string `json:"old,omitempty"`
	New string `json:"new"`
}

// Progress is core's.
type Progress = core.Progress

// ProgressLine is what lorry tells while it works, as lines of JSON between its
// reports: on standard output with --porcelain, and on the report descriptor
// when ImportRequest.Progress asks for it.
type ProgressLine struct {
	Progress *Progress `json:"progress"` // nil: the line is a report
}

// ImportReport is what the importer writes to its report descriptor as one
// JSON line when it ends, the last one of a job.
type ImportReport struct {
	Path      string           `json:"path"`
	Exit      int              `json:"exit"`
	Failure   core.Failure     `json:"failure,omitzero"`
	Unchanged bool             `json:"unchanged,omitempty"`
	Digest    string           `json:"digest,omitempty"`
	Head      string           `json:"head,omitempty"`
	DiskUsage int64            `json:"disk_usage"`
	Refs      []core.RefResult `json:"refs,omitempty"`
}

// Error is the body of an answer that is not 2xx.
type Error struct {
	Kind    core.Kind `json:"kind"`
	Message string    `json:"message"`
	Hint    string    `json:"hint,omitempty"`
}
