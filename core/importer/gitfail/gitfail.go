// Package gitfail says why a call of git failed, in the words of a job's
// failure: a kind, one line of cause, and what to do about it. It reads what
// git and ssh write to standard error in the C locale.
//
// It must not run anything, and a cause or hint of its never holds a
// credential: it only passes on text that was cleaned before.
package gitfail

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

// Place is the repository that a call was about.
type Place string

// The places where something can fail.
const (
	Upstream   Place = "upstream"
	Downstream Place = "downstream"
	Local      Place = "working area"
)

// Error is a failure with its kind. It is what every part of an import
// returns, so that the kind is decided where the facts are.
type Error struct {
	core.Failure
	Place Place
	Err   error
}

// Error implements error.
func (e *Error) Error() string { return e.Cause }

// Unwrap gives the cause, or nil.
func (e *Error) Unwrap() error { return e.Err }

// New makes an Error.
func New(kind core.FailureKind, place Place, hint, format string, args ...any) *Error {
	return &Error{Failure: core.Failure{Kind: kind, Cause: fmt.Sprintf(format, args...), Hint: hint}, Place: place}
}

// Stopped classifies the end of a context: FailTimeout, FailKilled, or nil
// when err is no such end.
func Stopped(err error) *Error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &Error{Failure: core.Failure{
			Kind: core.FailTimeout, Cause: "the job ran longer than it may",
			Hint: "raise lorry-timeout for this Lorry if the repository is large",
		}, Err: err}
	case errors.Is(err, context.Canceled), errors.Is(err, ErrStopped):
		return &Error{Failure: core.Failure{Kind: core.FailKilled, Cause: "the job was stopped"}, Err: err}
	}
	return nil
}

// ErrStopped is the cause to end a context with when a signal or an admin
// stops the job.
var ErrStopped = errors.New("stopped")

// Route words why a connection was not made: the operator's rules or the
// operator's proxy did not let it through.
func Route(err error) *Error {
	if errors.Is(err, route.ErrProxyAuth) {
		return &Error{Failure: core.Failure{
			Kind: core.FailAuth, Cause: "proxy: it wants another user name and password",
			Hint: "put them into the file that proxy-config names",
		}, Place: Upstream, Err: err}
	}
	return &Error{Failure: core.Failure{
		Kind: core.FailSpec, Cause: "upstream: " + err.Error(),
		Hint: "deny-private-addresses is set; if this host is meant, name it in allow-addresses",
	}, Place: Upstream, Err: err}
}

// From classifies any error of a step that dealt with the given place.
func From(err error, place Place) *Error {
	var known *Error
	if errors.As(err, &known) {
		return known
	}
	if stopped := Stopped(err); stopped != nil {
		stopped.Place = place
		return stopped
	}
	if errors.Is(err, route.ErrDenied) || errors.Is(err, route.ErrProxyAuth) {
		return Route(err)
	}
	if errors.Is(err, childproc.ErrNotInstalled) {
		return &Error{
			Failure: core.Failure{Kind: core.FailTool, Cause: err.Error(), Hint: "install it where the minion runs"},
			Place:   place, Err: err,
		}
	}
	var exit *childproc.ExitError
	if !errors.As(err, &exit) {
		kind := core.FailOther
		r, _ := match(err.Error(), place)
		if r != nil && (r.kind == core.FailDisk || r.kind == core.FailLimit) {
			kind = r.kind
		}
		e := finish(kind, place, string(place)+": "+err.Error(), err)
		if kind == core.FailLimit {
			e.Hint = r.hint
		}
		return e
	}
	if r, line := match(exit.Stderr, place); r != nil {
		if r.kind == core.FailDisk && place == Upstream && !strings.HasPrefix(line, "remote:") {
			place = Local // the disk that filled up is ours
		}
		e := finish(r.kind, place, string(place)+": "+clean(line), err)
		if r.hint != "" {
			e.Hint = r.hint
		}
		if r.kind == core.FailRateLimited {
			e.RetryAfter = waitIn(exit.Stderr)
		}
		return e
	}
	if exit.Signal != 0 {
		e := finish(core.FailTool, place, exit.Error(), err)
		e.Hint = "the machine may have run out of memory; see its system log"
		return e
	}
	return finish(core.FailOther, place, string(place)+": "+clean(best(exit)), err)
}

// asked finds how long a server's message or git itself says to wait.
var asked = regexp.MustCompile(`(?i)(?:retry[- ]after[:= ]*|(?:wait|waiting|try again in|retry in)[a-z ]* )(\d{1,6}) ?(?:s\b|sec|$)`)

// waitIn gives the seconds that a text asks to wait, or 0.
func waitIn(text string) int64 {
	for line := range strings.Lines(text) {
		if m := asked.FindStringSubmatch(strings.TrimSpace(line)); m != nil {
			seconds, err := strconv.ParseInt(m[1], 10, 64)
			if err == nil {
				return seconds
			}
		}
	}
	return 0
}

// HintServer is what to do about a server that breaks the rules.
const HintServer = "nothing was changed, and nothing can be done here: tell whoever runs the upstream's server, or mirror it from another one"

// Said words what a server says instead of an answer (ERR in git's protocol).
func Said(place Place, message string) *Error {
	return From(&childproc.ExitError{Program: "git", Code: 128, Stderr: "fatal: remote error: " + childproc.Redact(message)}, place)
}

func finish(kind core.FailureKind, place Place, cause string, err error) *Error {
	return &Error{Failure: core.Failure{Kind: kind, Cause: cause, Hint: Hint(kind, place)}, Place: place, Err: err}
}

// best is the line of standard error that says most: the first that git calls
// fatal or an error, else the last.
func best(exit *childproc.ExitError) string {
	for _, prefix := range []string{"fatal:", "error:", "remote: fatal", "remote: error", "remote:"} {
		for line := range strings.SplitSeq(exit.Stderr, "\n") {
			if strings.HasPrefix(strings.ToLower(line), prefix) {
				return line
			}
		}
	}
	return exit.Error()
}

func clean(line string) string {
	line = strings.TrimSpace(line)
	for _, prefix := range []string{"remote: ", "fatal: ", "error: ", "ERROR: "} {
		line = strings.TrimSpace(strings.TrimPrefix(line, prefix))
	}
	if len(line) > 500 {
		line = strings.ToValidUTF8(line[:500], "") + " …"
	}
	return line
}

// match finds the first rule that fits a line of the text, and the line.
func match(text string, place Place) (*rule, string) {
	lines := strings.FieldsFunc(text, func(c rune) bool { return c == '\n' || c == '\r' })
	for _, r := range rules() {
		if r.place != "" && r.place != place {
			continue
		}
		for _, line := range lines {
			lower := strings.ToLower(line)
			for _, p := range r.patterns {
				if strings.Contains(lower, p) {
					return &r, line
				}
			}
		}
	}
	return nil, ""
}
