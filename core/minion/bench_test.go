package minion

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/webapptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is a controller with a queue in memory, and what a minion needs.
type bench struct {
	queue    *webapptest.Queue
	preparer *webapptest.Preparer
	handler  atomic.Pointer[http.Handler] // replaced by tests that break it
	inner    http.Handler
	options  Options
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{queue: webapptest.NewQueue(time.Now), preparer: &webapptest.Preparer{}}
	server, err := webapp.New(webapp.Options{
		Queue: b.queue, Configuration: &webapptest.Configuration{}, Preparer: b.preparer,
		Log: hclog.NewNullLogger(), Clock: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	b.inner = server.Handler()
	b.handler.Store(&b.inner)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		(*b.handler.Load()).ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		server.Drain()
		front.Close()
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	b.options = Options{
		Controller: front.URL, HTTP: front.Client(), Name: "m1", WorkingArea: filepath.Join(t.TempDir(), "area"),
		Wait: 10 * time.Second, Tick: 5 * time.Millisecond, Sleep: 5 * time.Millisecond, Grace: 200 * time.Millisecond,
		Log: hclog.NewNullLogger(), Env: []string{"PATH=" + os.Getenv("PATH")},
	}
	return b
}

// answerWith replaces the controller by a function until it is called with nil.
func (b *bench) answerWith(f http.HandlerFunc) {
	handler := b.inner
	if f != nil {
		handler = f
	}
	b.handler.Store(&handler)
}

// program writes a shell script and names it as the program for jobs.
func (b *bench) program(t *testing.T, name, script string) {
	t.Helper()
	b.options.LorryCmd = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(b.options.LorryCmd, []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
}

// start runs the minion until the returned function is called.
func (b *bench) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Run(ctx, b.options) }()
	stopped := false
	stop = func() {
		if !stopped {
			stopped = true
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// worker is what the minion's parts work on, when it does not run itself.
func (b *bench) worker(t *testing.T) *worker {
	t.Helper()
	b.options.setDefaults()
	area, err := openArea(b.options.WorkingArea)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(area.close)
	w := &worker{Options: b.options, area: area, client: &protocol.Client{Base: b.options.Controller, HTTP: b.options.HTTP}}
	if b.options.LorryCmd == "" {
		return w
	}
	if w.command, err = findCommand(t.Context(), b.options.LorryCmd, b.options.Env); err != nil {
		t.Fatal(err)
	}
	return w
}

func (b *bench) put(paths ...string) {
	for _, path := range paths {
		b.queue.Put(core.LorryState{Lorry: core.Lorry{Path: path, Text: `{"` + path + `": {}}`, Interval: time.Hour, Timeout: time.Hour}})
	}
}

// await waits for a job that check accepts.
func (b *bench) await(t *testing.T, id core.JobID, check func(core.Job) bool) core.Job {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	job, err := b.queue.AwaitJob(ctx, id, check)
	if err != nil {
		t.Fatal(err)
	}
	return job
}

func ended(j core.Job) bool { return !j.Running() }

func (b *bench) output(t *testing.T, id core.JobID) string {
	t.Helper()
	text, err := b.queue.Output(t.Context(), id, 0, 0)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// alive reports whether a process runs; one that is dead but not yet reaped by
// whoever adopted it does not.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}

const oursHelp = `if [ "$1" = --help ]; then echo "  --report-fd=N"; exit 0; fi
`

func jsonOf(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
