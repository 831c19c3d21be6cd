package webapp

import (
	"context"
	"net/http"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// probes answers those who watch the controller.
type probes struct {
	metrics http.Handler
	ready   func(ctx context.Context) error
	reload  func(ctx context.Context) (protocol.Reload, error)
}

// Reload answers POST /-/reload.
func (p probes) Reload(r *exchange.Request) (exchange.Answer, error) {
	if p.reload == nil {
		return nil, core.Errorf(core.KindUnsupported, "this controller can't read its settings again")
	}
	answer, err := p.reload(r.Context())
	if err != nil {
		return nil, err
	}
	return exchange.JSON(answer), nil
}

// Metrics answers GET /metrics.
func (p probes) Metrics(*exchange.Request) (exchange.Answer, error) {
	if p.metrics == nil {
		return nil, core.Errorf(core.KindNotFound, "this controller keeps no metrics")
	}
	return exchange.Func(p.metrics.ServeHTTP), nil
}

// Healthy answers GET /-/healthy: the process lives, whatever it depends on.
func (p probes) Healthy(*exchange.Request) (exchange.Answer, error) {
	return exchange.Line("healthy"), nil
}

// readyTimeout is less than those who probe wait for an answer.
const readyTimeout = 4 * time.Second

// Ready answers GET /-/ready: 503 while the STATEDB does not answer.
func (p probes) Ready(r *exchange.Request) (exchange.Answer, error) {
	if p.ready != nil {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := p.ready(ctx); err != nil {
			if ctx.Err() != nil && r.Context().Err() == nil {
				err = core.Errorf(core.KindUnavailable, "state database gives no answer within %s", readyTimeout)
			}
			return nil, err
		}
	}
	return exchange.Line("ready"), nil
}
