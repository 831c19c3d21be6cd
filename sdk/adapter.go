package sdk

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Role is what an adapter can be for a host.
type Role string

// The roles. RoleUnknown is what Env has when the core did not tell.
const (
	RoleUnknown    Role = ""
	RoleUpstream   Role = "upstream"
	RoleDownstream Role = "downstream"
)

// Visibility says who may read a repository. The zero value means unknown or,
// in a wish, left to the settings.
type Visibility string

// The visibilities.
const (
	VisibilityUnknown  Visibility = ""
	VisibilityPrivate  Visibility = "private"
	VisibilityInternal Visibility = "internal"
	VisibilityPublic   Visibility = "public"
)

// Repo is a repository of an Upstream Host.
type Repo struct {
	ID          string // the host's own identity, which survives a rename, or ""
	Path        string // without ".git" and without a leading "/"
	CloneURL    string // without a credential
	Head        string // default branch as a full ref, or ""
	Description string
	Visibility  Visibility
	Archived    bool
	Empty       bool // there is no ref yet
	Fork        bool
	Disabled    bool // there is no git repository to mirror
	// ChangeHint is a short text that changes when the repository may have
	// changed, or "". It may delay a job, never cancel one.
	ChangeHint string
}

// Access is how git reaches a repository.
type Access struct {
	URL        string // without a credential
	Username   string
	Secret     Secret
	ExpiresAt  time.Time // zero when the secret does not expire
	KnownHosts string    // lines for ssh's known_hosts, or ""
}

// Want is the repository that a Lorry needs on the Downstream Host.
type Want struct {
	Path       string
	Visibility Visibility
	// Head is the default branch as a full ref; "" leaves it alone.
	Head string
	// Description "" leaves the old one alone.
	Description string
	// LFS says that LFS objects may be pushed. Without it there are pointers
	// alone, whose objects the host must not ask for.
	LFS bool
	// Revive says that the core had the repository retired and needs it again:
	// what Retire did is undone.
	Revive bool
}

// Have is a repository that is ready to be pushed to.
type Have struct {
	Access
	// Created says that this call has made the repository.
	Created bool
	// ReadOnlyReason says why a push would be refused, or is "".
	ReadOnlyReason string
	// Unsupported names the wishes that the host cannot grant: "visibility",
	// "head", "description", "lfs".
	Unsupported []string
	// PushOptions are what git is to be given as push options, in this order:
	// at most 16, each of at most 256 bytes of plain text.
	PushOptions []string
}

// Query says which repositories to list. It has no fields yet.
type Query struct{}

// Upstream lists and describes the repositories of one Upstream Host. Its
// methods are called from several goroutines at once.
type Upstream interface {
	// Repos lists every repository that the settings ask for, once, in any
	// order. The listing is complete when the sequence ends without an error;
	// an error of Incomplete says that something is missing.
	Repos(ctx context.Context, q Query) iter.Seq2[Repo, error]
	// Repo gives fresh facts about one repository and how to clone it. A
	// missing one is NotFound.
	Repo(ctx context.Context, path string) (Repo, Access, error)
}

// Downstream prepares repositories on the Downstream Host. Every call is
// idempotent and may come from several goroutines at once.
type Downstream interface {
	// Ensure creates or updates a repository so that it can be pushed to.
	// Losing a race against another creator is success.
	Ensure(ctx context.Context, want Want) (Have, error)
}

// Checker is implemented by an adapter that can look whether its host answers
// and its credentials do what they must. It changes nothing.
type Checker interface {
	Check(ctx context.Context) (Report, error)
}

// Report is what a check found.
type Report struct {
	// ServerVersion is the host's software and version for the pages, or "".
	ServerVersion string
	// ExpiresAt is when the credentials stop working, or zero when they don't or
	// the host does not tell. The core warns early.
	ExpiresAt time.Time
	// Diagnostics is what is wrong or should be looked at.
	Diagnostics []Diagnostic
}

// AfterPusher is implemented by a Downstream that has something to do once
// branches have arrived, such as choosing the default branch.
type AfterPusher interface {
	AfterPush(ctx context.Context, want Want) error
}

// Retirer is implemented by a Downstream that can archive a repository. It
// never deletes history; a missing repository is success. Ensure undoes it when
// Want.Revive says so.
type Retirer interface {
	Retire(ctx context.Context, path string) error
}

// PathChecker is implemented by a Downstream whose host has rules for the names
// of repositories. The core asks when the configuration has changed, so that
// people learn of a name that can't be before a job fails on it.
type PathChecker interface {
	// CheckPath says what the host makes of a path, by its rules and by the
	// settings alone: it asks nobody and answers at once. normal is the path
	// that the host really uses; two paths with the same one are the same
	// repository. A path that can't be is an error, of the kind Invalid and
	// with a hint; any other kind says that the adapter is at fault.
	CheckPath(path string) (normal string, err error)
}

// Validator is implemented by a settings struct that has rules across fields.
// It is called after every field was decoded well, and does no I/O.
type Validator interface {
	Validate() []Diagnostic
}

// Severity says how bad a Diagnostic is.
type Severity string

// The severities. With an error, the adapter is not used.
const (
	SeverityError   Severity = "error"
	SeverityWarning Severity = "warning"
)

// Diagnostic is something to tell the person who wrote the settings.
type Diagnostic struct {
	Severity Severity `json:"severity"`
	Path     string   `json:"path,omitempty"`   // the setting it is about
	Summary  string   `json:"summary"`          // a short lower-case fact
	Detail   string   `json:"detail,omitempty"` // what to do
}

// Env is what an adapter gets from its surroundings.
type Env struct {
	// Instance is the name of the configured host.
	Instance string
	// Role is what the process is going to be used for.
	Role Role
	// Log reaches the core's log with the instance's name.
	Log hclog.Logger
	// HTTP is a client that is ready for forges: it names the adapter, limits
	// answers, checks redirects, repeats a GET once after a 503, and turns 429
	// into RateLimited. Its errors have kinds.
	HTTP *http.Client
	// SkipCertificates is an admin's choice that the host's TLS certificate is
	// not verified. HTTP knows already.
	SkipCertificates bool
	// InsecureCredentials allows to send credentials although the connection
	// is not verified.
	InsecureCredentials bool
}
