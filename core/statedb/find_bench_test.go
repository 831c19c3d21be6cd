package statedb_test

import (
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// BenchmarkFind measures a page of 100 of each kind of list at 100,000 Lorries.
func BenchmarkFind(b *testing.B) {
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) {
			clock := statedbtest.NewClock()
			db := statedbtest.Open(b, d.url(b), clock)
			fill(b, db, 100_000)
			clock.Advance(time.Second)
			q := queue.New(queue.Options{Store: db, Clock: clock.Now})
			for _, list := range []struct {
				name string
				f    queue.LorryFilter
			}{
				{"queue", queue.LorryFilter{}},
				{"path", queue.LorryFilter{Sort: queue.SortPath}},
				{"due", queue.LorryFilter{State: queue.StateDue}},
				{"failing", queue.LorryFilter{State: queue.StateFailing, Sort: queue.SortPath}},
				{"host", queue.LorryFilter{Host: "none.example.com", Sort: queue.SortPath}},
				{"text-found-nowhere", queue.LorryFilter{Text: "nowhere", Sort: queue.SortPath}},
				{"oldest-success", queue.LorryFilter{Sort: queue.SortLastSuccess}},
			} {
				b.Run(list.name, func(b *testing.B) {
					b.ReportAllocs()
					list.f.Limit = 100
					for b.Loop() {
						if _, err := q.FindLorries(b.Context(), list.f); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		})
	}
}
