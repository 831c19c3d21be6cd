package core

import (
	"errors"
	"fmt"
	"time"
)

// FailureKind classifies why a job failed, for machines and for grouping.
type FailureKind string

// The failure kinds of a job. "" means success. The set only grows.
const (
	FailNone        FailureKind = ""
	FailAuth        FailureKind = "auth"         // credentials refused
	FailGone        FailureKind = "gone"         // the repository does not exist upstream
	FailRateLimited FailureKind = "rate-limited" // the host asked us to wait
	FailTLS         FailureKind = "tls"          // certificate or TLS trouble
	FailHostKey     FailureKind = "host-key"     // ssh host key unknown or changed
	FailNetwork     FailureKind = "network"      // name, connection or protocol trouble on the way
	FailNotGit      FailureKind = "not-git"      // something answered, but not a git repository
	FailEmpty       FailureKind = "empty"        // no ref matched, or upstream is suddenly empty
	FailDiverged    FailureKind = "diverged"     // a rewritten ref was refused or held
	FailRefused     FailureKind = "refused"      // downstream refused a ref
	FailLFS         FailureKind = "lfs"          // LFS objects are missing
	FailCorrupt     FailureKind = "corrupt"      // objects are broken or missing
	FailDisk        FailureKind = "disk"         // no space, or an I/O error
	FailTimeout     FailureKind = "timeout"      // ran longer than lorry-timeout
	FailKilled      FailureKind = "killed"       // an admin stopped it
	FailLost        FailureKind = "lost"         // the minion went silent
	FailAdapter     FailureKind = "adapter"      // a host adapter failed
	FailSpec        FailureKind = "spec"         // the specification is wrong
	FailLimit       FailureKind = "limit"        // more output, memory, disk or file size than a job may have
	FailTool        FailureKind = "tool"         // a program that is needed is missing or broken
	FailOther       FailureKind = "other"
)

// Failure says why a job failed: a kind for machines, one line of cause and,
// where one is known, what to do about it. Neither holds a credential.
type Failure struct {
	Kind  FailureKind `json:"kind,omitempty"`
	Cause string      `json:"cause,omitempty"`
	Hint  string      `json:"hint,omitempty"`
	// RetryAfter is how many seconds the host asked to be left alone, as its
	// Retry-After said; 0 when it did not.
	RetryAfter int64 `json:"retry_after,omitempty"`
}

// Failed reports whether f describes a failure.
func (f Failure) Failed() bool { return f.Kind != FailNone }

// Kind classifies an error for whoever has to act on it. The set is closed and
// only grows; it equals the adapters' error kinds.
type Kind string

// The error kinds.
const (
	KindInvalid         Kind = "invalid"
	KindUnauthenticated Kind = "unauthenticated"
	KindDenied          Kind = "denied"
	KindNotFound        Kind = "not-found"
	KindConflict        Kind = "conflict"
	KindRateLimited     Kind = "rate-limited"
	KindUnavailable     Kind = "unavailable"
	KindReadOnly        Kind = "read-only"
	KindUnsupported     Kind = "unsupported"
	KindInternal        Kind = "internal"
)

// Error is an error with a kind for machines and a fact for people.
type Error struct {
	Kind Kind
	// Fact is a short lower-case sentence without a credential.
	Fact string
	// Hint says what a person can do, or is "".
	Hint string
	// RetryAfter is how long to leave the host alone; 0 when it did not say.
	RetryAfter time.Duration
	// Err is the cause for errors.Is and errors.As, or nil. Fact already says
	// what it says, so it is not printed again.
	Err error
}

// Error implements error.
func (e *Error) Error() string { return e.Fact }

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Errorf makes an *Error of the given kind; %w wraps as in fmt.Errorf.
func Errorf(kind Kind, format string, args ...any) error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Fact: err.Error(), Err: errors.Unwrap(err)}
}

// KindOf gives the kind of err, or KindInternal when none is known. It must
// not be called with nil.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return KindInternal
}
