package importer

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// TestBzrTagsThatMeet: tags whose names git takes for one, does not take, or
// cannot hold beside each other all arrive, and it is said how they are called.
func TestBzrTagsThatMeet(t *testing.T) {
	t.Parallel()
	w, trunk, side := bzrWorld(t)
	first, second := bzr(t, trunk, "revision-info", "-r1"), bzr(t, trunk, "revision-info", "-r2")
	_, first, _ = strings.Cut(first, " ")
	_, second, _ = strings.Cut(second, " ")
	plant := func(dir string, tags map[string]string) {
		t.Helper()
		text := "d" // in Bazaar's own form
		for _, tag := range slices.Sorted(maps.Keys(tags)) {
			text += fmt.Sprintf("%d:%s%d:%s", len(tag), tag, len(tags[tag]), tags[tag])
		}
		if err := os.WriteFile(filepath.Join(dir, ".bzr", "branch", "tags"), []byte(text+"e"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	plant(trunk, map[string]string{"v 1": first, "v_1": second, "rel": first, "rel/1": second, ".h/x": first, "x.lock/y": first, "a//b": second})
	plant(side, map[string]string{"rel/2": first, "own": second})
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Branches: branches("trunk", trunk, "side", side)}
	w.mustRun()
	got := w.down.Mirrored()
	one, two := got["refs/tags/rel"], got["refs/heads/trunk"]
	want := map[string]string{
		"refs/heads/trunk": two, "refs/heads/side": got["refs/heads/side"], "refs/tags/v_1": two, "refs/tags/v_1-b538e042": one, "refs/tags/rel": one,
		"refs/tags/rel_1": two, "refs/tags/_h/x": one, "refs/tags/x_/y": one, "refs/tags/a/b": two, "refs/tags/own": two,
	}
	if diff := cmp.Diff(want, got); diff != "" || one == two || one == "" {
		t.Error(diff)
	}
	for _, line := range []string{"the tag rel/1 becomes rel_1", "the tag v 1 becomes v_1-", "the tag rel/2 of side is left out"} {
		if !strings.Contains(w.out.String(), line) {
			t.Errorf("%q is not said:\n%s", line, w.out)
		}
	}
	if again := w.mustRun(); !again.Unchanged {
		t.Errorf("got %+v", again)
	}
}

// TestBzrLastTagGoes: a branch whose only tag was deleted has none here, too.
func TestBzrLastTagGoes(t *testing.T) {
	t.Parallel()
	w, trunk, _ := bzrWorld(t)
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Prune: true, Access: core.Access{URL: trunk}}
	w.mustRun()
	bzr(t, trunk, "tag", "-q", "--delete", "v 1")
	w.mustRun()
	if diff := cmp.Diff([]string{"refs/heads/trunk"}, refNames(w.down.Mirrored())); diff != "" {
		t.Error(diff)
	}
}
