package core

import "time"

// PrefixRule maps the repositories below one prefix of an Upstream Host to a
// prefix of the Downstream Host. An empty From maps everything.
type PrefixRule struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// Host is an Upstream Host as CONFGIT describes it, without credentials.
type Host struct {
	Name     string // v1: host or trovehost
	Type     string // the adapter's type: gitlab, gitea, gerrit, trove, local …
	Protocol string // ssh, https or http; "" leaves it to the adapter
	// Prefixes keep the order of the file: the first that matches wins (v1).
	Prefixes   []PrefixRule
	Ignore     []string // globs on the whole upstream path
	LsInterval time.Duration
	Interval   time.Duration
	Timeout    time.Duration
	Rewrites   RewritePolicy
	// Prune removes refs downstream that upstream has no more.
	Prune bool
	// LFS is "yes" or "no" for objects of git-lfs, "" for what is found.
	LFS string
	// Settings go to the adapter as they stand in CONFGIT (path, group, …).
	Settings map[string]any
	// SkipCertificates is set by check-certificates = no (RR/CERT).
	SkipCertificates bool
}

// HostState is a Host and what the STATEDB knows of it.
type HostState struct {
	Name       string
	Type       string
	Protocol   string
	Prefixes   []PrefixRule
	Ignore     []string
	LsInterval time.Duration
	Interval   time.Duration
	Timeout    time.Duration
	// LsLast is when a listing last succeeded and was complete; LsDue is when
	// the next is wanted.
	LsLast, LsDue time.Time
	// Asked is how often a listing before its time was asked for.
	Asked int64
	// LsError is why the last listing failed, or "".
	LsError string
	// Listed is how many repositories the last complete listing gave.
	Listed int
	// Purge says that removals are being held, and why; "" when none are.
	Purge string
	// PurgeSince is when they were first held; zero when none are.
	PurgeSince time.Time
	// HeldUntil and HeldReason hold all Lorries of the host.
	HeldUntil  time.Time
	HeldReason string
}

// Problem is something in CONFGIT that could not be used.
type Problem struct {
	File     string `json:"file"`
	Line     int    `json:"line,omitempty"` // 1 is the first; 0 when unknown
	Key      string `json:"key,omitempty"`
	Message  string `json:"message"`
	Severity string `json:"severity"` // SeverityError, SeverityWarning or SeverityNotice
	// Host is the host that the problem is of, when it is none of a file:
	// "downstream" or the name of an Upstream Host.
	Host string `json:"host,omitempty"`
	// Hint says what to do, where the message does not.
	Hint string `json:"hint,omitempty"`
}

// How bad a Problem is: an error means that something was left out, a warning
// that a default was used instead, a notice that something was ignored.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
	SeverityNotice  = "notice"
)
