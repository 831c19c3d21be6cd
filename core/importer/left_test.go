package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// upBecomes makes upstream another repository: a clone of the whole one, with
// these arguments.
func (w *world) upBecomes(whole *gittest.Repo, args ...string) {
	w.t.Helper()
	if err := os.RemoveAll(w.up.Dir); err != nil {
		w.t.Fatal(err)
	}
	whole.Git(append(append([]string{"clone", "-q", "--mirror"}, args...), "file://"+whole.Dir, w.up.Dir)...)
}

// TestShallowUpstreamIsNoSuccess: git passes over the refs of a shallow
// repository and is content. The mirror would stand still and be called equal.
func TestShallowUpstreamIsNoSuccess(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole := gittest.Seed(t, filepath.Join(w.dir, "whole.git"))
	w.upBecomes(whole)
	w.mustRun()
	for _, more := range []string{"two", "three", "four"} {
		whole.Commit("refs/heads/main", more)
	}
	w.upBecomes(whole, "--depth=2", "--no-single-branch")
	before := w.down.Mirrored()
	failed := w.mustFail(core.FailCorrupt)
	if !strings.Contains(failed.Failure.Cause, "refs/heads/main") || !strings.Contains(failed.Failure.Hint, "shallow") {
		t.Errorf("got %+v", failed.Failure)
	}
	if diff := cmp.Diff(before, w.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
	w.upBecomes(whole)
	w.mustRun()
	w.mustEqual()
}

// TestShallowFromTheBeginning: nothing is made of it, and it heals once
// upstream is whole, even a working copy of an older version.
func TestShallowFromTheBeginning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole := gittest.Seed(t, filepath.Join(w.dir, "whole.git"))
	whole.Commit("refs/heads/main", "more")
	w.upBecomes(whole, "--depth=1")
	for range 2 {
		if failed := w.mustFail(core.FailCorrupt); !strings.Contains(failed.Failure.Hint, "shallow") {
			t.Errorf("got %+v", failed.Failure)
		}
	}
	if err := os.Rename(w.up.Dir, w.area().Dir); err != nil {
		t.Fatal(err)
	}
	w.upBecomes(whole)
	w.mustRun()
	w.mustEqual()
}

// TestHeldRewriteDoesNotStopTheUpkeep: it may wait for months.
func TestHeldRewriteDoesNotStopTheUpkeep(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	forward := w.later()
	w.opts.Upkeep.KeepRewritten = time.Hour
	w.mustRun()
	w.up.Commit("refs/heads/next", "only there")
	w.mustRun()
	w.up.Rewrite("refs/heads/next", "another history")
	w.mustFail(core.FailDiverged)
	for range 13 {
		w.area().Commit("refs/scratch", "another pack")
		w.area().Git("repack", "-q")
	}
	forward(31 * 24 * time.Hour)
	w.mustFail(core.FailDiverged)
	packs, err := filepath.Glob(filepath.Join(w.area().Dir, "objects", "pack", "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Errorf("there are %d packs, %v", len(packs), err)
	}
	if kept := w.area().Refs("refs/lorry/kept/"); len(kept) > 0 {
		t.Errorf("still kept: %v", kept)
	}
	if h, _ := area.ReadHealth(filepath.Join(w.opts.WorkingArea, "group_thing")); w.opts.Clock().Sub(h.Checked) > time.Hour {
		t.Errorf("the next job checks once more: %+v", h)
	}
}

// TestRecordOfTheFuture: what was dated by a clock that was wrong is not
// believed until that time comes.
func TestRecordOfTheFuture(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	forward := w.later()
	forward(365 * 24 * time.Hour)
	w.opts.Request.Digest = w.mustRun().Digest
	forward(-365 * 24 * time.Hour)
	w.down.Git("update-ref", "-d", "refs/heads/next")
	if _, same := Look(t.Context(), w.opts); same {
		t.Error("downstream is not looked at for a year")
	}
	w.mustRun()
	w.mustEqual()
	if _, same := Look(t.Context(), w.opts); !same {
		t.Error("downstream is looked at for ever")
	}
}

// TestReplaceRefsAreOnlyRefs: an upstream that has an object replaced, by itself
// at that, neither hides what is pushed nor stops the push.
func TestReplaceRefsAreOnlyRefs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Refspecs = []string{"+refs/*"}
	tip := w.up.Refs()["refs/heads/main"]
	w.up.Git("update-ref", "refs/replace/"+tip, tip)
	w.mustRun()
	w.up.Git("--no-replace-objects", "update-ref", "refs/heads/more", w.up.Git("--no-replace-objects", "commit-tree", "-p", tip, "-m", "more", tip+"^{tree}"))
	w.mustRun()
	if diff := cmp.Diff(w.up.Git("--no-replace-objects", "show-ref"), w.down.Git("--no-replace-objects", "show-ref")); diff != "" {
		t.Error(diff)
	}
}
