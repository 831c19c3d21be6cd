package importer

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestPruneDeletesOnlyItsOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.up.Commit("refs/heads/old", "will go")
	w.up.Commit("refs/heads/changed", "will go, but was changed downstream")
	w.mustRun()
	own := w.down.Commit("refs/heads/ours", "local work")
	changed := w.down.Commit("refs/heads/changed", "local work as well")
	w.up.Git("update-ref", "-d", "refs/heads/old")
	w.up.Git("update-ref", "-d", "refs/heads/changed")
	if w.mustRun(); w.down.Refs()["refs/heads/old"] == "" {
		t.Fatal("a ref was deleted though prune is off")
	}
	w.opts.Spec.Prune = true
	w.up.Commit("refs/heads/main", "more")
	report := w.mustRun()
	want := map[string]string{"refs/heads/main": "updated", "refs/heads/old": "deleted"}
	if diff := cmp.Diff(want, refStatus(report)); diff != "" {
		t.Error(diff)
	}
	expected := w.up.Mirrored()
	expected["refs/heads/ours"], expected["refs/heads/changed"] = own, changed
	if diff := cmp.Diff(expected, w.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
}

func TestPruneDoesNotFollowAShortListing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Prune = true
	w.up.Branches(30, "many")
	w.mustRun()
	before := w.down.Refs()
	for ref := range w.up.Refs("refs/heads/b/") {
		w.up.Git("update-ref", "-d", ref)
	}
	w.mustRun()
	if diff := cmp.Diff(before, w.down.Refs()); diff != "" {
		t.Error(diff)
	}
}

func TestPruneOfTheDownstreamHeadIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Prune = true
	w.mustRun()
	w.up.Git("symbolic-ref", "HEAD", "refs/heads/next")
	w.up.Git("update-ref", "-d", "refs/heads/main")
	report := w.mustFail(core.FailRefused)
	if report.Head != "refs/heads/next" || refStatus(report)["refs/heads/main"] != core.RefRejected {
		t.Errorf("got %+v", report)
	}
	w.down.Git("symbolic-ref", "HEAD", "refs/heads/next") // what the core does with the report
	w.mustRun()
	w.mustEqual()
}

// TestNarrowerRefspecsPruneNothing: what upstream still has was not deleted
// there, whatever the specification names now.
func TestNarrowerRefspecsPruneNothing(t *testing.T) {
	t.Parallel()
	for name, refspecs := range map[string][]string{
		"one branch": {"refs/heads/main"},
		"left out":   {"refs/heads/*", "refs/tags/*", "^refs/heads/next"},
		"misspelt":   {"refs/heads/m*", "refs/heads/nxet"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Spec.Prune = true
			w.mustRun()
			before := w.down.Mirrored()
			w.opts.Spec.Refspecs = refspecs
			w.mustRun()
			if diff := cmp.Diff(before, w.down.Mirrored()); diff != "" {
				t.Errorf("%s\n%s", diff, w.out)
			}
			w.up.Git("update-ref", "-d", "refs/heads/next")
			w.mustRun()
			if w.down.Refs()["refs/heads/next"] != "" {
				t.Errorf("what upstream deleted is still there\n%s", w.out)
			}
		})
	}
}
