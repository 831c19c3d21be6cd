// Package metrics tells Prometheus how the core is: the run queue, jobs by
// result, hosts and adapters.
//
// It must not keep figures of single Lorries, whose number has no bound, and
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
}

// Source gives the figures of one moment. Each function is called once a scrape.
type Source struct {
	Queue    func(ctx context.Context) (Queue, error)
	Hosts    func(ctx context.Context) ([]core.HostState, error)
	Problems func(ctx context.Context) ([]core.Problem, error)
	Adapters func() []Adapter
	Version  string
	Clock    core.Clock
}

// scrapeFor bounds one scrape.
const scrapeFor = 10 * time.Second

// Metrics counts what has no other memory and collects the rest.
type Metrics struct {
	registry *prometheus.Registry
	jobs     *prometheus.CounterVec
	reads    *prometheus.CounterVec
	readAt   prometheus.Gauge
}

// New makes the metrics of one core.
func New(source Source) *Metrics {
	m := &Metrics{
		registry: prometheus.NewRegistry(),
		jobs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lorry_jobs_total", Help: "Jobs that ended, by the kind of their failure; ok and unchanged for those that have none.",
		}, []string{"result"}),
		reads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "lorry_config_reads_total", Help: "Readings of CONFGIT, by whether it could be applied.",
		}, []string{"result"}),
		readAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "lorry_config_last_success_timestamp_seconds", Help: "When CONFGIT was last read and applied; 0 before.",
		}),
	}
	m.registry.MustRegister(m.jobs, m.reads, m.readAt, newCollector(source),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler answers GET /metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: scrapeFor + 5*time.Second})
}

// JobEnded counts a job. failure "" is a success.
func (m *Metrics) JobEnded(failure core.FailureKind, unchanged bool) {
	result := string(failure)
	switch {
	case failure == core.FailNone && unchanged:
		result = "unchanged"
	case failure == core.FailNone:
		result = "ok"
	}
	m.jobs.WithLabelValues(result).Inc()
}

// ConfigRead counts a reading of CONFGIT.
func (m *Metrics) ConfigRead(err error, now time.Time) {
	if err != nil {
		m.reads.WithLabelValues("failed").Inc()
		return
	}
	m.reads.WithLabelValues("ok").Inc()
	m.readAt.Set(float64(now.Unix()))
}
