package importbench

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/minion"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
	"github.com/lorry-controller/lorry-controller/core/webapp/webapptest"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// number reads a count from the environment.
func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n >= 0 {
		return n
	}
	return otherwise
}

// memory is an upstream that answers from memory: what a real server said of
// one repository it says of any.
type memory struct{ advertisement, refs []byte }

func record(tb testing.TB, server *gittest.Server, path string) memory {
	tb.Helper()
	get := func(method, url, body string) []byte {
		req, err := http.NewRequest(method, url, strings.NewReader(body))
		if err != nil {
			tb.Fatal(err)
		}
		req.Header.Set("Git-Protocol", "version=2")
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		resp, err := server.Client().Do(req)
		if err != nil {
			tb.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			tb.Fatalf("%s %s: %s, %v", method, url, resp.Status, err)
		}
		return text
	}
	return memory{
		get(http.MethodGet, server.URL+path+"/info/refs?service=git-upload-pack", ""),
		get(http.MethodPost, server.URL+path+"/git-upload-pack", lsRefsRequest),
	}
}

const lsRefsRequest = "0014command=ls-refs\n0013agent=git/lorry0001000csymrefs\n0014ref-prefix HEAD\n001bref-prefix refs/heads/\n001aref-prefix refs/tags/\n0000"

func (m memory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = w.Write(m.advertisement)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
	_, _ = w.Write(m.refs)
}

// prepared answers for a Downstream Host that is ready.
type prepared struct{ push core.Access }

func (p prepared) Prepare(context.Context, core.LorryState) (minions.Prepared, error) {
	return minions.Prepared{Push: p.push}, nil
}

func (prepared) Pushed(context.Context, core.LorryState, string) error { return nil }

// cpu is what this process has used of the processors.
func cpu() time.Duration {
	var r syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}

// digest mirrors the repository once and gives the digest of its refs.
func digest(tb testing.TB, dir, url string) string {
	tb.Helper()
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home")})
	if err != nil {
		tb.Fatal(err)
	}
	reader := lsrefs.NewReader(git)
	defer reader.Close()
	down := gittest.NewRepo(tb, filepath.Join(dir, "down.git"))
	report := importer.Run(tb.Context(), importer.Options{
		WorkingArea: filepath.Join(dir, "once"), Git: git, Reader: reader,
		Spec:    spec.Spec{Name: "x", Type: spec.Git, Access: core.Access{URL: url}},
		Request: &protocol.ImportRequest{Path: "x", Push: &protocol.Access{URL: down.Dir}},
	})
	if report.Exit != 0 {
		tb.Fatalf("%+v", report)
	}
	return report.Digest
}

