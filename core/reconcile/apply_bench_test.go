package reconcile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// timedStore notes how long the longest change by the reconciler took.
type timedStore struct {
	*statedb.DB
	longest time.Duration
	what    string // the one that took longest
}

func (s *timedStore) note(began time.Time, what string) {
	if took := time.Since(began); took > s.longest {
		s.longest, s.what = took, what
	}
}

func (s *timedStore) PutLorriesDue(ctx context.Context, lorries []core.Lorry, due []time.Time) error {
	defer s.note(time.Now(), "putting")
	return s.DB.PutLorriesDue(ctx, lorries, due)
}

func (s *timedStore) RemoveLorries(ctx context.Context, paths []string) error {
	defer s.note(time.Now(), "removing")
	return s.DB.RemoveLorries(ctx, paths)
}

func (s *timedStore) SetConfig(ctx context.Context, commit string, problems []core.Problem) error {
	defer s.note(time.Now(), "recording the problems of")
	return s.DB.SetConfig(ctx, commit, problems)
}

// BenchmarkApplyChange changes a large CONFGIT (LORRY_BENCH_APPLY, 20,000
// Lorries) while a minion goes on claiming and ending jobs: once every Lorry, once
// the paths of half of them. It tells how long the longest transaction and the
// claims took, the largest heap, and what is left of it.
func BenchmarkApplyChange(b *testing.B) {
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		for _, change := range []string{"all changed", "half replaced"} {
			b.Run(database+"/"+change, func(b *testing.B) {
				url := filepath.Join(b.TempDir(), "state.db")
				if database == "PostgreSQL" {
					url = servers.URL(b)
				}
				applyChange(b, url, change == "half replaced")
			})
		}
	}
}

func applyChange(b *testing.B, url string, replace bool) {
	lorries := 20_000
	if n, err := strconv.Atoi(os.Getenv("LORRY_BENCH_APPLY")); err == nil {
		lorries = n
	}
	db, err := statedb.Open(b.Context(), statedb.Options{URL: url})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	dir, store := b.TempDir(), &timedStore{DB: db}
	r := reconcile.New(reconcile.Options{
		Source: confgit.NewSource(confgit.Options{Directory: dir}), Store: store, Upstreams: &hosts{byName: map[string]*fakeHost{}},
		PurgeProtect: 5, Clock: time.Now, FirstRuns: -1,
	})
	writeMany(b, dir, lorries, 0, "first")
	if _, err := r.ReadConfiguration(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(b.Elapsed().Seconds(), "s/first")
	store.longest = 0
	var took []time.Duration
	var largest uint64
	round := 0
	for b.Loop() {
		round++
		if replace {
			writeMany(b, dir, lorries, round*lorries/2, "first")
		} else {
			writeMany(b, dir, lorries, 0, fmt.Sprint("round", round))
		}
		runtime.GC()
		ctx, stop := context.WithCancel(b.Context())
		var beside sync.WaitGroup
		beside.Go(func() { took = append(took, claimOn(ctx, b, queue.New(queue.Options{Store: db}))...) })
		beside.Go(func() { largest = max(largest, largestHeap(ctx)) })
		if _, err := r.ReadConfiguration(b.Context()); err != nil {
			b.Fatal(err)
		}
		stop()
		beside.Wait()
	}
	b.Logf("the longest change was %s Lorries", store.what)
	slices.Sort(took)
	b.ReportMetric(float64(store.longest.Milliseconds()), "ms/longest-change")
	b.ReportMetric(float64(len(took)), "claims")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "ms/p99-claim")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/median-claim")
	b.ReportMetric(float64(largest)/1e6, "MB/largest-heap")
	runtime.GC()
	b.ReportMetric(float64(heap())/1e6, "MB/heap-after")
	runtime.KeepAlive(r)
}

// heap is how many bytes the objects on the heap take, dead ones included.
func heap() uint64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// largestHeap looks at the heap until ctx ends.
func largestHeap(ctx context.Context) (largest uint64) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		largest = max(largest, heap())
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
	}
	return largest
}

// claimOn claims and ends jobs until ctx ends, and tells how long claims took.
func claimOn(ctx context.Context, b *testing.B, q *queue.Queue) (took []time.Duration) {
	b.Helper()
	for ctx.Err() == nil {
		began := time.Now()
		got, err := q.Claim(b.Context(), queue.ClaimParams{Minion: "m", Max: 1})
		if err != nil {
			b.Error(err)
			return took
		}
		took = append(took, time.Since(began))
		for _, c := range got {
			if _, err := q.Update(b.Context(), []queue.UpdateParams{{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0"}}); err != nil {
				b.Error(err)
			}
		}
	}
	return took
}

// writeMany writes so many Lorries, their paths numbered from a number on.
func writeMany(b *testing.B, dir string, lorries, from int, variant string) {
	b.Helper()
	const per = 1000
	files := map[string]string{confgit.ConfFile: conf(section("p", "*.lorry"))}
	for file := range (lorries + per - 1) / per {
		var entries []string
		for i := range min(per, lorries-file*per) {
			n := from + file*per + i
			entries = append(entries, fmt.Sprintf("\"f%03d/r%07d\": {\"type\": \"git\", \"url\": \"https://git.example.com/%s/%d\"}", n/per, n, variant, n))
		}
		files[fmt.Sprintf("f%03d.lorry", file)] = "{" + strings.Join(entries, ",\n") + "}\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}
