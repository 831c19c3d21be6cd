// Package metrics tells Prometheus how the core is: the run queue, jobs by
// result, hosts and adapters.
//
// It must not keep figures of single Lorries, whose number has no bound, unless
// that is wanted, and
// must not fail a scrape because one source does not answer: what is known is
// told, and lorry_scrape_errors counts the rest.
package metrics

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/lorry-controller/lorry-controller/core"
)

// Queue are the sizes of the run queue.
type Queue struct {
	Running bool // it gives jobs out
	MaxJobs *int // nil: no limit
	// By state; a Lorry can be in several.
	Lorries, Jobs, Due, Failing, Held int
}

// Adapter is one host adapter.
type Adapter struct {
	Name, Type, State, Version string
	Starts, Faults, Calls      int
	HeldUntil                  time.Time // zero when the host asked for no pause
	ExpiresAt                  time.Time // of the credentials; zero when they don't, or nobody tells
}

// Source gives the figures of one moment. Each function is called once a scrape.
type Source struct {
	Queue    func(ctx context.Context) (Queue, error)
	Hosts    func(ctx context.Context) ([]core.HostState, error)
	Problems func(ctx context.Context) ([]core.Problem, error)
	Adapters func() []Adapter
	// Mirrors describes all mirrors together; it is asked at most every
	// 15 seconds. Minions counts them as active, silent and draining. Ping asks
	// the STATEDB for a sign of life. Each may be nil.
	Mirrors func(ctx context.Context) (Mirrors, error)
	Minions func(ctx context.Context) (map[string]int, error)
	Ping    func(ctx context.Context) error
	// Lorries calls tell for every Lorry; nil keeps series of single Lorries
	// out.
	Lorries func(ctx context.Context, tell func(core.LorryState)) error
	Version string
	Clock   core.Clock
}

// scrapeFor bounds one scrape.
const scrapeFor = 10 * time.Second

// Metrics counts what has no other memory and collects the rest.
type Metrics struct {
	events
	registry *prometheus.Registry
}

// New makes the metrics of one core.
func New(source Source) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), events: newEvents()}
	m.begin()
	m.registry.MustRegister(m.events.collectors()...)
	m.registry.MustRegister(newCollector(source),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: scrapeFor + 5*time.Second})
}
