package core

import (
	"context"
	"fmt"
	"iter"
	"time"
)

// Secret is a credential. It prints as a placeholder through every formatting
// verb and every marshaller; Reveal is the only way out, and easy to search for.
type Secret struct{ value string }

// NewSecret wraps a credential.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal gives the credential itself.
func (s Secret) Reveal() string { return s.value }

// Empty reports whether there is no credential.
func (s Secret) Empty() bool { return s.value == "" }

const redacted = "[secret]"

// String implements fmt.Stringer with a placeholder.
func (s Secret) String() string { return redacted }

// GoString implements fmt.GoStringer with a placeholder.
func (s Secret) GoString() string { return redacted }

// Format implements fmt.Formatter, so that no verb reaches the value.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// MarshalText implements encoding.TextMarshaler with a placeholder.
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Access is how git reaches a repository. It goes to a minion with its job and
// is never stored.
type Access struct {
	URL      string // without a credential
	Username string
	Secret   Secret
	// SecretIn is the parameter of the URL's query that Secret is sent as; ""
	// when it is sent as basic authentication is.
	SecretIn   string
	ExpiresAt  time.Time // zero when it does not expire
	KnownHosts string    // lines for ssh's known_hosts, or ""
	// SkipCertificates switches TLS verification off for this host (RR/CERT).
	SkipCertificates bool
	// Authorities are certificates, in PEM, of authorities that are trusted for
	// this host beside the system's, or "".
	Authorities string
}

// Repo is a repository of an Upstream Host.
type Repo struct {
	ID          string // the host's own stable identity, or ""
	Path        string
	CloneURL    string
	Head        string // default branch as a full ref, or ""
	Description string
	Visibility  string // private, internal, public or ""
	Archived    bool
	Empty       bool
	Fork        bool
	Disabled    bool // there is no git repository to mirror
	// ChangeHint is an opaque text that changes when the repository may have
	// changed; "" when the host has none. It may delay a job, never cancel it.
	ChangeHint string
}

// Upstream lists and describes the repositories of one Upstream Host.
type Upstream interface {
	// Repos lists every repository once, in any order. The listing is
	// complete if and only if the sequence ends without an error.
	Repos(ctx context.Context) iter.Seq2[Repo, error]
	// Repo gives fresh facts about one repository and how to clone it.
	// A missing one is KindNotFound.
	Repo(ctx context.Context, path string) (Repo, Access, error)
}

// Want is the repository that a Lorry needs on the Downstream Host.
type Want struct {
	Path        string
	Visibility  string // "" leaves it to the adapter's settings
	Head        string // default branch as a full ref, or ""
	Description string
	LFS         bool // objects of git-lfs may be pushed; else pointers alone
	// Revive makes a repository writable again that was retired earlier.
	Revive bool
}

// Have is a repository that is ready to be pushed to.
type Have struct {
	Access
	Created        bool
	ReadOnlyReason string   // why a push would be refused, or ""
	Unsupported    []string // wishes that the host can't grant
	// PushOptions are given to git as push options, in order (--push-option).
	PushOptions []string
}

// Downstream prepares repositories on the Downstream Host. Every call is
// idempotent.
type Downstream interface {
	// EnsureRepo creates or updates a repository so that it can be pushed to.
	EnsureRepo(ctx context.Context, want Want) (Have, error)
	// AfterPush does what needs the pushed branches: default branch,
	// description, protection.
	AfterPush(ctx context.Context, want Want) error
}

// PathVerdict is what a Downstream Host makes of one path.
type PathVerdict struct {
	Path string
	// Normal is the path that the host really uses: two paths with the same one
	// are the same repository. It is "" with a problem.
	Normal string
	// Problem says why the host can't have such a path, or is "".
	Problem, Hint string
}

// PathChecker is implemented by a Downstream that may know its host's rules for
// names.
type PathChecker interface {
	// CheckPaths gives a verdict on each path, in their order, or none at all
	// when the host has no rules. It asks the host nothing.
	CheckPaths(ctx context.Context, paths []string) ([]PathVerdict, error)
}

// Clock tells the time; tests pass their own.
type Clock func() time.Time
