package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lorry-controller/lorry-controller/core"
)

// Mirrors describe all mirrors together.
type Mirrors struct {
	// Within counts the mirrors that were known to be equal to their upstream
	// not longer ago than each of StalenessBounds; Equal counts those that ever
	// were, Never the others.
	Within       []int
	Equal, Never int
	Sum, Worst   time.Duration // of the time since then
	DiskUsage    int64         // bytes
	Overdue      time.Duration // of the Lorry that is due for the longest time
}

// StalenessBounds are the buckets of the staleness histogram.
func StalenessBounds() []time.Duration {
	const day = 24 * time.Hour
	return []time.Duration{time.Hour, 6 * time.Hour, day, 2 * day, 7 * day, 30 * day}
}

// mirrorsKept is how long what was read of all Lorries serves.
const mirrorsKept = 15 * time.Second

// mirrors reads all Lorries, but not at each of several scrapes in a row.
type mirrors struct {
	mu   sync.Mutex
	last Mirrors
	at   time.Time
}

func (m *mirrors) read(ctx context.Context, s Source) (Mirrors, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := s.Clock()
	if age := now.Sub(m.at); !m.at.IsZero() && age >= 0 && age < mirrorsKept {
		return m.last, nil
	}
	fresh, err := s.Mirrors(ctx)
	if err == nil {
		m.last, m.at = fresh, now
	}
	return fresh, err
}

// mirrors tells of all mirrors together.
func (c *collector) mirrors(ctx context.Context, tell teller, out chan<- prometheus.Metric) error {
	if c.source.Mirrors == nil {
		return nil
	}
	m, err := c.cache.read(ctx, c.source)
	if err != nil {
		return err
	}
	tell("lorry_mirrors_never_equal", float64(m.Never))
	tell("lorry_mirror_staleness_worst_seconds", m.Worst.Seconds())
	tell("lorry_working_area_bytes", float64(m.DiskUsage))
	tell("lorry_queue_overdue_seconds", m.Overdue.Seconds())
	buckets := map[float64]uint64{}
	for i, bound := range StalenessBounds() {
		if i < len(m.Within) {
			buckets[bound.Seconds()] = uint64(max(m.Within[i], 0)) //nolint:gosec // it is not negative
		}
	}
	out <- prometheus.MustNewConstHistogram(c.staleness, uint64(max(m.Equal, 0)), m.Sum.Seconds(), buckets) //nolint:gosec // it is not negative
	return nil
}

// minions tells how many minions there are.
func (c *collector) minions(ctx context.Context, tell teller) error {
	if c.source.Minions == nil {
		return nil
	}
	by, err := c.source.Minions(ctx)
	if err != nil {
		return err
	}
	for _, state := range []string{"active", "silent", "draining"} {
		tell("lorry_minions", float64(by[state]), state)
	}
	return nil
}

// statedb tells how the STATEDB answers.
func (c *collector) statedb(ctx context.Context, tell teller) error {
	if c.source.Ping == nil {
		return nil
	}
	began := time.Now()
	err := c.source.Ping(ctx)
	tell("lorry_statedb_up", truth(err == nil))
	tell("lorry_statedb_ping_seconds", time.Since(began).Seconds())
	return err
}

// lorries tells of each single Lorry, for those who want that.
func (c *collector) lorries(ctx context.Context, tell teller) error {
	if c.source.Lorries == nil {
		return nil
	}
	return c.source.Lorries(ctx, func(l core.LorryState) {
		tell("lorry_lorry_failures", float64(l.Failures), l.Path)
		tell("lorry_lorry_disk_usage_bytes", float64(l.DiskUsage), l.Path)
		if !l.LastEqual.IsZero() {
			tell("lorry_lorry_last_equal_timestamp_seconds", float64(l.LastEqual.Unix()), l.Path)
		}
	})
}
