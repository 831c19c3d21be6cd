package statedb_test

import (
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// BenchmarkQueueBehindAHeldHost claims a Lorry that stands behind very many of a
// host that is held.
func BenchmarkQueueBehindAHeldHost(b *testing.B) {
	for _, d := range databases {
		b.Run(d.name, func(b *testing.B) {
			clock := statedbtest.NewClock()
			db := statedbtest.Open(b, d.url(b), clock)
			fill(b, db, 100_000)
			clock.Advance(time.Second)
			last := statedbtest.NewLorry("last")
			last.UpstreamHost, last.Interval = "other.example.org", 0
			q := queue.New(queue.Options{Store: db, Clock: clock.Now})
			if err := db.PutLorries(b.Context(), []core.Lorry{last}); err != nil {
				b.Fatal(err)
			}
			if err := q.HoldHost(b.Context(), "up.example.org", clock.Now().Add(time.Hour), "busy"); err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				if n, _, err := cycle(b.Context(), q, 1); err != nil || n != 1 {
					b.Fatalf("claimed %d: %v", n, err)
				}
			}
		})
	}
}
