package statedb_test

import (
	"context"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// BenchmarkQueueSteady claims and ends jobs in batches for LORRY_BENCH_STEADY
// (a duration; 20s), with 100,000 Lorries, and tells how the rate of the last
// fifth compares with that of the second one: what is dead in the tables and
// their indexes must not slow the queue down.
func BenchmarkQueueSteady(b *testing.B) {
	whole := 20 * time.Second
	if text := os.Getenv("LORRY_BENCH_STEADY"); text != "" {
		var err error
		if whole, err = time.ParseDuration(text); err != nil {
			b.Fatal(err)
		}
	}
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) {
			url := d.url(b)
			clock := statedbtest.NewClock()
			db := statedbtest.Open(b, url, clock)
			fillAtOnce(b, db, url, 100_000)
			clock.Advance(time.Hour)
			q := queue.New(queue.Options{Store: db, Clock: clock.Now, Rand: func() float64 { return 0 }}) // as BenchmarkQueue
			var rates []float64
			for b.Loop() {
				b.Logf("before: %s", deadWeight(b, db, url))
				const parts = 10
				for range parts {
					rates = append(rates, steadyRate(b, q, clock, whole/parts))
					b.Logf("%.0f cycles/s; %s", rates[len(rates)-1], deadWeight(b, db, url))
				}
			}
			b.ReportMetric(0, "ns/op")
			early, late := rates[2:4], rates[len(rates)-2:]
			b.ReportMetric((late[0]+late[1])/(early[0]+early[1]), "late/early")
			slices.Sort(rates)
			b.ReportMetric(rates[len(rates)/2], "cycles/s")
		})
	}
}

// steadyRate lets four clients take and end 100 jobs at a time, and the upkeep
// remove what is old.
func steadyRate(b *testing.B, q *queue.Queue, clock *statedbtest.Clock, whole time.Duration) float64 {
	b.Helper()
	rate := benchRateFor(b, 4, whole, func(ctx context.Context) (int, error) {
		n, _, err := cycle(ctx, q, 100)
		if n == 0 {
			clock.Advance(2 * statedbtest.Hour)
		}
		return n, err
	})
	if _, err := q.RemoveOldJobs(b.Context(), queue.Retention{PerLorry: 5}); err != nil {
		b.Error(err)
	}
	return rate
}

// deadWeight says how much of the hot tables and indexes is dead, and how large
// they are.
func deadWeight(b *testing.B, db *statedb.DB, url string) string {
	b.Helper()
	query := `SELECT 'pages ' || page_count || ', free ' || freelist_count FROM pragma_page_count(), pragma_freelist_count()`
	if statedb.IsPostgres(url) {
		query = `SELECT string_agg(relname || ': live ' || n_live_tup || ' dead ' || n_dead_tup || ' hot ' || n_tup_hot_upd || '/' || n_tup_upd
			|| ' vacuums ' || autovacuum_count || ' MB ' || pg_table_size(relid) / 1000000 || '+' || pg_indexes_size(relid) / 1000000, '; ' ORDER BY relname)
			FROM pg_stat_user_tables WHERE relname IN ('queue', 'jobs', 'run_queue')`
	}
	facts, err := statedb.Texts(b.Context(), db, query)
	if err != nil {
		b.Fatal(err)
	}
	return facts[0]
}
