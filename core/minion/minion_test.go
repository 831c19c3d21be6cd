package minion

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

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
		Push:     &protocol.Access{URL: "https://git.example.com/up/foo", Username: "lorry", Secret: "s3cret"},
		Progress: true, Interval: 3600,
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

// gone waits for processes that were killed: on a busy machine one may take a
// moment to end.
func gone(t *testing.T, pids []int) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	until := time.Now().Add(10 * time.Second)
	for _, pid := range pids {
		for alive(pid) && time.Now().Before(until) {
			<-tick.C
		}
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
	var said strings.Builder
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
			said.WriteString(r.Form.Get("stdout")) // reports of one job come one after the other
			if exit := r.Form.Get("exit"); exit != "no" {
				reports <- r.Form.Get("job_id") + " " + exit + " " + said.String()
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
