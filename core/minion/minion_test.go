package minion

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
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

func TestOurLorryGetsItsAccessAndGivesItsReport(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.program(t, "lorry", oursHelp+`
test "$1 $3 $4 $5 $6" = "--working-area --access-fd 3 --report-fd 4" || exit 9
cat <&3 >"$2/request"
cp "$7" "$2/spec"
exec 2>&1
stat -c %a "$7" "$(dirname "$7")"
echo "cloning with s3cret" >&2
echo '{"path":"up/foo","exit":0,"digest":"d1","head":"refs/heads/main","disk_usage":4096,"refs":[{"ref":"refs/heads/main","status":"new"}]}' >&4
`)
	b.preparer.OnPrepare = func(_ context.Context, l core.LorryState) (minions.Prepared, error) {
		return minions.Prepared{
			Push:      core.Access{URL: "https://git.example.com/" + l.Path, Username: "lorry", Secret: core.NewSecret("s3cret")},
			FileRoots: []string{"/srv"},
		}, nil
	}
	head := make(chan string, 1)
	b.preparer.OnPushed = func(_ context.Context, _ core.LorryState, h string) error { head <- h; return nil }
	b.put("up/foo")
	stop := b.start(t)
	got := b.await(t, 1, ended)
	if diff := cmp.Diff("refs/heads/main", <-head); diff != "" {
		t.Errorf("head (-want +got):\n%s", diff)
	}
	stop()
	if diff := cmp.Diff("600\n700\ncloning with [secret]\n", b.output(t, 1)); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
	want := []any{"0", int64(4096), []core.RefResult{{Ref: "refs/heads/main", Status: "new"}}}
	if diff := cmp.Diff(want, []any{got.Exit, got.DiskUsage, got.Refs}); diff != "" {
		t.Errorf("job (-want +got):\n%s", diff)
	}
	var request protocol.ImportRequest
	text, err := os.ReadFile(filepath.Join(b.options.WorkingArea, "request"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &request); err != nil {
		t.Fatal(err)
	}
	wantRequest := protocol.ImportRequest{
		Path: "up/foo", FileRoots: []string{"/srv"},
		Push: &protocol.Access{URL: "https://git.example.com/up/foo", Username: "lorry", Secret: "s3cret"},
	}
	if diff := cmp.Diff(wantRequest, request); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
	if specs, err := filepath.Glob(filepath.Join(b.options.WorkingArea, privateName, "specs", "*")); err != nil || len(specs) > 0 {
		t.Errorf("specifications are left: %v %v", specs, err)
	}
}

func TestAnyOtherCommandGetsAFile(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.program(t, "mirror", `test $# = 1 || exit 9
mkdir up_foo && echo data >up_foo/file
cat "$1"; echo; echo oops >&2; exit 3
`)
	b.put("up/foo")
	b.start(t)
	got := b.await(t, 1, ended)
	want := []any{"3", core.FailOther, "mirror ended with exit status 3: oops"}
	if diff := cmp.Diff(want, []any{got.Exit, got.Failure.Kind, got.Failure.Cause}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if out := b.output(t, 1); !strings.Contains(out, `{"up/foo": {}}`) || !strings.Contains(out, "oops") {
		t.Errorf("want specification and complaint, got %q", out)
	}
	if got.DiskUsage == 0 {
		t.Error("want the disk usage of the original's place for the Lorry")
	}
}

const lingering = `sleep 1000 &
echo "pid $$ child $!"
wait
`

// pids reads what lingering wrote.
func (b *bench) pids(t *testing.T, id core.JobID) []int {
	t.Helper()
	b.await(t, id, func(j core.Job) bool { return j.OutputSize > 0 })
	fields := strings.Fields(b.output(t, id))
	if len(fields) < 4 {
		t.Fatalf("no process ids in %q", fields)
	}
	var pids []int
	for _, text := range []string{fields[1], fields[3]} {
		pid, err := strconv.Atoi(text)
		if err != nil {
			t.Fatal(err)
		}
		pids = append(pids, pid)
	}
	return pids
}

func gone(t *testing.T, pids []int) {
	t.Helper()
	for _, pid := range pids {
		if alive(pid) {
			t.Errorf("process %d is left behind", pid)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func TestAJobIsStoppedWithItsWholeGroup(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, script, exit string
		end                func(t *testing.T, b *bench)
		kind               core.FailureKind
	}{
		{"by an admin", lingering, "-15", func(t *testing.T, b *bench) {
			if err := b.queue.StopJob(t.Context(), 1); err != nil {
				t.Error(err)
			}
		}, core.FailKilled},
		{"deaf to SIGTERM", "trap '' TERM\n" + lingering + "while :; do sleep 1; done\n", "-9", func(t *testing.T, b *bench) {
			if err := b.queue.StopJob(t.Context(), 1); err != nil {
				t.Error(err)
			}
		}, core.FailKilled},
		{"for its time", lingering, "-15", nil, core.FailTimeout},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.program(t, "mirror", test.script)
			l := core.LorryState{Lorry: core.Lorry{Path: "up/foo", Text: "{}", Interval: time.Hour, Timeout: time.Hour}}
			if test.end == nil {
				l.Timeout = time.Second
			}
			b.queue.Put(l)
			b.start(t)
			pids := b.pids(t, 1)
			if test.end != nil {
				test.end(t, b)
			}
			job := b.await(t, 1, ended)
			if diff := cmp.Diff([]any{test.exit, test.kind}, []any{job.Exit, job.Failure.Kind}); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			gone(t, pids)
		})
	}
}

func TestAMinionThatEndsHandsItsJobsBack(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Jobs = 2
	b.program(t, "mirror", lingering)
	b.put("up/foo", "up/goo")
	stop := b.start(t)
	pids := append(b.pids(t, 1), b.pids(t, 2)...)
	stop()
	gone(t, pids)
	for _, id := range []core.JobID{1, 2} {
		if diff := cmp.Diff("returned", b.await(t, id, ended).Exit); diff != "" {
			t.Errorf("job %d (-want +got):\n%s", id, diff)
		}
	}
}

func TestOutputSurvivesAnOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.program(t, "mirror", "echo before; cat >/dev/null; while [ ! -e go ]; do sleep 0.01; done; echo after")
	b.put("up/foo")
	b.start(t)
	b.await(t, 1, func(j core.Job) bool { return j.OutputSize > 0 })
	refused := make(chan struct{}, 100)
	b.answerWith(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadGateway)
		refused <- struct{}{}
	})
	if err := os.WriteFile(filepath.Join(b.options.WorkingArea, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-refused
	<-refused
	b.answerWith(nil)
	if diff := cmp.Diff("0", b.await(t, 1, ended).Exit); diff != "" {
		t.Errorf("exit (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("before\nafter\n", b.output(t, 1)); diff != "" {
		t.Errorf("output (-want +got):\n%s", diff)
	}
}

func TestAJobThatWasGivenUpIsStoppedSilently(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.program(t, "mirror", lingering)
	b.put("up/foo")
	b.start(t)
	pids := b.pids(t, 1)
	b.answerWith(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/1.0/job-update" {
			_, _ = w.Write([]byte(`[{"job_id": 1, "kill": true, "stale": true}]`))
			return
		}
		b.inner.ServeHTTP(w, r)
	})
	deadline, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for alive(pids[0]) || alive(pids[1]) {
		sleep(deadline, time.Millisecond)
		if deadline.Err() != nil {
			gone(t, pids)
			return
		}
	}
}

