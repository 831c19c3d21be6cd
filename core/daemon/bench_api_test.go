package daemon

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/webapptest"
	"github.com/lorry-controller/lorry-controller/core/webapp/webhook"
)

// bench is an API over a real SQLite STATEDB, with nothing behind it.
type bench struct {
	queue  *queue.Queue
	server *httptest.Server
	floor  *httptest.Server
	client *http.Client
}

const benchSecret = "bench"

func newBench(b *testing.B, lorries int) *bench {
	b.Helper()
	db, err := statedb.Open(b.Context(), statedb.Options{URL: filepath.Join(b.TempDir(), "state.db")})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = db.Close() })
	var batch []core.Lorry
	for i := range lorries {
		path := fmt.Sprintf("m/%06d", i)
		batch = append(batch, core.Lorry{
			Path: path, Section: "lorries:m", UpstreamHost: "up.example.org", Repository: "up.example.org/" + path,
			Text: `{"` + path + `": {"type": "git", "url": "https://up.example.org/` + path + `"}}`, Interval: time.Hour, Timeout: time.Hour,
		})
		if len(batch) == 1000 || i == lorries-1 {
			if err := db.PutLorries(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = nil
		}
	}
	x := &bench{queue: queue.New(queue.Options{Store: db})}
	server, err := webapp.New(webapp.Options{
		Queue: x.queue, Configuration: &webapptest.Configuration{}, Preparer: &webapptest.Preparer{}, Log: hclog.NewNullLogger(), Clock: time.Now,
		Webhooks: webhook.New(webhook.Options{
			Queue: x.queue, Clock: time.Now, Log: hclog.NewNullLogger(),
			Secrets: func(string) ([]core.Secret, error) { return []core.Secret{core.NewSecret(benchSecret)}, nil },
		}),
	})
	if err != nil {
		b.Fatal(err)
	}
	x.server, x.floor = httptest.NewServer(server.Handler()), httptest.NewServer(webapptest.Floor())
	transport := &http.Transport{MaxIdleConnsPerHost: 300}
	x.client = &http.Client{Transport: transport}
	b.Cleanup(func() {
		server.Drain()
		transport.CloseIdleConnections()
		x.server.Close()
		x.floor.Close()
		_ = server.Close(context.WithoutCancel(b.Context()))
	})
	return x
}

// percentile reports one, in milliseconds.
func percentile(b *testing.B, took []time.Duration, percent int, name string) {
	b.Helper()
	if len(took) == 0 {
		b.Fatal("nothing was measured")
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[min(len(took)-1, len(took)*percent/100)].Microseconds())/1000, name)
}

// cycles lets so many minions take b.N jobs and end them, and tells requests a
// second and the 99th percentile of a cycle.
func cycles(b *testing.B, minions int, one func(ctx context.Context, minion string) error) {
	b.Helper()
	var left atomic.Int64
	left.Store(int64(b.N))
	took := make([][]time.Duration, minions)
	var all sync.WaitGroup
	b.ResetTimer()
	began := time.Now()
	for m := range minions {
		all.Go(func() {
			for left.Add(-1) >= 0 {
				from := time.Now()
				if err := one(b.Context(), "minion"+strconv.Itoa(m)); err != nil {
					b.Error(err)
					return
				}
				took[m] = append(took[m], time.Since(from))
			}
		})
	}
	all.Wait()
	b.ReportMetric(2*float64(b.N)/time.Since(began).Seconds(), "requests/s")
	percentile(b, slices.Concat(took...), 99, "p99-ms")
}

// BenchmarkAPI measures give-me-job and job-update at 100,000 Lorries, beside
// the bare queue and beside handlers that do nothing.
func BenchmarkAPI(b *testing.B) {
	lorries := 100_000
	if n, err := strconv.Atoi(os.Getenv("LORRY_BENCH_LORRIES")); err == nil {
		lorries = n
	}
	x := newBench(b, lorries)
	overHTTP := func(base string) func(context.Context, string) error {
		client := &protocol.Client{Base: base, HTTP: x.client}
		return func(ctx context.Context, minion string) error {
			job, err := client.GiveMeJob(ctx, protocol.GiveMeJob{Host: minion, PID: 1, Version: protocol.Version})
			if err != nil || job.JobID == nil {
				return fmt.Errorf("no job: %w", err)
			}
			_, err = client.Update(ctx, []protocol.Update{{JobID: *job.JobID, Fence: job.Fence, Exit: "0", Unchanged: true}})
			return err
		}
	}
	bare := func(ctx context.Context, minion string) error {
		claimed, err := x.queue.Claim(ctx, queue.ClaimParams{Minion: minion, PID: 1, Max: 1})
		if err != nil || len(claimed) != 1 {
			return fmt.Errorf("%d jobs: %w", len(claimed), err)
		}
		_, err = x.queue.Update(ctx, []queue.UpdateParams{{Job: claimed[0].Job.ID, Fence: claimed[0].Job.Fence, Done: true, Exit: "0", Unchanged: true}})
		return err
	}
	for _, minions := range []int{16, 64} {
		b.Run(fmt.Sprintf("http/minions=%d", minions), func(b *testing.B) { cycles(b, minions, overHTTP(x.server.URL)) })
		b.Run(fmt.Sprintf("queue/minions=%d", minions), func(b *testing.B) { cycles(b, minions, bare) })
		b.Run(fmt.Sprintf("floor/minions=%d", minions), func(b *testing.B) { cycles(b, minions, overHTTP(x.floor.URL)) })
	}
}

