package adapter

import (
	"errors"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Action is what the run queue does after an error of an adapter.
type Action string

// The actions.
const (
	// Retry tries again with backoff, without blaming the Lorry.
	Retry Action = "retry"
	// HoldUntil leaves the host alone until Error.RetryAfter is over: until then
	// calls are refused with the same kind, without asking the adapter, and the
	// run queue gives out no Lorry of the host (of the Downstream Host: none).
	HoldUntil Action = "hold-until"
	// HoldAndAlert does the same for Options.AuthHold, or until the host's
	// configuration changes, the core is started anew or somebody restarts the
	// adapter, and shows why.
	HoldAndAlert Action = "hold-and-alert"
	// FailLorry fails this Lorry with the reason; it is tried again with the run
	// queue's backoff, which grows to a day.
	FailLorry Action = "fail-lorry"
	// ConfirmByListing fails this Lorry and has the host listed soon; that it is
	// gone is believed only after a complete listing. On the Downstream Host: ensure the repository again.
	ConfirmByListing Action = "confirm-by-listing"
	// AdapterFault tries again with backoff, and is shown as the adapter's
	// fault when it came five times within a day.
	AdapterFault Action = "adapter-fault"
)

// Rule is one row of the table of error kinds.
type Rule struct {
	Kind    core.Kind
	Action  Action
	Failure core.FailureKind // how a job that fails of it is classified
	Means   string
}

// Policy is the table of error kinds: what the run queue does about each.
func Policy() []Rule {
	return []Rule{
		{core.KindUnavailable, Retry, core.FailNetwork, "the host or the adapter can't be reached just now"},
		{core.KindRateLimited, HoldUntil, core.FailRateLimited, "the host asks to be left alone"},
		{core.KindUnauthenticated, HoldAndAlert, core.FailAuth, "the host refuses the credentials"},
		{core.KindDenied, FailLorry, core.FailAuth, "the credentials are not good for this"},
		{core.KindReadOnly, FailLorry, core.FailRefused, "the repository takes no writes"},
		{core.KindInvalid, FailLorry, core.FailSpec, "what was asked for can never work"},
		{core.KindUnsupported, FailLorry, core.FailSpec, "the host can't do this"},
		{core.KindNotFound, ConfirmByListing, core.FailGone, "there is no such repository"},
		{core.KindConflict, AdapterFault, core.FailAdapter, "something else changed it at the same time"},
		{core.KindInternal, AdapterFault, core.FailAdapter, "the adapter is at fault"},
	}
}

// How long a host is left alone that does not say it itself.
const (
	DefaultRateLimitHold = time.Minute
	DefaultAuthHold      = time.Hour
)

// HoldFor gives how long the host is to be left alone after an error, by the
// table and by what the host said, or 0 when it need not be.
func HoldFor(err error) time.Duration {
	wait := time.Duration(0)
	switch RuleOf(err).Action {
	case HoldUntil:
		wait = DefaultRateLimitHold
	case HoldAndAlert:
		wait = DefaultAuthHold
	default:
		return 0
	}
	var e *core.Error
	if errors.As(err, &e) && e.RetryAfter > 0 {
		wait = e.RetryAfter
	}
	return wait
}

// ErrProcess marks an error of an adapter's process, which the run queue treats
// like a host that can't be reached, but which a person mends elsewhere.
var ErrProcess = errors.New("the adapter's process failed")

// ErrHeld is wrapped by the error of a call that was refused because the host
// is left alone; core.Error.RetryAfter says for how long.
var ErrHeld = errors.New("the host is left alone")

// RuleOf gives the row for an error, or the one of core.KindInternal when its
// kind has none.
func RuleOf(err error) Rule {
	kind := core.KindOf(err)
	var internal Rule
	for _, r := range Policy() {
		if r.Kind == kind && errors.Is(err, ErrProcess) {
			r.Failure = core.FailAdapter
		}
		if r.Kind == kind {
			return r
		}
		if r.Kind == core.KindInternal {
			internal = r
		}
	}
	return internal
}
