package statedb_test

import (
	"runtime"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// BenchmarkQueueReads measures what the status and the list of the queue take
// at 100,000 Lorries.
func BenchmarkQueueReads(b *testing.B) {
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) {
			clock := statedbtest.NewClock()
			db := statedbtest.Open(b, d.url(b), clock)
			fill(b, db, 100_000)
			clock.Advance(time.Second)
			q := queue.New(queue.Options{Store: db, Clock: clock.Now})
			for _, read := range []struct {
				name string
				do   func() error
			}{
				{"status", func() error { clock.Advance(time.Minute); _, err := q.Status(b.Context()); return err }},
				{"page", func() error { _, err := q.Queue(b.Context(), queue.Page{Limit: 100}); return err }},
				{"list", func() error { _, err := q.Queue(b.Context(), queue.Page{}); return err }},
				{"explain", func() error { _, err := q.Explain(b.Context(), "bench/0/0000000"); return err }},
			} {
				b.Run(read.name, func(b *testing.B) {
					var times benchTimes
					for b.Loop() {
						began := time.Now()
						if err := read.do(); err != nil {
							b.Fatal(err)
						}
						times.add(time.Since(began))
					}
					var m runtime.MemStats
					runtime.ReadMemStats(&m)
					b.ReportMetric(times.quantile(0.99), "p99-µs")
					b.ReportMetric(float64(m.Sys)/(1<<20), "MB-sys")
				})
			}
		})
	}
}
