package importer

import (
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func TestFirstImportAndUpdates(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := w.mustRun()
	w.mustEqual()
	want := map[string]string{"refs/heads/main": "new", "refs/heads/next": "new", "refs/tags/light": "new", "refs/tags/v1": "new"}
	if diff := cmp.Diff(want, refStatus(report)); diff != "" {
		t.Error(diff)
	}
	if report.Unchanged || report.Digest == "" || report.Head != "refs/heads/main" || report.DiskUsage == 0 {
		t.Errorf("got %+v", report)
	}

	if got := w.area().Git("config", "--local", "--list"); strings.Contains(got, "remote") || !strings.Contains(got, "core.bare=true") {
		t.Errorf("the working area's configuration is\n%s", got)
	}
	again := w.mustRun()
	if !again.Unchanged || again.Digest != report.Digest || len(again.Refs) > 0 {
		t.Errorf("second run: got %+v", again)
	}

	w.up.Commit("refs/heads/main", "more")
	w.up.Commit("refs/heads/topic/a", "a topic")
	third := w.mustRun()
	w.mustEqual()
	want = map[string]string{"refs/heads/main": "updated", "refs/heads/topic/a": "new"}
	if diff := cmp.Diff(want, refStatus(third)); diff != "" {
		t.Error(diff)
	}
	if third.Unchanged || third.Digest == report.Digest {
		t.Errorf("third run: got %+v", third)
	}
	w.area().Fsck()
}

func TestSameDigestMeansNoWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.mustRun()
	w.opts.Request.Digest = first.Digest
	w.down.Git("update-ref", "-d", "refs/heads/next") // nobody looks
	second := w.mustRun()
	if !second.Unchanged || second.Digest != first.Digest || second.Head != "refs/heads/main" {
		t.Errorf("got %+v", second)
	}
	if w.down.Refs()["refs/heads/next"] != "" {
		t.Error("downstream was touched")
	}
	if looked, same := Look(t.Context(), w.opts); !same || !cmp.Equal(second, looked) {
		t.Errorf("want %+v, got %+v", second, looked)
	}
	w.opts.Spec.Refspecs = []string{"+refs/heads/*"}
	if _, same := Look(t.Context(), w.opts); same {
		t.Error("another policy looks the same")
	}
	if third := w.mustRun(); third.Digest == first.Digest {
		t.Error("another policy has the same digest")
	}
	if w.down.Refs()["refs/heads/next"] == "" {
		t.Error("another policy was not pushed")
	}
}

func TestRewriteWithoutForceIsHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun()
	before := w.down.Refs()
	w.up.Rewrite("refs/heads/main", "another history")
	w.up.Git("update-ref", "refs/tags/light", "refs/heads/main")
	fresh := w.up.Commit("refs/heads/next", "ordinary")

	report := w.mustFail(core.FailDiverged)
	want := map[string]string{"refs/heads/main": "held", "refs/tags/light": "held", "refs/heads/next": "updated"}
	if diff := cmp.Diff(want, refStatus(report)); diff != "" {
		t.Error(diff)
	}
	maps.Copy(before, map[string]string{"refs/heads/next": fresh})
	if diff := cmp.Diff(before, w.down.Refs()); diff != "" {
		t.Error(diff)
	}

	w.opts.Request.Rewrites = core.RewriteRefuse
	if got := refStatus(w.mustFail(core.FailDiverged)); got["refs/heads/main"] != core.RefRejected {
		t.Errorf("got %v", got)
	}
	w.opts.Request.Rewrites = core.RewriteForce
	if got := refStatus(w.mustRun()); got["refs/heads/main"] != core.RefForced {
		t.Errorf("got %v", got)
	}
	w.mustEqual()
}

func TestRewriteWithForceKeepsTheOldTip(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec = spec.Generated(core.Access{URL: w.up.Dir})
	w.opts.Spec.Name = "group/thing"
	w.mustRun()
	old := w.up.Refs()["refs/heads/main"]
	w.up.Git("update-ref", "-d", "refs/heads/next")
	w.up.Git("update-ref", "-d", "refs/tags/v1")
	w.up.Git("update-ref", "-d", "refs/tags/light")
	w.up.Rewrite("refs/heads/main", "another history")
	report := w.mustRun()
	if diff := cmp.Diff(map[string]string{"refs/heads/main": "forced"}, refStatus(report)); diff != "" {
		t.Error(diff)
	}
	// What vanished upstream is gone from the working area, kept in it by
	// another name, and still there downstream.
	if diff := cmp.Diff(w.up.Mirrored(), w.area().Mirrored()); diff != "" {
		t.Error(diff)
	}
	kept := w.area().Refs("refs/lorry/kept/")
	found := false
	for ref, object := range kept {
		found = found || strings.HasPrefix(ref, "refs/lorry/kept/heads/main/") && object == old
	}
	if !found || len(kept) < 3 {
		t.Errorf("old tip %s of main is not among %v", old, kept)
	}
	if w.down.Refs()["refs/heads/next"] == "" || w.down.Refs()["refs/tags/v1"] == "" {
		t.Error("refs were removed downstream")
	}
	if got := w.down.Refs("refs/lorry"); len(got) > 0 {
		t.Errorf("own refs were pushed: %v", got)
	}
}

func TestOwnBranchesDownstreamStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Refspecs = []string{"+refs/heads/*", "+refs/tags/*"}
	w.mustRun()
	own := w.down.Commit("refs/heads/ours/branch", "local work")
	w.up.Commit("refs/heads/main", "more")
	w.mustRun()
	if got := w.down.Refs()["refs/heads/ours/branch"]; got != own {
		t.Errorf("want %s, got %q", own, got)
	}
}

func TestDirectoryAndFileChangePlaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.up.Commit("refs/heads/a/b", "in a directory")
	w.up.Commit("refs/heads/c", "a file")
	w.opts.PullOnly = true
	w.mustRun()
	w.up.Git("update-ref", "-d", "refs/heads/a/b")
	w.up.Git("update-ref", "-d", "refs/heads/c")
	w.up.Commit("refs/heads/a", "now a file")
	w.up.Commit("refs/heads/c/d", "now in a directory")
	w.mustRun()
	if diff := cmp.Diff(w.up.Mirrored(), w.area().Mirrored()); diff != "" {
		t.Error(diff)
	}
}

func TestUpstreamSuddenlyEmptyChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun()
	before, area := w.down.Refs(), w.area().Refs()
	for ref := range w.up.Refs() {
		w.up.Git("update-ref", "-d", ref)
	}
	w.mustFail(core.FailEmpty)
	if diff := cmp.Diff(before, w.down.Refs()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(area, w.area().Refs()); diff != "" {
		t.Error(diff)
	}
}

func TestRefspecs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		refspecs []string
		ignore   []string
		want     []string
		fail     core.FailureKind
	}{
		{name: "names", refspecs: []string{"main", "no-such-branch"}, want: []string{"refs/heads/main"}},
		{name: "tag by name", refspecs: []string{"v1"}, want: []string{"refs/tags/v1"}},
		{name: "renamed", refspecs: []string{"refs/heads/*:refs/heads/upstream/*"}, want: []string{"refs/heads/upstream/main", "refs/heads/upstream/next"}},
		{name: "negative", refspecs: []string{"refs/heads/*", "^refs/heads/n*"}, want: []string{"refs/heads/main"}},
		{name: "only negative", refspecs: []string{"^refs/tags/*"}, want: []string{"refs/heads/main", "refs/heads/next"}},
		{name: "ignored", ignore: []string{"n*", "refs/tags/*"}, want: []string{"refs/heads/main"}},
		{name: "no match", refspecs: []string{"refs/heads/wip-*"}, fail: core.FailEmpty},
		{name: "more than branches", refspecs: []string{"refs/notes/*"}, want: []string{"refs/notes/commits"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.up.Git("notes", "add", "-m", "a note", "refs/heads/main")
			w.opts.Spec.Refspecs, w.opts.Spec.IgnorePatterns = test.refspecs, test.ignore
			if test.fail != "" {
				w.mustFail(test.fail)
				return
			}
			w.mustRun()
			got := []string{}
			for ref := range w.down.Refs() {
				got = append(got, ref)
			}
			less := func(a, b string) bool { return a < b }
			if diff := cmp.Diff(test.want, got, cmpopts.SortSlices(less)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPushByHandMakesTheRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Request = nil
	w.opts.PushBase = "file://" + filepath.Join(w.dir, "by hand")
	w.mustFail(core.FailSpec) // a space
	w.opts.PushBase = "file://" + filepath.Join(w.dir, "hand")
	w.up.Git("symbolic-ref", "HEAD", "refs/heads/next")
	w.mustRun()
	w.mustRun()
	w.down = gittest.OpenRepo(t, filepath.Join(w.dir, "hand", "group", "thing"))
	w.mustEqual()
	if got := w.down.Git("symbolic-ref", "HEAD"); got != "refs/heads/next" {
		t.Errorf("HEAD is %s", got)
	}
}

func TestOtherTypesAreToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Type = "rcs"
	if cause := w.mustFail(core.FailSpec).Failure.Cause; !strings.Contains(cause, `type "rcs" is not supported by this version`) {
		t.Errorf("got %q", cause)
	}
}

func TestManyRewrittenRefs(t *testing.T) {
	t.Parallel()
	const n = 1200
	w := newWorld(t)
	w.opts.Spec.Refspecs = []string{"+refs/heads/*", "+refs/tags/*"}
	w.up.Branches(n, "first")
	w.mustRun()
	var in strings.Builder
	fresh := w.up.Commit("refs/heads/fresh", "another root")
	for ref := range w.up.Refs("refs/heads/b/") {
		in.WriteString("update " + ref + " " + fresh + "\n")
	}
	w.up.Stdin(in.String(), "update-ref", "--stdin")
	report := w.mustRun()
	w.mustEqual()
	forced := 0
	for _, r := range report.Refs {
		if r.Status == core.RefForced {
			forced++
		}
	}
	if kept := len(w.area().Refs("refs/lorry/kept/")); forced != n || kept != n {
		t.Errorf("%d refs were forced and %d old tips kept, of %d", forced, kept, n)
	}
}

func TestPathsOutsideTheRootsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, roots := range [][]string{nil, {filepath.Join(w.dir, "elsewhere")}, {filepath.Join(w.dir, "u")}} {
		w.opts.Request.FileRoots = roots
		w.mustFail(core.FailSpec)
	}
	w.opts.Request.FileRoots = []string{filepath.Join(w.dir, "up")}
	w.mustRun()
}

// Two Lorries whose directories would have the same name are both mirrored,
// each from its own working copy.
func TestTwoNamesThatMeet(t *testing.T) {
	t.Parallel()
	w, other := newWorld(t), newWorld(t)
	other.opts.WorkingArea = w.opts.WorkingArea
	other.opts.Spec.Name, other.opts.Request.Path = "group_thing", "group_thing"
	w.mustRun()
	other.mustRun()
	w.up.Commit("refs/heads/main", "one more here")
	other.up.Commit("refs/heads/next", "one more there")
	for _, each := range []*world{w, other} {
		each.mustRun()
		each.mustEqual()
	}
	if diff := cmp.Diff(w.up.Mirrored(), w.area().Refs("refs/heads/", "refs/tags/")); diff != "" {
		t.Errorf("the first one's working copy (-up +area):\n%s", diff)
	}
}