func TestAControllerOfTheOriginalIsServed(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.program(t, "lorry", oursHelp+"echo hello; exit 0\n")
	var given atomic.Bool
	reports := make(chan string, 10)
	b.answerWith(func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		w.Header().Set("Content-Type", "application/json")
		switch {
		case r.URL.Path == "/1.0/give-me-job" && given.Swap(true):
			_, _ = w.Write([]byte(`{"job_id": null}`))
		case r.URL.Path == "/1.0/give-me-job":
			_, _ = w.Write([]byte(`{"job_id": 7, "path": "up/foo", "text": "{}", "interval": 60, "lorry_timeout": 60, "generated": 0}`))
		default:
			if exit := r.Form.Get("exit"); exit != "no" {
				reports <- r.Form.Get("job_id") + " " + exit + " " + r.Form.Get("stdout")
			}
			_, _ = w.Write([]byte(`{"kill": false, "path": "up/foo"}`))
		}
	})
	b.start(t)
	if diff := cmp.Diff("7 0 hello\n", <-reports); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatMakesWorkImpossibleIsTold(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.LorryCmd = "/no/such/lorry"
	if err := Run(t.Context(), b.options); core.KindOf(err) != core.KindUnavailable || !strings.Contains(err.Error(), "/no/such/lorry") {
		t.Errorf("want an error that names the program, got %v", err)
	}
	first, err := openArea(b.options.WorkingArea)
	if err != nil {
		t.Fatal(err)
	}
	defer first.close()
	err = Run(t.Context(), b.options)
	var known *core.Error
	if !errors.As(err, &known) || known.Kind != core.KindConflict || !strings.Contains(known.Fact, strconv.Itoa(os.Getpid())) {
		t.Errorf("want an error that names the owner, got %v", err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	b.options.WorkingArea = file
	if err := Run(t.Context(), b.options); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("want an error for a file as working area, got %v", err)
	}
}

func TestLeftOversAreSweptAtTheStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old := filepath.Join(dir, privateName, "specs", "old.lorry")
	if err := os.MkdirAll(filepath.Dir(old), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(old, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	a, err := openArea(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("want %s gone, got %v", old, err)
	}
}

func TestTooMuchOutputIsCutAndSaidSo(t *testing.T) {
	t.Parallel()
	var o output
	line := strings.Repeat("ä", 500) + "\n"
	for range 2 * maxKept / len(line) {
		if _, err := o.Write([]byte(line)); err != nil {
			t.Fatal(err)
		}
	}
	var all strings.Builder
	for !o.empty() {
		part := o.take()
		if len(part) > maxChunk+100 || strings.ToValidUTF8(part, "") != part {
			t.Fatalf("part of %d bytes is too long or cuts a character", len(part))
		}
		all.WriteString(part)
	}
	if !strings.HasPrefix(all.String(), "[… ") || all.Len() > maxKept+100 {
		t.Errorf("want at most %d bytes behind a note, got %d: %.40q", maxKept, all.Len(), all.String())
	}
}

func TestTheEnvironmentHoldsNoSettingsOfOurs(t *testing.T) {
	t.Parallel()
	got := environment([]string{
		"PATH=/bin", "LORRY_TOKEN=s", "https_proxy=p", "AWS_SECRET=x", "LC_ALL=C", "GIT_DIR=/x", "HOME=/h",
	})
	want := []string{"PATH=/bin", "https_proxy=p", "LC_ALL=C", "HOME=/h"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
