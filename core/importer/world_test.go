package importer

import (
	"bytes"
	"context"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// world is an upstream, a downstream and a working area.
type world struct {
	t        *testing.T
	dir      string
	up, down *gittest.Repo
	opts     Options
	out      *syncBuffer
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newWorld(t *testing.T) *world {
	t.Helper()
	gittest.Require(t, "git")
	dir := t.TempDir()
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home"), Grace: time.Second, LowSpeedTime: 2 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	reader := lsrefs.NewReader(git)
	t.Cleanup(reader.Close)
	w := &world{t: t, dir: dir, out: &syncBuffer{}}
	w.up = gittest.Seed(t, filepath.Join(dir, "up", "thing.git"))
	w.down = gittest.NewRepo(t, filepath.Join(dir, "down", "group", "thing.git"))
	w.opts = Options{
		WorkingArea: filepath.Join(dir, "work"), Git: git, Reader: reader, Out: w.out, LockWait: 5 * time.Second,
		Spec: spec.Spec{Name: "group/thing", Type: spec.Git, Access: core.Access{URL: w.up.Dir}},
		Request: &protocol.ImportRequest{
			Path: "group/thing", Push: &protocol.Access{URL: w.down.Dir}, FileRoots: []string{dir},
		},
	}
	return w
}

func (w *world) run() protocol.ImportReport {
	w.t.Helper()
	return w.runIn(w.t.Context())
}

func (w *world) runIn(ctx context.Context) protocol.ImportReport { return Run(ctx, w.opts) }

// mustRun imports and expects success.
func (w *world) mustRun() protocol.ImportReport {
	w.t.Helper()
	report := w.run()
	if report.Exit != ExitDone {
		w.t.Fatalf("exit %d: %+v\n%s", report.Exit, report.Failure, w.out)
	}
	return report
}

// mustFail imports and expects a failure of the given kind.
func (w *world) mustFail(kind core.FailureKind) protocol.ImportReport {
	w.t.Helper()
	report := w.run()
	if report.Exit == ExitDone || report.Failure.Kind != kind {
		w.t.Fatalf("want failure %q, got exit %d: %+v\n%s", kind, report.Exit, report.Failure, w.out)
	}
	if report.Failure.Cause == "" {
		w.t.Errorf("the failure %q has no cause", kind)
	}
	if report.Digest != "" {
		w.t.Errorf("a failure came with the digest %q", report.Digest)
	}
	return report
}

// mustEqual compares branches and tags on both sides and checks them.
func (w *world) mustEqual() {
	w.t.Helper()
	if diff := cmp.Diff(w.up.Mirrored(), w.down.Mirrored()); diff != "" {
		w.t.Errorf("upstream and downstream differ (-up +down):\n%s\n%s", diff, w.out)
	}
	w.down.Fsck()
}

func (w *world) area() *gittest.Repo {
	return gittest.OpenRepo(w.t, filepath.Join(w.opts.WorkingArea, "group_thing", "git"))
}

func refStatus(report protocol.ImportReport) map[string]string {
	m := make(map[string]string)
	for _, r := range report.Refs {
		m[r.Ref] = r.Status
	}
	return m
}
