package importer

import (
	"slices"
	"strings"
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

// atPush does something in the moment between reading upstream and pushing.
type atPush struct {
	*syncBuffer
	do func()
}

// Write implements io.Writer.
func (a *atPush) Write(p []byte) (int, error) {
	if a.do != nil && strings.HasPrefix(string(p), ".. pushing") {
		do := a.do
		a.do = nil
		do()
	}
	return a.syncBuffer.Write(p)
}

// TestGhostTurnsNothingBack: a job that was stopped with its machine between
// reading upstream and pushing, while another minion brought something newer,
// does not put what is old over it.
func TestGhostTurnsNothingBack(t *testing.T) {
	t.Parallel()
	for name, newer := range map[string]func(w *world){
		"rewritten": func(w *world) { w.up.Rewrite("refs/heads/next", "the newest history") },
		"more":      func(w *world) { w.up.Commit("refs/heads/next", "on top") },
		"deleted and made again": func(w *world) {
			w.up.Git("update-ref", "-d", "refs/heads/next")
			w.up.Rewrite("refs/heads/next", "anew")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			forward := w.later()
			w.opts.Spec.Refspecs = []string{"+refs/heads/*", "+refs/tags/*"}
			w.mustRun()
			w.up.Rewrite("refs/heads/next", "another history")
			other := w.opts
			other.WorkingArea += "-other"
			ghost := &atPush{syncBuffer: w.out}
			ghost.do = func() {
				forward(3 * time.Minute)
				newer(w)
				if report := Run(t.Context(), other); report.Exit != ExitDone {
					t.Errorf("got %+v", report)
				}
			}
			w.opts.Out = ghost
			w.mustFail(core.FailNetwork)
			w.mustEqual()
			w.mustRun()
			w.mustEqual()
		})
	}
}

// TestSlowJobStillPushes: that time has passed alone says nothing.
func TestSlowJobStillPushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	forward := w.later()
	w.opts.Spec.Refspecs, w.opts.Spec.Prune = []string{"+refs/heads/*", "+refs/tags/*"}, true
	w.mustRun()
	w.up.Rewrite("refs/heads/main", "another history")
	w.up.Git("update-ref", "-d", "refs/heads/next")
	w.opts.Out = &atPush{syncBuffer: w.out, do: func() { forward(time.Hour); w.up.Commit("refs/heads/new", "meanwhile") }}
	w.mustRun()
	w.opts.Out = w.out
	w.mustRun()
	w.mustEqual()
}

// TestRefsThatComeAndGoAreKeptOnce: an upstream that now and then forgets its
// branches does not fill the working area, and the time counts from the last.
func TestRefsThatComeAndGoAreKeptOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	forward := w.later()
	tip := w.up.Commit("refs/heads/next", "only there")
	w.mustRun()
	var last string
	for range 3 {
		w.up.Git("update-ref", "-d", "refs/heads/next")
		w.mustRun()
		kept := w.area().Refs("refs/lorry/kept/heads/next/")
		for ref, object := range kept {
			if len(kept) != 1 || object != tip || ref <= last {
				t.Errorf("after %q: %v", last, kept)
			}
			last = ref
		}
		w.up.Git("update-ref", "refs/heads/next", tip)
		w.mustRun()
		forward(time.Hour)
	}
	w.up.Rewrite("refs/heads/next", "another history")
	w.mustFail(core.FailDiverged)
	w.up.Rewrite("refs/heads/next", "a third one")
	w.mustFail(core.FailDiverged)
	if kept := w.area().Refs("refs/lorry/kept/heads/next/"); len(kept) != 2 {
		t.Errorf("got %v", kept)
	}
}