// BenchmarkUnchanged runs jobs of Lorries that are always due and never change, through a
// minion, HTTP, the core and SQLite that syncs each commit, beside a bare loop
// of ls-refs requests to the same upstream, which answers from memory. All of
// it is this one process: cpu-us/lorry is everybody's, of floor-cpu-us/lorry
// the upstream's and a client's.
func BenchmarkUnchanged(b *testing.B) {
	n := number("LORRY_BENCH_LORRIES", 4000)
	dir := b.TempDir()
	gittest.Seed(b, filepath.Join(dir, "up", "thing.git"))
	server := gittest.NewServer(b, filepath.Join(dir, "up"))
	upstream := httptest.NewServer(record(b, server, "/thing.git"))
	defer upstream.Close()
	known := digest(b, dir, server.URL+"/thing.git")

	db, err := statedb.Open(b.Context(), statedb.Options{URL: filepath.Join(dir, "state.db")})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	var ended, changed atomic.Int64
	pass := make(chan struct{}, 1)
	q := queue.New(queue.Options{Store: db, Ended: func(jobs []core.Job) {
		for _, j := range jobs {
			if j.Exit != "0" && j.Exit != "returned" { // the program that runs what has changed fails
				changed.Add(1)
			}
		}
		if before := ended.Add(int64(len(jobs))) - int64(len(jobs)); before < int64(n) && before+int64(len(jobs)) >= int64(n) {
			pass <- struct{}{}
		}
	}})
	fill(b, db, q, n, upstream.URL, known)
	<-pass
	changed.Store(0)

	app, err := webapp.New(webapp.Options{
		Queue: q, Configuration: &webapptest.Configuration{}, Preparer: prepared{core.Access{URL: filepath.Join(dir, "down.git")}},
		Log: hclog.NewNullLogger(), Clock: time.Now,
	})
	if err != nil {
		b.Fatal(err)
	}
	front := httptest.NewServer(app.Handler())
	ctx, stop := context.WithCancel(b.Context())
	var minionEnd sync.WaitGroup
	minionEnd.Go(func() {
		if err := minion.Run(ctx, minion.Options{
			Controller: front.URL, Name: "bench", Jobs: number("LORRY_BENCH_JOBS", 8), WorkingArea: filepath.Join(dir, "area"),
			LorryCmd: program(b, dir), Wait: 20 * time.Second, Log: hclog.NewNullLogger(),
		}); err != nil {
			b.Error(err)
		}
	})
	halt := sync.OnceFunc(func() {
		stop()
		minionEnd.Wait()
		app.Drain()
		front.Close()
		_ = app.Close(context.Background())
	})
	defer halt()

	var took, used, floorTook, floorUsed time.Duration
	passes := 0
	for b.Loop() {
		ended.Store(0)
		start, before := time.Now(), cpu()
		select {
		case <-pass:
		case <-time.After(5 * time.Minute):
			b.Fatalf("%d of %d jobs have ended", ended.Load(), n)
		}
		took, used = took+time.Since(start), used+cpu()-before
		passes++
	}
	halt()
	for range passes {
		t, c := floor(b, upstream.URL, n)
		floorTook, floorUsed = floorTook+t, floorUsed+c
	}
	if changed.Load() > 0 {
		b.Errorf("%d jobs did not end as unchanged", changed.Load())
	}
	total := float64(n * passes)
	b.ReportMetric(total/took.Seconds(), "lorries/s")
	b.ReportMetric(total/floorTook.Seconds(), "floor/s")
	b.ReportMetric(float64(used.Microseconds())/total, "cpu-us/lorry")
	b.ReportMetric(float64(floorUsed.Microseconds())/total, "floor-cpu-us/lorry")
	b.ReportMetric(0, "ns/op")
}

// fill makes n Lorries that were pushed and verified once.
func fill(b *testing.B, db *statedb.DB, q *queue.Queue, n int, url, digest string) {
	b.Helper()
	var some []core.Lorry
	for i := range n {
		path := fmt.Sprintf("bench/%05d", i)
		some = append(some, core.Lorry{
			Path: path, Text: fmt.Sprintf(`{%q: {"type": "git", "url": "%s/%d.git"}}`, path, url, i),
			Interval: time.Millisecond, Timeout: time.Hour, UpstreamHost: "127.0.0.1", Section: "lorries:bench",
		})
		if len(some) == 500 || i == n-1 {
			if err := db.PutLorries(b.Context(), some); err != nil {
				b.Fatal(err)
			}
			some = nil
		}
	}
	for left := n; left > 0; {
		got, err := q.Claim(b.Context(), queue.ClaimParams{Minion: "fill", Max: min(left, 500)})
		if err != nil || len(got) == 0 {
			b.Fatal(got, err)
		}
		left -= len(got)
		var done []queue.UpdateParams
		for _, c := range got {
			done = append(done, queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", Digest: digest})
		}
		if _, err := q.Update(b.Context(), done); err != nil {
			b.Fatal(err)
		}
	}
}

// program is a lorry that must never be needed.
func program(b *testing.B, dir string) string {
	b.Helper()
	path := filepath.Join(dir, "bin", "lorry")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n[ \"$1\" = --help ] && echo --report-fd\nexit 1\n"), 0o755); err != nil {
		b.Fatal(err)
	}
	return path
}

// floor asks n times for refs, 8 at a time, and does nothing with the answers.
func floor(b *testing.B, url string, n int) (took, used time.Duration) {
	b.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 8, DialContext: (&net.Dialer{}).DialContext}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	start, before := time.Now(), cpu()
	var next atomic.Int64
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := next.Add(1); i <= int64(n); i = next.Add(1) {
				resp, err := client.Post(fmt.Sprintf("%s/%d.git/git-upload-pack", url, i), "application/x-git-upload-pack-request", bytes.NewReader([]byte(lsRefsRequest)))
				if err != nil {
					b.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, resp.Body)
				_ = resp.Body.Close()
			}
		})
	}
	all.Wait()
	return time.Since(start), cpu() - before
}
