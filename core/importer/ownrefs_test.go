package importer

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
)

// TestUndoLeavesKeptTips: however wide a refspec is, what undoes a dead run
// takes nothing of what was kept.
func TestUndoLeavesKeptTips(t *testing.T) {
	t.Parallel()
	for _, refspec := range []string{"refs/notes*", "refs/stash", "refs/*"} {
		t.Run(refspec, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Spec.Refspecs = []string{"+refs/heads/*", refspec}
			w.opts.Clock = time.Now
			w.up.Commit("refs/notes/commits", "a note")
			w.up.Git("update-ref", "refs/stash", "refs/heads/main")
			w.run() // git pushes no refs/stash, so that it may fail
			w.up.Rewrite("refs/heads/next", "another history")
			w.run()
			kept := w.area().Refs("refs/lorry/")
			if len(kept) != 1 {
				t.Fatalf("kept are %v", kept)
			}
			before := w.area().Refs("refs/heads", "refs/tags", "refs/notes", "refs/stash")
			w.dieInUpdate(before)
			w.up.Commit("refs/heads/main", "more")
			w.run()
			if diff := cmp.Diff(kept, w.area().Refs("refs/lorry/")); diff != "" {
				t.Errorf("%s\n%s", diff, w.out)
			}
			if w.area().Refs()["refs/heads/half"] != "" {
				t.Error("the dead run's half is still there")
			}
		})
	}
}

// dieInUpdate leaves the working area as a run does that was killed in the
// middle of a change of these refs.
func (w *world) dieInUpdate(refs map[string]string) {
	w.t.Helper()
	a, err := area.Open(w.t.Context(), w.opts.WorkingArea, "group/thing", 0, w.opts.Clock)
	if err != nil {
		w.t.Fatal(err)
	}
	defer a.Close()
	if err := a.Begin(area.State{Head: "refs/heads/main", Refs: refs}); err != nil {
		w.t.Fatal(err)
	}
	w.area().Git("update-ref", "refs/heads/half", "refs/heads/main")
	if _, err := os.Stat(filepath.Join(a.Dir, "refs-before")); err != nil {
		w.t.Fatal(err)
	}
}

// TestEverythingButOurOwn: a refspec for all refs takes neither our own refs
// for upstream's nor upstream's for ours.
func TestEverythingButOurOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Refspecs = []string{"+refs/*:refs/*"}
	w.up.Commit("refs/notes/commits", "a note")
	w.up.Commit("refs/lorry/kept/heads/x/theirs", "upstream is such a working area, too")
	w.mustRun()
	w.up.Rewrite("refs/heads/next", "another history")
	w.mustRun()
	kept := w.area().Refs("refs/lorry/")
	if len(kept) != 1 {
		t.Fatalf("kept are %v", kept)
	}
	for range 3 {
		w.up.Commit("refs/heads/main", "more")
		report := w.mustRun()
		if diff := cmp.Diff(map[string]string{"refs/heads/main": core.RefUpdated}, refStatus(report)); diff != "" {
			t.Error(diff)
		}
	}
	if diff := cmp.Diff(kept, w.area().Refs("refs/lorry/")); diff != "" {
		t.Errorf("%s\n%s", diff, w.out)
	}
	want := w.up.Refs()
	delete(want, "refs/lorry/kept/heads/x/theirs")
	if diff := cmp.Diff(want, w.down.Refs()); diff != "" {
		t.Error(diff)
	}
}
