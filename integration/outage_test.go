package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

// ledger is what a controller has acknowledged.
type ledger struct {
	mu    sync.Mutex
	jobs  map[int64]bool
	count atomic.Int64
	end   chan struct{}

	output  string       // of every job
	refused atomic.Value // string: the last answer that was no success
}

// work asks for jobs and ends them until the ledger is closed. An end that was
// not acknowledged is told again, as a minion does.
func (l *ledger) work(w *twoCores, name string) {
	for again := time.Duration(0); ; {
		select {
		case <-l.end:
			return
		case <-time.After(again):
		}
		again = 20 * time.Millisecond // when it is refused
		status, text := w.ask(0, "", http.MethodPost, "/1.0/give-me-job", "version=2&wait=1&pid=1&host="+name)
		var job struct {
			ID    *int64 `json:"job_id"`
			Fence int64
		}
		if status != http.StatusOK {
			l.refused.Store(text)
			continue
		}
		if json.Unmarshal([]byte(text), &job) != nil || job.ID == nil {
			continue
		}
		report := fmt.Sprintf(`{"job_id": %d, "fence": %d, "exit": "0", "stdout": %q}`, *job.ID, job.Fence, "done"+l.output)
		for {
			status, text := w.ask(0, "", http.MethodPost, "/1.0/job-update", report)
			if status == http.StatusOK {
				break
			}
			l.refused.Store(text)
			select {
			case <-l.end:
				return // never acknowledged
			case <-time.After(again):
			}
		}
		l.mu.Lock()
		l.jobs[*job.ID] = true
		l.mu.Unlock()
		l.count.Add(1)
		again = 0
	}
}

// TestACoreOutlivesAnOutageOfPostgres has PostgreSQL crash, or its network go
// mute, under a core that is asked for jobs all the time. The core says that it is
// not ready, is ready again by itself, and has lost nothing that it has
// acknowledged.
func TestACoreOutlivesAnOutageOfPostgres(t *testing.T) {
	t.Parallel()
	t.Run("it crashes", func(t *testing.T) {
		t.Parallel()
		servers := pgtest.New(t)
		outlive(t, servers.Prepared(t, func(string) error { return nil }), func() (end func()) { return servers.Crash(t) })
	})
	t.Run("its network is mute", func(t *testing.T) {
		t.Parallel()
		servers := pgtest.New(t)
		url, proxy := pgtest.Before(t, servers.Prepared(t, func(string) error { return nil }))
		outlive(t, url, func() (end func()) {
			proxy.Mute(true)
			return func() { proxy.Mute(false) }
		})
	})
}

// outlive has a core work on a database that is away twice.
func outlive(t *testing.T, database string, begin func() (end func())) {
	t.Helper()
	w := &twoCores{T: t, dir: t.TempDir(), client: &http.Client{}}
	t.Cleanup(w.client.CloseIdleConnections)
	w.env = append(os.Environ(), "LORRY_STATEDB="+database)
	w.alwaysDue(200)
	w.startCore(0)
	l := &ledger{jobs: map[int64]bool{}, end: make(chan struct{})}
	var working sync.WaitGroup
	for i := range 4 {
		working.Go(func() { l.work(w, fmt.Sprintf("box%d", i)) })
	}
	grown := func() func() bool {
		was := l.count.Load()
		return func() bool { return l.count.Load() >= was+20 }
	}
	w.await(grown())
	for range 2 {
		end := begin()
		w.await(func() bool {
			status, text := w.ask(0, "", http.MethodGet, "/-/ready", "")
			return status == http.StatusServiceUnavailable && strings.Contains(text, "state database")
		})
		end()
		ended := time.Now()
		w.await(func() bool {
			status, _ := w.ask(0, "", http.MethodGet, "/-/ready", "")
			return status == http.StatusOK
		})
		w.await(grown())
		t.Logf("jobs are given and ended again %v after the outage", time.Since(ended).Round(time.Millisecond))
	}
	close(l.end)
	working.Wait()
	for id := range l.jobs {
		w.want(0, "", http.MethodGet, fmt.Sprintf("/1.0/job/%d", id), "", http.StatusOK, `"exit":"0"`)
	}
	t.Logf("%d ends of jobs acknowledged, all of them there", len(l.jobs))
}

// startCore starts a core on the environment's STATEDB and waits for CONFGIT.
func (w *twoCores) startCore(i int) {
	w.Helper()
	address := freeAddress(w.T)
	w.url[i] = "http://" + address
	core := exec.Command(filepath.Join(binDir, "lorry-controller"), "--no-default-configs", "--data", filepath.Join(w.dir, fmt.Sprint("data", i)),
		"--configuration-directory", w.dir, "--downstream-host-type", "local", "--local-base-directory", filepath.Join(w.dir, "mirrors"), "--listen", address)
	var log bytes.Buffer
	core.Env, core.Stderr = w.env, &log
	if err := core.Start(); err != nil {
		w.Fatal(err)
	}
	w.Cleanup(func() {
		_ = core.Process.Signal(syscall.SIGTERM)
		if err := core.Wait(); err != nil || w.Failed() {
			w.Errorf("core: %v\n%s", err, log.String())
		}
	})
	w.await(func() bool {
		status, text := w.ask(i, "", http.MethodGet, "/1.0/list-queue", "")
		return status == http.StatusOK && strings.Contains(text, "m/")
	})
}
