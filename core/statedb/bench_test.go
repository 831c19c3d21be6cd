package statedb_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// benchLorries is how many Lorries the queue has; LORRY_BENCH_LORRIES sets
// another number.
func benchLorries(b *testing.B) int {
	b.Helper()
	env := os.Getenv("LORRY_BENCH_LORRIES")
	if env == "" {
		return 10000
	}
	n, err := strconv.Atoi(env)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// fill puts n Lorries into the queue, all of them due.
func fill(b *testing.B, db *statedb.DB, n int) {
	b.Helper()
	for from := 0; from < n; from += 500 {
		var some []core.Lorry
		for i := from; i < min(from+500, n); i++ {
			some = append(some, statedbtest.NewLorry(fmt.Sprintf("bench/%x/%07d", i%251, i)))
		}
		if err := db.PutLorries(b.Context(), some); err != nil {
			b.Fatal(err)
		}
	}
}

// cycle claims up to batch jobs and ends them, and gives the time of the claim.
func cycle(ctx context.Context, q *queue.Queue, batch int) (int, time.Duration, error) {
	begin := time.Now()
	got, err := q.Claim(ctx, queue.ClaimParams{Minion: "bench", Max: batch})
	claim := time.Since(begin)
	if err != nil {
		return 0, 0, err
	}
	reports := make([]queue.UpdateParams, len(got))
	for i, c := range got {
		reports[i] = queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", Unchanged: true}
	}
	_, err = q.Update(ctx, reports)
	return len(got), claim, err
}

// BenchmarkCycle measures claim and finish: cycles a second, and the median and
// the 99th percentile of a claim.
func BenchmarkCycle(b *testing.B) {
	for _, d := range databases {
		for _, c := range []struct{ clients, batch int }{{1, 1}, {16, 1}, {64, 1}, {4, 100}} {
			b.Run(fmt.Sprintf("%s/lorries=%d/clients=%d/batch=%d", d.name, benchLorries(b), c.clients, c.batch), func(b *testing.B) {
				benchCycle(b, d.url(b), c.clients, c.batch)
			})
		}
	}
}

func benchCycle(b *testing.B, url string, clients, batch int) {
	clock := statedbtest.NewClock()
	db := statedbtest.Open(b, url, clock)
	fill(b, db, benchLorries(b))
	clock.Advance(time.Second)
	q := queue.New(queue.Options{Store: db, Clock: clock.Now})
	var mu sync.Mutex
	var claims []time.Duration
	done := 0
	b.ResetTimer()
	begin := time.Now()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				mu.Lock()
				enough := done >= b.N
				mu.Unlock()
				if enough {
					return
				}
				n, claim, err := cycle(b.Context(), q, batch)
				if err != nil {
					b.Error(err)
					return
				}
				if n == 0 { // all were run: they are due again
					clock.Advance(2 * statedbtest.Hour)
				}
				mu.Lock()
				done += n
				claims = append(claims, claim)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(claims)
	b.ReportMetric(float64(done)/time.Since(begin).Seconds(), "cycles/s")
	b.ReportMetric(float64(claims[len(claims)/2].Microseconds()), "claim-p50-µs")
	b.ReportMetric(float64(claims[len(claims)*99/100].Microseconds()), "claim-p99-µs")
}
