package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// byHand is a world in which lorry runs without a queue.
func byHand(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.opts.Request, w.opts.PushBase = nil, "file://"+filepath.Join(w.dir, "down")
	return w
}

// TestRunByHandRemembers: without a queue too, an upstream that is as it was at
// the last verified push is looked at and left alone, until something else than
// upstream changes.
func TestRunByHandRemembers(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(w *world, forward func(time.Duration)){
		"upstream":        func(w *world, _ func(time.Duration)) { w.up.Commit("refs/heads/main", "new") },
		"a day passes":    func(_ *world, forward func(time.Duration)) { forward(25 * time.Hour) },
		"mirror gone":     func(w *world, _ func(time.Duration)) { _ = os.RemoveAll(w.down.Dir) },
		"another mirror":  func(w *world, _ func(time.Duration)) { w.opts.PushBase += "/second" },
		"specification":   func(w *world, _ func(time.Duration)) { w.opts.Spec.SourceHead = "refs/heads/next" },
		"refspecs":        func(w *world, _ func(time.Duration)) { w.opts.Spec.Refspecs = []string{"refs/heads/*"} },
		"a bundle wanted": func(w *world, _ func(time.Duration)) { w.opts.Export = Export{Bundle: WhenFirst, BundleDir: w.dir} },
		"pull-only":       func(w *world, _ func(time.Duration)) { w.opts.PullOnly = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := byHand(t)
			forward := w.later()
			w.mustRun()
			w.down.Git("update-ref", "-d", "refs/heads/next")
			if report := w.mustRun(); !report.Unchanged || w.down.Refs()["refs/heads/next"] != "" {
				t.Fatalf("the second run did something: %+v\n%s", report, w.out)
			}
			change(w, forward)
			w.mustRun()
			if told := w.out.String(); strings.Count(told, ".. nothing to do") != 1 {
				t.Errorf("the change was not seen:\n%s", told)
			}
		})
	}
}

// TestRunByHandForgetsBeforeItPushes: upstream goes on, one ref is held, and
// upstream comes back to what it was. What was pushed meanwhile is not what was
// there at the last verified push, so that does not count any more.
func TestRunByHandForgetsBeforeItPushes(t *testing.T) {
	t.Parallel()
	w := byHand(t)
	w.mustRun()
	before := w.up.Refs()
	w.up.Commit("refs/heads/next", "goes on")
	w.up.Rewrite("refs/heads/main", "another history")
	w.mustFail(core.FailDiverged)
	for _, ref := range []string{"refs/heads/main", "refs/heads/next"} {
		w.up.Git("update-ref", ref, before[ref])
	}
	if failed := w.mustFail(core.FailDiverged); refStatus(failed)["refs/heads/next"] != core.RefHeld {
		t.Errorf("the mirror was not looked at: %+v", failed)
	}
}

// TestRunByHandMakesTheMirror of the kind that upstream is, and of nothing that
// was somebody else's.
func TestRunByHandMakesTheMirror(t *testing.T) {
	t.Parallel()
	w := byHand(t)
	for _, dir := range []string{w.up.Dir, w.down.Dir} {
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	w.down = gittest.OpenRepo(t, strings.TrimSuffix(w.down.Dir, ".git"))
	gittest.OpenRepo(t, w.dir).Git("init", "-q", "--bare", "-b", "main", "--object-format=sha256", w.up.Dir)
	w.up.Commit("refs/heads/main", "named by SHA-256")
	w.mustRun()
	w.mustEqual()
	if err := os.RemoveAll(w.down.Dir); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{w.down.Dir, filepath.Join(w.down.Dir, "config")} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("my precious"), 0o644); err != nil {
			t.Fatal(err)
		}
		w.up.Commit("refs/heads/main", "more")
		failed := w.run().Failure
		if !failed.Failed() {
			t.Errorf("it was taken for a mirror:\n%s", w.out)
		}
		if file == w.down.Dir && (failed.Kind != core.FailSpec || !strings.Contains(failed.Cause, "is no directory")) {
			t.Errorf("got %+v", failed)
		}
		if text, err := os.ReadFile(file); err != nil || string(text) != "my precious" {
			t.Errorf("%s: now it is %q, %v", file, text, err)
		}
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
	}
}
