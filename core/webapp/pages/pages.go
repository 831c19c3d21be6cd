package pages

import (
	"context"
	"net/http"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// Options are what the pages need.
type Options struct {
	API   *api.API
	Queue api.Queue
	Clock core.Clock
	Log   hclog.Logger
	// StatusHTML is the file that holds a static copy of the status, or "".
	StatusHTML string
}

// Pages answers the routes that people look at.
type Pages struct{ o Options }

// New makes the pages.
func New(o Options) (*Pages, error) { return &Pages{o: o}, nil }

// Home answers GET /.
func (p *Pages) Home(*exchange.Request) (exchange.Answer, error) {
	return exchange.Redirect("/1.0/status-html"), nil
}

// Status answers GET /1.0/status-html.
func (p *Pages) Status(r *exchange.Request) (exchange.Answer, error) { return exchange.Line(""), nil }

// Lorry answers GET /1.0/lorry-html/PATH.
func (p *Pages) Lorry(r *exchange.Request) (exchange.Answer, error) { return exchange.Line(""), nil }

// Jobs answers GET /1.0/list-jobs-html.
func (p *Pages) Jobs(r *exchange.Request) (exchange.Answer, error) { return exchange.Line(""), nil }

// Job answers GET /1.0/job-html/ID.
func (p *Pages) Job(r *exchange.Request) (exchange.Answer, error) { return exchange.Line(""), nil }

// Static answers GET /lc-static/FILE.
func (p *Pages) Static(r *exchange.Request) (exchange.Answer, error) {
	return nil, api.NotFound(r.Request)
}

// Error renders an error for people.
func (p *Pages) Error(status int, e protocol.Error) []byte { return []byte(http.StatusText(status)) }

// WriteStatusHTML rewrites the static copy of the status.
func (p *Pages) WriteStatusHTML(ctx context.Context) error { return nil }
