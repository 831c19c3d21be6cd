package metrics

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// collector asks the source at each scrape.
type collector struct {
	source    Source
	desc      map[string]*prometheus.Desc
	staleness *prometheus.Desc
	cache     mirrors
}

// gauges lists what the collector tells: name, help, labels.
func gauges() [][]string {
	return [][]string{
		{"lorry_build_info", "The program; always 1.", "version"},
		{"lorry_queue_running", "Whether the run queue gives jobs out."},
		{"lorry_queue_max_jobs", "How many jobs may run at once; absent without a limit."},
		{"lorry_lorries", "Lorries by state; one can be in several.", "state"},
		{"lorry_jobs_running", "Jobs that run now."},
		{"lorry_config_problems", "What could not be used in CONFGIT, by severity.", "severity"},
		{"lorry_host_repositories", "Repositories in the last complete listing of an Upstream Host.", "host"},
		{"lorry_host_list_age_seconds", "Time since the last complete listing of an Upstream Host; absent before the first.", "host"},
		{"lorry_host_purge_held", "Whether removals are being held back for an Upstream Host.", "host"},
		{"lorry_adapter_up", "Whether an adapter can be used: 0 in backoff or broken.", "host", "type"},
		{"lorry_adapter_info", "An adapter; always 1.", "host", "type", "state", "version"},
		{"lorry_adapter_starts", "Starts of an adapter since the core has started.", "host", "type"},
		{"lorry_adapter_faults", "Crashes and failed starts of an adapter since the core has started.", "host", "type"},
		{"lorry_adapter_calls", "Calls of an adapter that run now.", "host", "type"},
		{"lorry_adapter_credentials_end_seconds", "How long the credentials for a host still work; absent where it does not tell.", "host", "type"},
		{"lorry_adapter_hold_seconds", "How long a host still wants to be left alone.", "host", "type"},
		{"lorry_mirrors_never_equal", "Lorries that were never known to be equal to their upstream."},
		{"lorry_mirror_staleness_worst_seconds", "The longest time since a mirror was known to be equal to its upstream."},
		{"lorry_working_area_bytes", "Bytes that all working areas took after their last jobs."},
		{"lorry_queue_overdue_seconds", "How long the Lorry that is due for the longest time waits."},
		{"lorry_minions", "Minions by state: active, silent for ten minutes, draining.", "state"},
		{"lorry_statedb_up", "Whether the STATEDB answers."},
		{"lorry_statedb_ping_seconds", "How long the STATEDB took to give a sign of life."},
		{"lorry_lorry_failures", "Failed jobs of a Lorry since its last success.", "path"},
		{"lorry_lorry_disk_usage_bytes", "Bytes that a Lorry's working area took after its last job.", "path"},
		{"lorry_lorry_last_equal_timestamp_seconds", "When a Lorry was last known to be equal to its upstream.", "path"},
		{"lorry_scrape_errors", "Sources that did not answer in this scrape."},
	}
}

func newCollector(s Source) *collector {
	c := &collector{source: s, desc: map[string]*prometheus.Desc{}}
	for _, g := range gauges() {
		c.desc[g[0]] = prometheus.NewDesc(g[0], g[1], g[2:], nil)
	}
	c.staleness = prometheus.NewDesc("lorry_mirror_staleness_seconds", "Time since each mirror was known to be equal to its upstream.", nil, nil)
	return c
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.desc {
		out <- d
	}
	out <- c.staleness
}

// Collect implements prometheus.Collector. The interface gives no context, so
// the scrape sets its own bound.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeFor)
	defer cancel()
	tell := func(name string, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(c.desc[name], prometheus.GaugeValue, value, labels...)
	}
	errs := 0
	for _, part := range []func(context.Context, teller) error{
		c.queue, c.hosts, c.problems, c.minions, c.statedb, c.lorries,
		func(ctx context.Context, tell teller) error { return c.mirrors(ctx, tell, out) },
	} {
		if part(ctx, tell) != nil {
			errs++
		}
	}
	c.adapters(tell)
	tell("lorry_build_info", 1, c.source.Version)
	tell("lorry_scrape_errors", float64(errs))
}

// teller tells one figure.
type teller func(name string, value float64, labels ...string)

func (c *collector) queue(ctx context.Context, tell teller) error {
	q, err := c.source.Queue(ctx)
	if err != nil {
		return err
	}
	tell("lorry_queue_running", truth(q.Running))
	if q.MaxJobs != nil {
		tell("lorry_queue_max_jobs", float64(*q.MaxJobs))
	}
	tell("lorry_jobs_running", float64(q.Jobs))
	for state, n := range map[string]int{"known": q.Lorries, "due": q.Due, "failing": q.Failing, "held": q.Held} {
		tell("lorry_lorries", float64(n), state)
	}
	return nil
}

func (c *collector) hosts(ctx context.Context, tell teller) error {
	hosts, err := c.source.Hosts(ctx)
	if err != nil {
		return err
	}
	now := c.source.Clock()
	for _, h := range hosts {
		tell("lorry_host_repositories", float64(h.Listed), h.Name)
		tell("lorry_host_purge_held", truth(h.Purge != ""), h.Name)
		if !h.LsLast.IsZero() {
			tell("lorry_host_list_age_seconds", now.Sub(h.LsLast).Seconds(), h.Name)
		}
	}
	return nil
}

func (c *collector) problems(ctx context.Context, tell teller) error {
	problems, err := c.source.Problems(ctx)
	if err != nil {
		return err
	}
	count := map[string]int{"error": 0, "warning": 0, "notice": 0}
	for _, p := range problems {
		count[p.Severity]++
	}
	for severity, n := range count {
		tell("lorry_config_problems", float64(n), severity)
	}
	return nil
}

func (c *collector) adapters(tell teller) {
	now := c.source.Clock()
	for _, a := range c.source.Adapters() {
		tell("lorry_adapter_up", truth(a.State != "backoff" && a.State != "broken"), a.Name, a.Type)
		tell("lorry_adapter_info", 1, a.Name, a.Type, a.State, a.Version)
		tell("lorry_adapter_starts", float64(a.Starts), a.Name, a.Type)
		tell("lorry_adapter_faults", float64(a.Faults), a.Name, a.Type)
		tell("lorry_adapter_calls", float64(a.Calls), a.Name, a.Type)
		tell("lorry_adapter_hold_seconds", max(0, a.HeldUntil.Sub(now).Seconds()), a.Name, a.Type)
		if !a.ExpiresAt.IsZero() {
			tell("lorry_adapter_credentials_end_seconds", a.ExpiresAt.Sub(now).Seconds(), a.Name, a.Type)
		}
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

var _ prometheus.Collector = (*collector)(nil)
