package api

import (
	"context"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// Retry answers POST /1.0/retry: the failures of a Lorry are forgotten and it is
// due now. Without a path, this is done to all failing Lorries that kind, host,
// text and older select, or to all there are with all=1.
func (a *API) Retry(r *exchange.Request) (exchange.Answer, error) {
	if r.Form.Get("path") == "" && asks(r, "kind", "host", "trovehost", "text", "older", "all") {
		return a.group(r, "due now", func(ctx context.Context, f queue.LorryFilter) (int, error) {
			return a.queue.RetryAll(ctx, f)
		})
	}
	path, err := pathField(r)
	if err != nil {
		return nil, &core.Error{
			Kind: core.KindInvalid, Err: err, Fact: "field \"path\" is missing",
			Hint: "send path=LORRY, or kind=KIND and host=HOST as /1.0/failures lists them, or all=1",
		}
	}
	if err := a.queue.Retry(r.Context(), path); err != nil {
		return nil, err
	}
	return exchange.Line("Lorry " + path + " is due now"), nil
}

// group acts on what the fields of a request select and says how many Lorries
// were changed.
func (a *API) group(r *exchange.Request, what string, act func(ctx context.Context, f queue.LorryFilter) (int, error)) (exchange.Answer, error) {
	f, err := a.selection(r)
	if err != nil {
		return nil, err
	}
	if f.State, err = choice(r, "state", LorryStates()); err != nil {
		return nil, err
	}
	n, err := act(r.Context(), f)
	if err != nil {
		if n > 0 {
			a.log.Warn("part of a group was changed before this failed", "path", r.URL.Path, "changed", n, "error", err)
		}
		return nil, err
	}
	words := "Lorries are"
	if n == 1 {
		words = "Lorry is"
	}
	return exchange.JSON(protocol.GroupChanged{Changed: n, Message: fmt.Sprintf("%d %s %s", n, words, what)}), nil
}

// isGroup reports whether a request to hold or resume is about a group. A host
// alone is the host as a whole, with the Lorries that it will have.
func isGroup(r *exchange.Request) bool {
	return r.Form.Get("path") == "" && asks(r, "kind", "text", "older", "state")
}

// Hold answers POST /1.0/hold: a Lorry, all Lorries of an upstream host, or a
// group of Lorries, are not claimed until they are resumed. The reason is for
// people; a host's hold may end by itself, at the Unix time in until.
func (a *API) Hold(r *exchange.Request) (exchange.Answer, error) {
	reason := r.Form.Get("reason")
	if reason == "" {
		reason = "held by an admin"
	}
	if isGroup(r) {
		return a.group(r, "held", func(ctx context.Context, f queue.LorryFilter) (int, error) {
			return a.queue.HoldAll(ctx, f, reason)
		})
	}
	path, host, err := target(r)
	if err != nil {
		return nil, err
	}
	if host != "" {
		var until time.Time
		if r.Form.Has("until") {
			seconds, err := r.Form.Int("until")
			if err != nil {
				return nil, err
			}
			if now := a.clock(); seconds <= now.Unix() || seconds > now.AddDate(100, 0, 0).Unix() {
				return nil, badField("until", r.Form.Get("until"), "it is a time to come, within a century, in seconds since 1970; without it the host is held until it is resumed")
			}
			until = time.Unix(seconds, 0)
		}
		if len(host) > longestName {
			return nil, badField("host", host, "a host's name is shorter")
		}
		names, err := a.heldNames(r.Context(), host)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if err := a.queue.HoldHost(r.Context(), name, until, reason); err != nil {
				return nil, err
			}
		}
		return exchange.Line("Upstream host " + host + " is held"), nil
	}
	if err := a.queue.HoldLorry(r.Context(), path, reason); err != nil {
		return nil, err
	}
	return exchange.Line("Lorry " + path + " is held"), nil
}

// Resume answers POST /1.0/resume, the opposite of Hold.
func (a *API) Resume(r *exchange.Request) (exchange.Answer, error) {
	if isGroup(r) {
		return a.group(r, "resumed", func(ctx context.Context, f queue.LorryFilter) (int, error) {
			return a.queue.HoldAll(ctx, f, "")
		})
	}
	path, host, err := target(r)
	if err != nil {
		return nil, err
	}
	if host != "" {
		names, err := a.heldNames(r.Context(), host)
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			if err := a.queue.ResumeHost(r.Context(), name); err != nil {
				return nil, err
			}
		}
		return exchange.Line("Upstream host " + host + " is resumed"), nil
	}
	if err := a.queue.ResumeLorry(r.Context(), path); err != nil {
		return nil, err
	}
	return exchange.Line("Lorry " + path + " is resumed"), nil
}
