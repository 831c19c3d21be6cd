package sdk

import (
	"errors"
	"fmt"
	"time"
)

// Kind says what went wrong, for the run queue to act on. The set only grows.
type Kind string

// The error kinds.
const (
	// Invalid: the request or a setting can never work as it stands.
	Invalid Kind = "invalid"
	// Unauthenticated: the host refused the credentials. The host is held.
	Unauthenticated Kind = "unauthenticated"
	// Denied: the credentials are good, but not for this.
	Denied Kind = "denied"
	// NotFound: there is no such repository.
	NotFound Kind = "not-found"
	// Conflict: something else changed the same thing at the same time.
	Conflict Kind = "conflict"
	// RateLimited: the host wants to be left alone; see RetryAfter.
	RateLimited Kind = "rate-limited"
	// Unavailable: the host cannot be reached or is broken just now.
	Unavailable Kind = "unavailable"
	// ReadOnly: the repository or the host takes no writes.
	ReadOnly Kind = "read-only"
	// Unsupported: the host cannot do this.
	Unsupported Kind = "unsupported"
	// Internal: the adapter is at fault. Errors without a kind count as this.
	Internal Kind = "internal"
)

// Error is an error with a kind for machines and a fact for people.
type Error struct {
	Kind Kind
	// Fact is a short lower-case sentence without a credential.
	Fact string
	// Subject is what it is about: a path or a setting; "" when that is plain.
	Subject string
	// Hint says what a person can do, or is "".
	Hint string
	// RetryAfter is how long to leave the host alone; 0 when it did not say.
	RetryAfter time.Duration
	// Err is the cause, or nil. Fact already says what it says.
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

// KindOf gives the kind of err, or Internal when it has none. It must not be
// called with nil.
func KindOf(err error) Kind {
	var e *Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return Internal
}

// RetryAfter gives err with the time for which the host is to be left alone.
func RetryAfter(err error, wait time.Duration) error {
	e := asError(err)
	e.RetryAfter = wait
	return e
}

// WithHint gives err with a sentence that says what a person can do about it.
func WithHint(err error, hint string) error {
	e := asError(err)
	e.Hint = hint
	return e
}

// asError copies what is known of err, so that a shared value is not changed.
func asError(err error) *Error {
	e := &Error{Kind: KindOf(err), Fact: err.Error(), Err: err}
	var known *Error
	if errors.As(err, &known) {
		e.Subject, e.Hint, e.RetryAfter = known.Subject, known.Hint, known.RetryAfter
	}
	return e
}

// incomplete ends a listing that has no error but does not have everything.
type incomplete struct{ reason string }

func (e incomplete) Error() string { return "listing is not complete: " + e.reason }

// Incomplete makes the error with which a listing says that it gave what it
// could, but that repositories are missing. What was listed is used; nothing is
// removed because of it.
func Incomplete(reason string) error { return incomplete{reason} }
