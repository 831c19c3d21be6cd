package statedb_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// benchSizes are how many Lorries the queue has; LORRY_BENCH_LORRIES sets other
// numbers, such as 1000,100000,1000000.
func benchSizes(b *testing.B) []int {
	b.Helper()
	env := os.Getenv("LORRY_BENCH_LORRIES")
	if env == "" {
		env = "1000,20000"
	}
	var all []int
	for _, text := range strings.Split(env, ",") {
		n, err := strconv.Atoi(text)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, n)
	}
	return all
}

// fill puts n Lorries into the queue, all of them due.
func fill(tb testing.TB, db *statedb.DB, n int) {
	tb.Helper()
	for from := 0; from < n; from += 500 {
		var some []core.Lorry
		for i := from; i < min(from+500, n); i++ {
			some = append(some, statedbtest.NewLorry(fmt.Sprintf("bench/%x/%07d", i%251, i)))
		}
		if err := db.PutLorries(tb.Context(), some); err != nil {
			tb.Fatal(err)
		}
	}
}

// fillAtOnce does the same for very many: all are copies of a first one.
func fillAtOnce(tb testing.TB, db *statedb.DB, url string, n int) {
	tb.Helper()
	if n > 100_000 { // which may take longer than a call may otherwise
		patient, err := statedb.Open(tb.Context(), statedb.Options{URL: url, Timeout: 10 * time.Minute})
		if err != nil {
			tb.Fatal(err)
		}
		defer func() {
			if err := patient.Close(); err != nil {
				tb.Error(err)
			}
		}()
		db = patient
	}
	const first = "bench/0/0000000"
	if err := db.PutLorries(tb.Context(), []core.Lorry{statedbtest.NewLorry(first)}); err != nil {
		tb.Fatal(err)
	}
	series := fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d - 1),
		p AS (SELECT printf('bench/%%x/%%07d', i %% 251, i) AS path FROM n ORDER BY 1)`, n)
	if statedb.IsPostgres(url) {
		series = fmt.Sprintf(`WITH p AS (SELECT 'bench/' || to_hex(i %% 251) || '/' || lpad(i::text, 7, '0') AS path
			FROM generate_series(1, %d - 1) i ORDER BY 1)`, n)
	}
	copies := func(table, columns, text string) string {
		return `INSERT INTO ` + table + ` (path, ` + columns + text + `) ` + series + ` SELECT p.path, ` + columns +
			strings.Replace(text, "spec_text", "replace(spec_text, '"+first+"', p.path)", 1) +
			` FROM p, ` + table + ` l WHERE l.path = '` + first + `'`
	}
	for _, query := range []string{
		copies("lorries", "section, host, host_path, upstream_host, interval_us, timeout_us, rewrites, listed_head, listed_description, repository", ", spec_text"),
		copies("queue", "upstream_host, turn, due", ""),
	} {
		if err := statedb.Script(tb.Context(), db, query); err != nil {
			tb.Fatal(err)
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

// BenchmarkQueue measures cycles of claim and finish a second beside the bare
// engine's in the same run: rounds of each by turns, and the median of each.
// Ratio is the median of ours by the floor's of the round before, which met the
// same disk; claim-p50 and claim-p99 are of ours.
func BenchmarkQueue(b *testing.B) {
	for _, d := range databases {
		for _, lorries := range benchSizes(b) {
			b.Run(fmt.Sprintf("%s/lorries=%d", d.name, lorries), func(b *testing.B) {
				u := newBenchUse(b, d.url, lorries)
				u.warm(b)
				for _, c := range []struct{ clients, batch int }{{1, 1}, {16, 1}, {64, 1}, {4, 100}, {2, 1000}} {
					b.Run(fmt.Sprintf("clients=%d/batch=%d", c.clients, c.batch), func(b *testing.B) {
						u.run(b, c.clients, c.batch)
					})
				}
			})
		}
	}
}

// benchUse is the floor's database and ours, with as many Lorries in each.
type benchUse struct {
	floor string
	clock *statedbtest.Clock
	queue *queue.Queue
}

func newBenchUse(b *testing.B, url func(testing.TB) string, lorries int) benchUse {
	b.Helper()
	u := benchUse{floor: url(b), clock: statedbtest.NewClock()}
	fillAtOnce(b, statedbtest.Open(b, u.floor, u.clock), u.floor, lorries)
	ours := url(b)
	db := statedbtest.Open(b, ours, u.clock)
	fillAtOnce(b, db, ours, lorries)
	u.clock.Advance(time.Hour)
	// The clock leaps from one hour to another, so that all come late, and what is
	// late would be spread by chance: this measures those that come in time.
	u.queue = queue.New(queue.Options{Store: db, Clock: u.clock.Now, Rand: func() float64 { return 0 }})
	return u
}

const (
	benchRounds = 9
	benchRound  = 250 * time.Millisecond
	// benchWarm is how many cycles go before: the journal of an SQLite file grows
	// until it has 8,000 pages, and as long as it does each sync takes longer.
	// Whoever were through with that sooner would be compared with the other's.
	benchWarm = 1000
)

// warm brings the floor's database and ours to where they stay.
func (u benchUse) warm(b *testing.B) {
	b.Helper()
	bare := newFloor(b, u.floor, 1)
	for range benchWarm {
		if err := bare.cycle(b.Context()); err != nil {
			b.Fatal(err)
		}
		n, _, err := cycle(b.Context(), u.queue, 1)
		if err != nil {
			b.Fatal(err)
		}
		if n == 0 {
			u.clock.Advance(2 * statedbtest.Hour)
		}
	}
}

func (u benchUse) run(b *testing.B, clients, batch int) {
	bare := newFloor(b, u.floor, clients)
	var claims benchTimes
	var floors, ours, ratios []float64
	for b.Loop() {
		for range benchRounds {
			floors = append(floors, benchRate(b, clients, func(ctx context.Context) (int, error) { return 1, bare.cycle(ctx) }))
			ours = append(ours, benchRate(b, clients, func(ctx context.Context) (int, error) {
				n, claim, err := cycle(ctx, u.queue, batch)
				if n == 0 { // all were run: they are due again
					u.clock.Advance(2 * statedbtest.Hour)
				} else {
					claims.add(claim)
				}
				return n, err
			}))
			ratios = append(ratios, ours[len(ours)-1]/floors[len(floors)-1])
		}
	}
	b.ReportMetric(median(floors), "floor-cycles/s")
	b.ReportMetric(median(ours), "cycles/s")
	b.ReportMetric(median(ratios), "ratio")
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(claims.quantile(0.5), "claim-p50-µs")
	b.ReportMetric(claims.quantile(0.99), "claim-p99-µs")
}

func median(all []float64) float64 { return slices.Sorted(slices.Values(all))[len(all)/2] }

// benchRate lets clients work for a while and gives what they did in a second.
func benchRate(b *testing.B, clients int, work func(ctx context.Context) (int, error)) float64 {
	b.Helper()
	return benchRateFor(b, clients, benchRound, work)
}

func benchRateFor(b *testing.B, clients int, whole time.Duration, work func(ctx context.Context) (int, error)) float64 {
	b.Helper()
	var done atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range clients {
		wg.Go(func() {
			for time.Since(begin) < whole {
				n, err := work(b.Context())
				if err != nil {
					b.Error(err)
					return
				}
				done.Add(int64(n))
			}
		})
	}
	wg.Wait()
	return float64(done.Load()) / time.Since(begin).Seconds()
}

// benchTimes are durations that several goroutines measured.
type benchTimes struct {
	mu  sync.Mutex
	all []time.Duration
}

func (t *benchTimes) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, d)
}

// quantile gives microseconds.
func (t *benchTimes) quantile(q float64) float64 {
	slices.Sort(t.all)
	if len(t.all) == 0 {
		return 0
	}
	return float64(t.all[int(float64(len(t.all)-1)*q)].Microseconds())
}
