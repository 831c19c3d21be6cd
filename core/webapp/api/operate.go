package api

import (
	"strconv"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// Adapters answers GET /1.0/adapters.
func (a *API) Adapters(*exchange.Request) (exchange.Answer, error) {
	list := []protocol.Adapter{}
	if a.info.Adapters != nil {
		list = append(list, a.info.Adapters.Adapters()...)
	}
	return exchange.JSON(map[string][]protocol.Adapter{"adapters": list}), nil
}

// RestartAdapter answers POST /1.0/adapters/NAME/restart.
func (a *API) RestartAdapter(r *exchange.Request) (exchange.Answer, error) {
	name := r.Param("name")
	if a.info.Adapters == nil {
		return nil, core.Errorf(core.KindNotFound, "there is no adapter for a host named %q", name)
	}
	if err := a.info.Adapters.RestartAdapter(r.Context(), name); err != nil {
		return nil, err
	}
	return exchange.Line("Adapter " + name + " restarted"), nil
}

// PretendTime answers POST /1.0/pretend-time: the clock stands still at the
// field now, in Unix seconds. It is refused unless the settings allow it.
func (a *API) PretendTime(r *exchange.Request) (exchange.Answer, error) {
	if a.pretendTime == nil {
		return nil, &core.Error{
			Kind: core.KindUnsupported, Fact: "this controller's clock can't be set",
			Hint: "for tests, start it with debug-pretend-time = yes",
		}
	}
	now, err := r.Form.Int("now")
	if err != nil {
		return nil, err
	}
	a.pretendTime(time.Unix(now, 0))
	return exchange.Line("Time set to " + strconv.FormatInt(now, 10)), nil
}

// target is what hold, resume and retry act upon: a Lorry or an upstream host.
func target(r *exchange.Request) (path, host string, err error) {
	host = r.Form.Get("host")
	if path = r.Form.Get("path"); path == "" && host != "" {
		return "", host, nil
	}
	path, err = pathField(r)
	return path, "", err
}

// Hold answers POST /1.0/hold: a Lorry, or all Lorries of an upstream host, are
// not claimed until they are resumed. What runs goes on.
func (a *API) Hold(r *exchange.Request) (exchange.Answer, error) {
	path, host, err := target(r)
	if err != nil {
		return nil, err
	}
	reason := r.Form.Get("reason")
	if reason == "" {
		reason = "an admin holds it"
	}
	if host != "" {
		var until time.Time
		if r.Form.Has("until") {
			seconds, err := r.Form.Int("until")
			if err != nil {
				return nil, err
			}
			until = time.Unix(seconds, 0)
		}
		if err := a.queue.HoldHost(r.Context(), host, until, reason); err != nil {
			return nil, err
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
	path, host, err := target(r)
	if err != nil {
		return nil, err
	}
	if host != "" {
		if err := a.queue.ResumeHost(r.Context(), host); err != nil {
			return nil, err
		}
		return exchange.Line("Upstream host " + host + " is resumed"), nil
	}
	if err := a.queue.ResumeLorry(r.Context(), path); err != nil {
		return nil, err
	}
	return exchange.Line("Lorry " + path + " is resumed"), nil
}

// Retry answers POST /1.0/retry: a Lorry's failures are forgotten and it is due
// now.
func (a *API) Retry(r *exchange.Request) (exchange.Answer, error) {
	path, err := pathField(r)
	if err != nil {
		return nil, err
	}
	if err := a.queue.Retry(r.Context(), path); err != nil {
		return nil, err
	}
	return exchange.Line("Lorry " + path + " is due now"), nil
}

// HeldRewrites answers GET /1.0/held-rewrites, of one Lorry or of all.
func (a *API) HeldRewrites(r *exchange.Request) (exchange.Answer, error) {
	held, err := a.queue.HeldRewrites(r.Context(), r.Form.Get("path"))
	if err != nil {
		return nil, err
	}
	list := []protocol.HeldRewrite{}
	for _, h := range held {
		list = append(list, protocol.HeldRewrite{
			Path: h.Path, Ref: h.Ref, Old: h.Old, New: h.New, Since: unixTime(h.Since), Approved: h.Approved,
		})
	}
	return exchange.JSON(map[string][]protocol.HeldRewrite{"held_rewrites": list}), nil
}

// Approve answers POST /1.0/approve: of a rewritten ref (path, ref, new), or of
// the removals that a host's listing asks for (host).
func (a *API) Approve(r *exchange.Request) (exchange.Answer, error) {
	path, host, err := target(r)
	if err != nil {
		return nil, err
	}
	if host != "" {
		if err := a.config.ApprovePurge(r.Context(), host); err != nil {
			return nil, err
		}
		return exchange.Line("The removals on Upstream Host " + host + " are approved"), nil
	}
	ref, tip := r.Form.Get("ref"), r.Form.Get("new")
	if ref == "" || tip == "" {
		return nil, &core.Error{
			Kind: core.KindInvalid, Fact: "field \"ref\" or \"new\" is missing",
			Hint: "send path, ref and new as GET /1.0/held-rewrites gives them, or host alone",
		}
	}
	if err := a.queue.ApproveRewrite(r.Context(), path, ref, tip); err != nil {
		return nil, err
	}
	return exchange.Line("The rewrite of " + ref + " in " + path + " is approved"), nil
}
