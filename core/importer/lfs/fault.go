package lfs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"syscall"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
)

const (
	hintMode   = "switch git-lfs on for that repository, or set lfs: no in the specification to mirror the pointers alone"
	hintLost   = "nothing was changed; have upstream's owner push the objects (git lfs push --all), or set lfs: no to mirror the pointers alone"
	hintServer = "nothing was changed; tell whoever runs that git-lfs server"
	hintInside = "nothing was changed; a host that everybody can reach may not send us to addresses inside: if that one is meant, name it in allow-addresses"
)

// hintMoved is what to do about a server that sends us elsewhere.
func hintMoved(place gitfail.Place) string {
	if place == gitfail.Downstream {
		return "nothing was changed; correct the Downstream Host's address"
	}
	return "nothing was changed; put the repository's new address into the specification, or have upstream's .lfsconfig corrected"
}

// fault makes the failure of a side.
func fault(place gitfail.Place, kind core.FailureKind, hint, format string, args ...any) *gitfail.Error {
	return gitfail.New(kind, place, hint, "%s: %s", place, fmt.Sprintf(format, args...))
}

// status says why an answer is a failure.
func (a *api) status(resp *http.Response, who string) error {
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 64<<10)) // so that the connection can be kept
	kind, hint, wait := core.FailNetwork, "", gitfail.From(lsrefs.StatusError(resp), a.side.Place).RetryAfter
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized, code == http.StatusForbidden, code == http.StatusProxyAuthRequired:
		kind = core.FailAuth
	case code == http.StatusTooManyRequests:
		kind = core.FailRateLimited
	case code == http.StatusNotFound, code == http.StatusNotImplemented, code == http.StatusMethodNotAllowed, code == http.StatusGone:
		kind, hint = core.FailLFS, hintMode
	case code == http.StatusInsufficientStorage:
		kind = core.FailDisk
	case code < http.StatusInternalServerError:
		kind, hint = core.FailLFS, hintServer
	}
	if hint == "" {
		hint = gitfail.Hint(kind, a.side.Place)
	}
	e := fault(a.side.Place, kind, hint, "%s answered %q", who, resp.Status)
	e.RetryAfter = wait
	return e
}

// connection says why there was no answer.
func (a *api) connection(ctx context.Context, err error) error {
	e := gitfail.From(lsrefs.ConnectionError(ctx, err), a.side.Place)
	e.Place, e.Cause = a.side.Place, string(a.side.Place)+strings.TrimPrefix(e.Cause, string(gitfail.Upstream))
	return e
}

// written tells a failure to write here from one to read there.
func (a *api) written(ctx context.Context, p Pointer, err error) error {
	var wrong *wrongError
	switch {
	case errors.As(err, &wrong):
		return fault(a.side.Place, core.FailLFS, hintServer, "the object of git-lfs for %s is not what its pointer says: %v", p.name(), wrong)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EDQUOT), errors.Is(err, syscall.EACCES):
		return gitfail.From(err, gitfail.Local)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault(a.side.Place, core.FailNetwork, gitfail.Hint(core.FailNetwork, a.side.Place), "the object of git-lfs for %s ended too early", p.name())
	}
	return a.connection(ctx, err)
}

// name is how people know an object.
func (p Pointer) name() string {
	if p.Path == "" {
		return p.OID
	}
	return fmt.Sprintf("%q (%.12s)", p.Path, p.OID)
}

const (
	tries = 3
	// longestWait is how long a host may ask us to wait within the job.
	longestWait = 20 * time.Second
)

// repeat does something again that failed for a reason that passes.
func (a *api) repeat(ctx context.Context, do func() error) error {
	wait := a.retry
	for try := 1; ; try++ {
		err := do()
		if err == nil {
			return nil
		}
		e := gitfail.From(err, a.side.Place)
		asked := time.Duration(e.RetryAfter) * time.Second
		if try == tries || ctx.Err() != nil || e.Kind != core.FailNetwork && e.Kind != core.FailRateLimited || asked > longestWait {
			return e
		}
		timer := time.NewTimer(max(wait, asked))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return gitfail.From(context.Cause(ctx), a.side.Place)
		}
		wait *= 4
	}
}
