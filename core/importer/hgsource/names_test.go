package hgsource

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestNamesThatMeet: branches, tags and bookmarks whose names git takes for one,
// or that it cannot hold beside each other, all arrive, and it is said how they
// are called.
func TestNamesThatMeet(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.write("file", "one\n")
	m.commit("ann", "first")
	for _, name := range []string{"a/b", "a", "x y", "x_y", "master", "blank\u00a0s"} {
		m.hg("branch", "-q", "--", name)
		m.write("on", name)
		m.commit("ann", "on "+name)
	}
	m.hg("update", "-q", "-C", "0")
	nodes := strings.Fields(m.hg("log", "-r", "0:1", "-T", "{node} "))
	m.write(".hgtags", nodes[0]+" v 1\n"+nodes[1]+" v_1\n"+nodes[0]+" rel\n"+nodes[1]+" rel/1\n")
	m.commit("ann", "tags")
	m.hg("bookmark", "-q", "-r", "1", "x_y/mark")
	m.hg("bookmark", "-q", "-r", "1", "mark/1")
	m.source.Bookmarks = true
	res := m.mustUpdate(m.source)
	subjects := map[string]string{}
	for ref := range m.git.Mirrored() {
		subjects[ref] = m.git.Git("log", "-1", "--format=%s", ref)
	}
	want := map[string]string{
		master: "tags", "refs/heads/a": "on a", "refs/heads/a_b": "on a/b", "refs/heads/x_y": "on x_y", "refs/heads/x_y-887fcea6": "on x y",
		"refs/heads/master-fc613b4d": "on master", "refs/heads/blank\u00a0s": "on blank\u00a0s", "refs/heads/mark/1": "on a/b",
		"refs/tags/v_1": "on a/b", "refs/tags/v_1-b538e042": "first", "refs/tags/rel": "first", "refs/tags/rel_1": "on a/b",
	}
	if diff := cmp.Diff(want, subjects); diff != "" {
		t.Error(diff)
	}
	for _, line := range []string{"the branch a/b becomes a_b", "the tag rel/1 becomes rel_1", "the bookmark x_y/mark is left out"} {
		if !strings.Contains(m.out.String(), "warning: "+line) {
			t.Errorf("%q is not said:\n%s", line, &m.out)
		}
	}
	if again := m.mustUpdate(m.source); again.Changed != 0 || again.Upstream.Digest("") != res.Upstream.Digest("") {
		t.Errorf("got %+v", again)
	}
	if out, err := exec.Command("git", "--git-dir="+m.source.Repo.Dir, "for-each-ref", "refs/hg").CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s", err, out)
	}
}
