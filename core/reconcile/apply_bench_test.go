package reconcile_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
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

// timedStore notes how long each change by the reconciler took.
type timedStore struct {
	*statedb.DB
	longest time.Duration
}

func (s *timedStore) PutLorriesDue(ctx context.Context, lorries []core.Lorry, due []time.Time) error {
	began := time.Now()
	defer func() { s.longest = max(s.longest, time.Since(began)) }()
	return s.DB.PutLorriesDue(ctx, lorries, due)
}

// BenchmarkApplyChange changes every Lorry of a large CONFGIT (LORRY_BENCH_APPLY,
// 20,000) while a minion goes on claiming and ending jobs, and tells how long the
// longest call of the store and the claims took.
func BenchmarkApplyChange(b *testing.B) {
	for name, url := range map[string]func() string{
		"SQLite":     func() string { return filepath.Join(b.TempDir(), "state.db") },
		"PostgreSQL": func() string { return servers.URL(b) },
	} {
		b.Run(name, func(b *testing.B) { applyChange(b, url()) })
	}
}

func applyChange(b *testing.B, url string) {
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
	writeMany(b, dir, lorries, "first")
	if _, err := r.ReadConfiguration(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(b.Elapsed().Seconds(), "s/first")
	var took []time.Duration
	round := 0
	for b.Loop() {
		writeMany(b, dir, lorries, fmt.Sprint("round", round))
		round++
		ctx, stop := context.WithCancel(b.Context())
		var claiming sync.WaitGroup
		claiming.Go(func() { took = append(took, claimOn(ctx, b, queue.New(queue.Options{Store: db}))...) })
		if _, err := r.ReadConfiguration(b.Context()); err != nil {
			b.Fatal(err)
		}
		stop()
		claiming.Wait()
	}
	slices.Sort(took)
	b.ReportMetric(float64(store.longest.Milliseconds()), "ms/longest-put")
	b.ReportMetric(float64(len(took)), "claims")
	b.ReportMetric(float64(took[len(took)*99/100].Milliseconds()), "ms/p99-claim")
	b.ReportMetric(float64(took[len(took)/2].Milliseconds()), "ms/median-claim")
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

func writeMany(b *testing.B, dir string, lorries int, variant string) {
	b.Helper()
	const per = 1000
	files := map[string]string{confgit.ConfFile: conf(section("p", "*.lorry"))}
	for file := range (lorries + per - 1) / per {
		var entries []string
		for i := range min(per, lorries-file*per) {
			entries = append(entries, fmt.Sprintf("\"f%03d/r%06d\": {\"type\": \"git\", \"url\": \"https://git.example.com/%s/%d\"}", file, i, variant, i))
		}
		files[fmt.Sprintf("f%03d.lorry", file)] = "{" + strings.Join(entries, ",\n") + "}\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			b.Fatal(err)
		}
	}
}
