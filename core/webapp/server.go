package webapp

import (
	"context"
	"crypto/rand"
	"log"
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/access"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
	"github.com/lorry-controller/lorry-controller/core/webapp/events"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
	"github.com/lorry-controller/lorry-controller/core/webapp/pages"
	"github.com/lorry-controller/lorry-controller/core/webapp/webhook"
)

// Queue is what the whole server needs of the run queue.
type Queue interface {
	api.Queue
	minions.Queue
}

// Options are what a Server needs. Queue, Configuration, Preparer, Log and
// Clock are required.
type Options struct {
	Queue         Queue
	Configuration api.Configuration
	Preparer      minions.Preparer
	Log           hclog.Logger
	Clock         core.Clock
	Info          api.Info
	// Metrics answers GET /metrics; nil means that there is no such route.
	Metrics http.Handler
	// Ready reports why the controller can't work now, or nil. It may be nil.
	Ready func(ctx context.Context) error
	// Reload reads the settings again; nil means that this can't be done.
	Reload func(ctx context.Context) (protocol.Reload, error)
	// PretendTime stops the clock at a time, for tests; nil means that this is
	// not allowed.
	PretendTime func(time.Time)
	// MinFree is how many bytes must be free in a minion's working area; nil:
	// that is not looked at.
	MinFree func() int64
	// Retirements knows what is archived downstream; nil: nothing is.
	Retirements api.Retirements
	// StatusHTML is the file that GET /1.0/status-html rewrites, or "".
	StatusHTML string
	// PrepareTimeout bounds what the Downstream Host may take for one job;
	// 0 means a minute.
	PrepareTimeout time.Duration
	// Guard knows who calls; nil means one without tokens: whoever comes over
	// loopback may do everything.
	Guard *auth.Guard
	// Tokens keeps the tokens that the guard knows; nil: there are none.
	Tokens auth.Store
	// Audit keeps a row for each change; nil keeps none.
	Audit Audit
	// Webhooks takes what forges tell of pushes; nil: nothing does.
	Webhooks *webhook.Webhooks
	// MetricsPublic shows GET /metrics to everybody.
	MetricsPublic bool
	// EventsEvery is how often the STATEDB is looked at for GET /1.0/events; 0
	// means a second.
	EventsEvery time.Duration
	// BodyLimit is the longest body of a request in bytes; 0 means 8 MiB.
	BodyLimit int64
}

// Audit keeps the audit. *statedb.DB has it.
type Audit = access.Audit

// defaultBodyLimit is generous, since a job's output comes in bodies.
const defaultBodyLimit = 8 << 20

// Server answers every route of the API. To stop it: Drain, then
// http.Server.Shutdown, then Close.
type Server struct {
	handler http.Handler
	minions *minions.Minions
	events  *events.Hub
	pages   *pages.Pages
	log     hclog.Logger
	bodies  *exchange.Bodies

	queue         Queue
	guard         *auth.Guard
	audit         Audit
	metricsPublic bool
}

// New makes a Server. It fails when an option that is required is missing or
// the embedded templates are broken.
func New(o Options) (*Server, error) {
	for name, missing := range map[string]bool{
		"Queue": o.Queue == nil, "Configuration": o.Configuration == nil, "Preparer": o.Preparer == nil,
		"Log": o.Log == nil, "Clock": o.Clock == nil,
	} {
		if missing {
			return nil, core.Errorf(core.KindInternal, "webapp option %s is missing", name)
		}
	}
	if o.BodyLimit <= 0 {
		o.BodyLimit = defaultBodyLimit
	}
	admin := api.New(api.Options{
		Queue: o.Queue, Configuration: o.Configuration, Info: o.Info, Clock: o.Clock, Log: o.Log.Named("api"),
		PretendTime: o.PretendTime, Retirements: o.Retirements,
	})
	workers := minions.New(minions.Options{
		Queue: o.Queue, Preparer: o.Preparer, Clock: o.Clock, Log: o.Log.Named("minions"),
		PrepareTimeout: o.PrepareTimeout, MinFree: o.MinFree,
	})
	people, err := pages.New(pages.Options{
		API: admin, Queue: o.Queue, Clock: o.Clock, Log: o.Log.Named("pages"),
		Version: o.Info.Version, PublishFailures: o.Info.PublishFailures, StatusHTML: o.StatusHTML,
	})
	if err != nil {
		return nil, err
	}
	s := &Server{
		events: events.New(events.Options{
			Source: o.Queue, Adapters: o.Info.Adapters, Clock: o.Clock, Log: o.Log.Named("events"), Version: o.Info.Version, Every: o.EventsEvery,
		}),
		minions: workers, pages: people, log: o.Log, bodies: exchange.NewBodies(o.BodyLimit),
		queue: o.Queue, guard: o.Guard, audit: o.Audit, metricsPublic: o.MetricsPublic,
	}
	if s.guard == nil {
		if s.guard, err = auth.New(auth.Options{Store: o.Tokens, Log: o.Log.Named("auth"), Clock: o.Clock, Rand: rand.Reader}); err != nil {
			return nil, err
		}
	}
	desk := access.New(access.Options{
		Guard: s.guard, Store: o.Tokens, Audit: o.Audit, Log: o.Log.Named("access"), Clock: s.guard.Now,
		Rand: rand.Reader, Login: people.Login,
	})
	described, err := Description(o.Info.Version)
	if err != nil {
		return nil, err
	}
	table := routes(admin, workers, people, probes{o.Metrics, o.Ready, o.Reload}, desk, s.events, o.Webhooks, description{described})
	for _, route := range table {
		if !route.Access.Known() || route.Effect < Read || route.Effect > Traffic {
			return nil, core.Errorf(core.KindInternal, "route %s %s does not say who may call it and what it does", route.Method, route.Path)
		}
	}
	s.handler = s.router(table)
	return s, nil
}

// Handler answers every route.
func (s *Server) Handler() http.Handler { return s.handler }

// Drain ends the long polls with "nothing to do" and the streams; no job is
// given out from now on. Everything else is still answered.
func (s *Server) Drain() {
	s.minions.Drain()
	s.events.Drain()
}

// Close drains and waits for what the server does in the background, or
// cancels it when ctx ends. The HTTP server must have been shut down before.
func (s *Server) Close(ctx context.Context) error {
	s.events.Close()
	return s.minions.Close(ctx)
}

// WriteStatusHTML rewrites the status-html file, as GET /1.0/status-html does.
// It does nothing when there is no such file.
func (s *Server) WriteStatusHTML(ctx context.Context) error { return s.pages.WriteStatusHTML(ctx) }

// HTTPServer gives an http.Server around the handler with the time-outs that a
// server on a network needs. The caller listens, serves and shuts it down;
// Shutdown drains by itself.
func (s *Server) HTTPServer() *http.Server {
	server := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          s.stdLog(),
		// No ReadTimeout and WriteTimeout: each route sets its own deadlines,
		// since a long poll is no slow client.
	}
	server.RegisterOnShutdown(s.Drain)
	return server
}

func (s *Server) stdLog() *log.Logger {
	return s.log.Named("http").StandardLogger(&hclog.StandardLoggerOptions{ForceLevel: hclog.Debug})
}
