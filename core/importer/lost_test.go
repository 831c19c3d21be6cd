package importer

import (
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestLostWorkingCopyOfConverters: what is converted a second time gives the
// commits of the first time, so that nothing is pushed, and goes on from there.
func TestLostWorkingCopyOfConverters(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) (w *world, more func(string)){
		"svn": func(t *testing.T) (*world, func(string)) {
			if _, err := exec.Command("git", "svn", "--version").Output(); err != nil {
				gittest.Require(t, "git-svn")
			}
			w := newWorld(t)
			url := "file://" + filepath.Join(w.dir, "svn")
			runTool(t, "/", "svnadmin", "create", filepath.Join(w.dir, "svn"))
			runTool(t, "/", "svn", "mkdir", "-q", "-m", "layout", url+"/trunk", url+"/branches", url+"/tags")
			runTool(t, "/", "svn", "mkdir", "-q", "-m", "a branch", url+"/branches/b")
			w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Svn, Access: core.Access{URL: url}}
			return w, func(what string) { runTool(t, "/", "svn", "mkdir", "-q", "-m", what, url+"/trunk/"+what) }
		},
		"hg": func(t *testing.T) (*world, func(string)) {
			w := newWorld(t)
			dir := filepath.Join(w.dir, "hg")
			runTool(t, "/", "hg", "init", dir)
			more := func(what string) {
				runTool(t, dir, "hg", "commit", "-q", "-u", "ann", "-m", what, "--config", "ui.allowemptycommit=1")
			}
			more("first")
			runTool(t, dir, "hg", "tag", "-u", "ann", "v1")
			runTool(t, dir, "hg", "branch", "-q", "side")
			more("on a branch")
			runTool(t, dir, "hg", "update", "-q", "default")
			w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Hg, Access: core.Access{URL: "file://" + dir}}
			return w, more
		},
		"cvs": func(t *testing.T) (*world, func(string)) {
			w := newCvsWorld(t)
			w.commit("a", "one\n", "first")
			w.cvs(w.checkout, "tag", "v1")
			w.age(time.Hour)
			return w.world, func(what string) { w.commit("a", what+"\n", what) }
		},
		"bzr": func(t *testing.T) (*world, func(string)) {
			w, trunk, side := bzrWorld(t)
			w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Branches: branches("trunk", trunk, "side", side)}
			return w, func(what string) { bzrCommit(t, trunk, what, what, what) }
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, more := start(t)
			told := w.watch()
			w.mustRun()
			if !told("Converting revisions") && !told("Converting changesets") {
				t.Errorf("how far it was is not told:\n%s", w.out)
			}
			more("second")
			w.mustRun()
			before := w.down.Mirrored()
			w.lose(".")
			if report := w.mustRun(); len(report.Refs) > 0 {
				t.Errorf("got %+v\n%s", report.Refs, w.out)
			}
			if diff := cmp.Diff(before, w.down.Mirrored()) + cmp.Diff(before, w.area().Mirrored()); diff != "" {
				t.Error(diff)
			}
			w.lose("group_thing/git")
			more("third")
			w.mustRun()
			if diff := cmp.Diff(w.area().Mirrored(), w.down.Mirrored()); diff != "" || cmp.Equal(before, w.down.Mirrored()) {
				t.Errorf("%v: %s", w.down.Mirrored(), diff)
			}
			w.down.Fsck()
		})
	}
}

// watch collects structured progress. It gives what reports whether a step of
// that name was told, with how much there is to do.
func (w *world) watch() (told func(phase string) bool) {
	var mutex sync.Mutex
	done := make(map[string]bool)
	w.opts.Progress = func(p protocol.Progress) {
		mutex.Lock()
		defer mutex.Unlock()
		done[p.Phase] = done[p.Phase] || p.Done > 0 && p.Total >= p.Done
	}
	var now atomic.Int64
	now.Store(time.Now().Unix())
	// Whoever asks for the time finds that long enough has passed.
	w.opts.Clock = func() time.Time { return time.Unix(now.Add(1), 0) }
	return func(phase string) bool {
		mutex.Lock()
		defer mutex.Unlock()
		return done[phase]
	}
}
