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
	return exchange.JSON(protocol.Adapters{Adapters: list}), nil
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

// Approve answers POST /1.0/approve: of a rewritten ref (path, ref, new and,
// so that nobody approves what he has not seen, old), or of the removals that a
// host's listing asks for (host).
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
			Hint: "send path, ref, old and new as GET /1.0/held-rewrites gives them, or host alone",
		}
	}
	if err := a.queue.ApproveRewrite(r.Context(), path, ref, r.Form.Get("old"), tip); err != nil {
		return nil, err
	}
	return exchange.Line("The rewrite of " + ref + " in " + path + " is approved"), nil
}
