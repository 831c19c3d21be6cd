package importer

import (
	"os"
	"path/filepath"
	"strings"
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
	for range 2 {
		w.up.Commit("refs/heads/main", "more")
		w.mustRun()
	}
	before["refs/heads/main"] = w.up.Refs()["refs/heads/main"]
	if diff := cmp.Diff(before, w.down.Refs()); diff != "" {
		t.Error(diff)
	}
	if n := strings.Count(w.out.String(), "30 of 34 refs have vanished upstream at once"); n != 2 {
		t.Errorf("it was told %d times, not at each change\n%s", n, w.out)
	}
	// Who means it deletes them, and hears no more of it.
	for ref := range w.down.Refs("refs/heads/b/") {
		w.down.Git("update-ref", "-d", ref)
	}
	w.up.Commit("refs/heads/main", "more")
	told := len(w.out.String())
	w.mustRun()
	w.mustEqual()
	if strings.Contains(w.out.String()[told:], "warning") {
		t.Errorf("still told of: %s", w.out.String()[told:])
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

// TestPruneAsksForTheSource: whether upstream has deleted a ref is asked by its
// name there, and only where its list tells.
func TestPruneAsksForTheSource(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Prune, w.opts.Spec.Refspecs = true, []string{"refs/heads/*:refs/heads/up/*", "refs/notes/*"}
	w.up.Commit("refs/heads/wip", "work")
	w.up.Commit("refs/notes/commits", "a note")
	w.mustRun()
	before := w.down.Refs()
	for _, refspecs := range [][]string{
		{"refs/heads/*:refs/heads/up/*", "^refs/heads/wip"},
		{"refs/heads/main:refs/heads/up/main"},
		{"refs/heads/main"},
	} {
		w.opts.Spec.Refspecs = refspecs
		report := w.mustRun()
		delete(before, "refs/heads/main")
		got := w.down.Refs()
		delete(got, "refs/heads/main")
		if diff := cmp.Diff(before, got); diff != "" {
			t.Errorf("%v: %s%v", refspecs, diff, report.Refs)
		}
	}
	w.opts.Spec.Refspecs = []string{"refs/heads/main:refs/heads/up/main"}
	w.up.Git("update-ref", "-d", "refs/heads/wip")
	w.up.Git("update-ref", "-d", "refs/notes/commits")
	if diff := cmp.Diff(map[string]string{"refs/heads/up/wip": core.RefDeleted}, refStatus(w.mustRun())); diff != "" {
		t.Error(diff)
	}
}

// TestPruneWithAnEarlierRecord: a record that names no sources does for refs
// that have the same names, and prunes nothing where they are renamed.
func TestPruneWithAnEarlierRecord(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ refspec, old string }{
		"the same names": {"refs/heads/*", ""},
		"renamed":        {"refs/heads/*:refs/heads/up/*", "refs/heads/up/next"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Spec.Prune, w.opts.Spec.Refspecs = true, []string{test.refspec}
			w.mustRun()
			record := "lorry refs 1\nHEAD " + w.down.Dir + "\n"
			for ref, object := range w.down.Refs() {
				record += object + " " + ref + "\n"
			}
			if err := os.WriteFile(filepath.Join(w.opts.WorkingArea, "group_thing", "pushed"), []byte(record+"end\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			w.up.Git("update-ref", "-d", "refs/heads/next")
			w.mustRun()
			for ref := range w.down.Refs() {
				if strings.HasSuffix(ref, "/next") && ref != test.old || strings.HasSuffix(ref, "/main") && test.old == ref {
					t.Errorf("%s is there", ref)
				}
			}
			if test.old != "" && w.down.Refs()[test.old] == "" {
				t.Errorf("%s was deleted", test.old)
			}
		})
	}
}

// TestPruneLeavesWhatCouldNotBeHad: upstream still lists a branch that is no
// commit any more, which a new working copy has never seen.
func TestPruneLeavesWhatCouldNotBeHad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Prune = true
	w.mustRun()
	was := w.down.Refs()["refs/heads/next"]
	tag := w.up.Git("rev-parse", "refs/tags/v1")
	if err := os.WriteFile(filepath.Join(w.up.Dir, "refs/heads/next"), []byte(tag+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.up.Commit("refs/heads/main", "goes on")
	for range 2 {
		w.mustFail(core.FailCorrupt)
		if got := w.down.Refs()["refs/heads/next"]; was == "" || got != was {
			t.Errorf("want %q, got %q", was, got)
		}
		if err := os.RemoveAll(w.area().Dir); err != nil {
			t.Fatal(err)
		}
	}
}

// TestPruneLeavesWhatOthersPushed: a ref that was downstream as upstream has it,
// before this Lorry came to push it, is somebody else's.
func TestPruneLeavesWhatOthersPushed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Prune = true
	w.down.Git("fetch", "-q", "--no-tags", w.up.Dir, "refs/heads/next:refs/heads/next")
	w.mustRun()
	if !strings.Contains(w.out.String(), "what upstream has was downstream before the first push (1 refs)") {
		t.Errorf("what a mirror had at its first run is not told\n%s", w.out)
	}
	w.down.Git("update-ref", "refs/heads/release", "refs/heads/main")
	w.up.Git("update-ref", "refs/heads/release", "refs/heads/main")
	w.up.Commit("refs/heads/main", "more")
	w.mustRun()
	w.up.Git("update-ref", "-d", "refs/heads/release")
	w.up.Git("update-ref", "-d", "refs/heads/next")
	if diff := cmp.Diff(map[string]string{"refs/heads/next": core.RefDeleted}, refStatus(w.mustRun())); diff != "" {
		t.Errorf("%s\n%s", diff, w.out)
	}
	if w.down.Refs()["refs/heads/release"] == "" {
		t.Error("somebody else's branch was deleted")
	}
}
