package importer

import (
	"slices"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// TestWhatThePushTakesIsKept: whatever the mirror loses by force or by pruning
// is in the working area afterwards, whoever brought it there.
func TestWhatThePushTakesIsKept(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(w *world) // what happens between two jobs
		ref    string         // whose tip must be kept
	}{
		"forced from a new working copy": {func(w *world) {
			w.lose(".")
			w.up.Rewrite("refs/heads/next", "another history")
		}, "refs/heads/next"},
		"somebody's commit on top": {func(w *world) {
			w.down.Commit("refs/heads/next", "somebody's")
			w.up.Commit("refs/heads/next", "ours")
		}, "refs/heads/next"},
		"pruned from a new working copy": {func(w *world) {
			w.lose("group_thing/git")
			w.up.Git("update-ref", "-d", "refs/heads/next")
		}, "refs/heads/next"},
		"a tag moved": {func(w *world) {
			w.lose(".")
			w.up.Git("update-ref", "refs/tags/v1", "refs/heads/next")
		}, "refs/tags/v1"},
		"its name here belongs to another ref": {func(w *world) {
			w.lose(".")
			w.up.Git("update-ref", "-d", "refs/heads/next")
			w.up.Rewrite("refs/heads/next", "another history")
			w.up.Commit("refs/heads/next", "and more")
		}, "refs/heads/next"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Spec.Refspecs, w.opts.Spec.Prune = []string{"+refs/heads/*", "+refs/tags/*"}, true
			w.up.Commit("refs/heads/next", "only there")
			w.mustRun()
			test.change(w)
			old := w.down.Refs()[test.ref]
			w.mustRun()
			w.mustEqual()
			var kept []string
			for _, object := range w.area().Refs("refs/lorry/kept/") {
				kept = append(kept, object)
			}
			if !slices.Contains(kept, old) || len(kept) != 1 {
				t.Errorf("the old tip %s is not alone in %v\n%s", old, kept, w.out)
			}
			w.area().Fsck()
		})
	}
}

// TestKeptAnewWhenTaken: a rewrite that waited for its approval longer than old
// tips are kept is one from the day on which it is sent.
func TestKeptAnewWhenTaken(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	forward := w.later()
	w.opts.Upkeep.KeepRewritten = 30 * 24 * time.Hour
	old := w.up.Commit("refs/heads/next", "only there")
	w.mustRun()
	w.up.Rewrite("refs/heads/next", "another history")
	held := w.mustFail(core.FailDiverged)
	forward(40 * 24 * time.Hour)
	for _, r := range held.Refs {
		w.opts.Request.Approved = append(w.opts.Request.Approved, protocol.Approval{Ref: r.Ref, Old: r.Old, New: r.New})
	}
	w.mustRun()
	w.mustEqual()
	for _, object := range w.area().Refs("refs/lorry/kept/heads/next/") {
		if object == old {
			return
		}
	}
	t.Errorf("%s is not kept\n%s", old, w.out)
}

// TestApprovalIsForWhatWasSeen: an admin who lets a rewrite through has not said
// that what somebody else pushed meanwhile may go too.
func TestApprovalIsForWhatWasSeen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun()
	w.up.Rewrite("refs/heads/main", "another history")
	held := w.mustFail(core.FailDiverged).Refs[0]
	approve := func(r core.RefResult) {
		w.opts.Request.Approved = []protocol.Approval{{Ref: r.Ref, Old: r.Old, New: r.New}}
	}
	approve(held)
	theirs := w.down.Commit("refs/heads/main", "somebody's")
	again := w.mustFail(core.FailDiverged)
	if w.down.Refs()["refs/heads/main"] != theirs {
		t.Fatal("somebody's commit was overwritten")
	}
	if len(again.Refs) != 1 || again.Refs[0].Old != theirs || again.Refs[0].Status != core.RefHeld {
		t.Fatalf("got %+v", again.Refs)
	}
	// Nor for what upstream made of it since.
	approve(again.Refs[0])
	w.up.Rewrite("refs/heads/main", "yet another history")
	moved := w.mustFail(core.FailDiverged).Refs[0]
	approve(moved)
	w.mustRun()
	w.mustEqual()
}
