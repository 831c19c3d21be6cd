package webapp

import (
	"context"
	"net/http"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// probes answers those who watch the controller.
type probes struct {
	metrics http.Handler
	ready   func(ctx context.Context) error
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

// Ready answers GET /-/ready: 503 while the STATEDB does not answer.
func (p probes) Ready(r *exchange.Request) (exchange.Answer, error) {
	if p.ready != nil {
		if err := p.ready(r.Context()); err != nil {
			return nil, err
		}
	}
	return exchange.Line("ready"), nil
}