// BenchmarkWake measures how long a minion that waits takes to get a job: after
// a Lorry became due, and after a forge told of a push.
func BenchmarkWake(b *testing.B) {
	x := newBench(b, 1000)
	client := &protocol.Client{Base: x.server.URL, HTTP: x.client}
	for { // nothing is due in the end
		claimed, err := x.queue.Claim(b.Context(), queue.ClaimParams{Minion: "m", Max: 200})
		if err != nil {
			b.Fatal(err)
		}
		if len(claimed) == 0 {
			break
		}
		for _, c := range claimed {
			if _, err := x.queue.Update(b.Context(), []queue.UpdateParams{{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0"}}); err != nil {
				b.Fatal(err)
			}
		}
	}
	measure := func(b *testing.B, wake func(path string) error) {
		b.Helper()
		var took []time.Duration
		for i := range b.N {
			got := make(chan error, 1)
			var at time.Time
			go func() {
				job, err := client.GiveMeJob(b.Context(), protocol.GiveMeJob{Host: "w", PID: 1, Wait: 60})
				at = time.Now()
				if err == nil && job.JobID != nil {
					_, err = client.Update(b.Context(), []protocol.Update{{JobID: *job.JobID, Fence: job.Fence, Exit: "0"}})
				}
				got <- err
			}()
			settle := time.NewTimer(100 * time.Millisecond) // until it waits
			<-settle.C
			from := time.Now()
			if err := wake(fmt.Sprintf("m/%06d", i%1000)); err != nil {
				b.Fatal(err)
			}
			if err := <-got; err != nil {
				b.Fatal(err)
			}
			took = append(took, at.Sub(from))
		}
		percentile(b, took, 95, "p95-ms")
	}
	b.Run("due", func(b *testing.B) {
		measure(b, func(path string) error { return x.queue.Retry(b.Context(), path) })
	})
	b.Run("webhook", func(b *testing.B) {
		measure(b, func(path string) error {
			return x.push(b.Context(), path)
		})
	})
}

// push is a webhook that tells of a push.
func (x *bench) push(ctx context.Context, path string) error {
	body := `{"object_kind": "push", "project": {"git_ssh_url": "git@up.example.org:` + path + `.git"}}`
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, x.server.URL+"/1.0/webhook/gitlab/bench", bytes.NewReader([]byte(body)))
	if err != nil {
		return err
	}
	r.Header.Set("X-Gitlab-Token", benchSecret)
	answer, err := x.client.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusAccepted {
		return fmt.Errorf("webhook: %s", answer.Status)
	}
	return nil
}

// BenchmarkEvents measures how long 200 listeners take to hear of a change.
func BenchmarkEvents(b *testing.B) {
	const listeners = 200
	x := newBench(b, 100)
	ctx, cancel := context.WithCancel(b.Context())
	heard := make(chan string, 100*listeners)
	var all sync.WaitGroup
	for range listeners {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, x.server.URL+"/1.0/events", nil)
		if err != nil {
			b.Fatal(err)
		}
		answer, err := x.client.Do(r)
		if err != nil {
			b.Fatal(err)
		}
		all.Go(func() {
			defer answer.Body.Close()
			for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
				if strings.HasPrefix(lines.Text(), "data:") && strings.Contains(lines.Text(), "m/") {
					heard <- lines.Text()
				}
			}
		})
	}
	defer func() { cancel(); all.Wait() }()
	var took []time.Duration
	for range b.N {
		from := time.Now()
		claimed, err := x.queue.Claim(b.Context(), queue.ClaimParams{Minion: "m", Max: 1})
		if err != nil || len(claimed) != 1 {
			b.Fatalf("%d jobs, %v", len(claimed), err)
		}
		for range listeners {
			select {
			case <-heard:
			case <-time.After(30 * time.Second):
				b.Fatal("a listener hears nothing")
			}
		}
		took = append(took, time.Since(from))
	}
	percentile(b, took, 95, "p95-ms")
}
