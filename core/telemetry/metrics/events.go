package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lorry-controller/lorry-controller/core"
)

// events are what has no other memory than these counters.
type events struct {
	jobs     *prometheus.CounterVec
	took     *prometheus.HistogramVec
	output   prometheus.Counter
	reads    *prometheus.CounterVec
	readAt   prometheus.Gauge
	readOK   prometheus.Gauge
	statedb  *prometheus.HistogramVec
	webhooks *prometheus.CounterVec
	messages *prometheus.CounterVec
	calls    *prometheus.CounterVec
	callTook *prometheus.HistogramVec
	holds    *prometheus.CounterVec
}

func newEvents() events {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	return events{
		jobs: counter("lorry_jobs_total", "Jobs that ended, by the kind of their failure; ok and unchanged for those that have none, returned for those that were handed back.", "result"),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lorry_job_duration_seconds", Help: "How long jobs took, from their claim to their end.",
			Buckets: []float64{0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600},
		}, []string{"result"}),
		output: prometheus.NewCounter(prometheus.CounterOpts{Name: "lorry_job_output_bytes_total", Help: "Bytes of output that ended jobs wrote."}),
		reads:  counter("lorry_config_reads_total", "Readings of CONFGIT, by whether it could be applied.", "result"),
		readAt: prometheus.NewGauge(prometheus.GaugeOpts{Name: "lorry_config_last_success_timestamp_seconds", Help: "When CONFGIT was last read and applied; 0 before."}),
		readOK: prometheus.NewGauge(prometheus.GaugeOpts{Name: "lorry_config_last_read_successful", Help: "Whether the last reading of CONFGIT could be applied."}),
		statedb: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lorry_statedb_operation_seconds", Help: "How long the run queue waits for the STATEDB, by what it does there.",
			Buckets: []float64{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10},
		}, []string{"operation"}),
		webhooks: counter("lorry_webhooks_total", "Webhooks that forges sent, by what came of them.", "forge", "result"),
		messages: counter("lorry_notifications_total", "Deliveries of messages to people, by how they went.", "target", "result"),
		calls:    counter("lorry_adapter_requests_total", "Calls of an adapter that ended: ok, held for a host that is left alone, canceled, or the kind of their error.", "host", "type", "rpc", "result"),
		callTook: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "lorry_adapter_request_duration_seconds", Help: "How long calls that reached an adapter took; listings include what the core does meanwhile.",
			Buckets: []float64{0.001, 0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600},
		}, []string{"type", "rpc"}),
		holds: counter("lorry_adapter_holds_total", "How often a host was left alone, by the reason: rate-limited or unauthenticated.", "host", "type", "kind"),
	}
}

func (e *events) collectors() []prometheus.Collector {
	return []prometheus.Collector{e.jobs, e.took, e.output, e.reads, e.readAt, e.readOK, e.statedb, e.webhooks, e.messages, e.calls, e.callTook, e.holds}
}

// begin makes the series that a dashboard wants to see before they count.
func (e *events) begin() {
	for _, result := range []string{"ok", "unchanged"} {
		e.jobs.WithLabelValues(result)
	}
	for _, result := range []string{"ok", "unchanged", "failed"} {
		e.took.WithLabelValues(result)
	}
	for _, result := range []string{"ok", "failed"} {
		e.reads.WithLabelValues(result)
	}
	for _, operation := range []string{"claim", "update"} {
		e.statedb.WithLabelValues(operation)
	}
}

// kinds are the failures that have a series of their own; a minion's word for
// anything else is "other".
func kinds() []core.FailureKind {
	return []core.FailureKind{
		core.FailAuth, core.FailGone, core.FailRateLimited, core.FailTLS, core.FailHostKey, core.FailNetwork, core.FailNotGit,
		core.FailEmpty, core.FailDiverged, core.FailRefused, core.FailLFS, core.FailCorrupt, core.FailDisk, core.FailTimeout,
		core.FailKilled, core.FailLost, core.FailAdapter, core.FailSpec, core.FailTool, core.FailLimit,
	}
}

// JobsEnded counts jobs.
func (m *Metrics) JobsEnded(jobs []core.Job) {
	for _, j := range jobs {
		result, class := string(core.FailOther), "failed"
		switch {
		case j.Exit == "returned":
			result, class = "returned", ""
		case j.Failure.Failed():
			for _, kind := range kinds() {
				if j.Failure.Kind == kind {
					result = string(kind)
				}
			}
		case j.Unchanged:
			result, class = "unchanged", "unchanged"
		default:
			result, class = "ok", "ok"
		}
		m.jobs.WithLabelValues(result).Inc()
		m.output.Add(float64(max(j.OutputSize, 0)))
		if class != "" {
			m.took.WithLabelValues(class).Observe(max(j.Ended.Sub(j.Started), 0).Seconds())
		}
	}
}

// ConfigRead counts a reading of CONFGIT.
func (m *Metrics) ConfigRead(err error, now time.Time) {
	if err != nil {
		m.reads.WithLabelValues("failed").Inc()
		m.readOK.Set(0)
		return
	}
	m.reads.WithLabelValues("ok").Inc()
	m.readOK.Set(1)
	m.readAt.Set(float64(now.Unix()))
}

// StateDB tells how long the run queue waited for the STATEDB.
func (m *Metrics) StateDB(operation string, took time.Duration) {
	m.statedb.WithLabelValues(operation).Observe(took.Seconds())
}

// Webhook counts a webhook of a forge.
func (m *Metrics) Webhook(forge, result string) { m.webhooks.WithLabelValues(forge, result).Inc() }

// Notification counts a delivery.
func (m *Metrics) Notification(target, result string) {
	m.messages.WithLabelValues(target, result).Inc()
}
