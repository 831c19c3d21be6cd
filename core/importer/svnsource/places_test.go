package svnsource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestMovedAsAWhole: what came with a directory that was moved above the url is
// told where git svn does not bring it, and comes with the root as the url. A
// name like those that git svn adds for moved places is a name.
func TestMovedAsAWhole(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, []byte("one"), 0o644); err != nil {
		t.Fatal(err)
	}
	commit := func(args ...string) {
		t.Helper()
		m.tool("svnmucc", append([]string{"-m", args[0], "-U", m.url}, args[1:]...)...)
	}
	commit("begin", "mkdir", "old", "mkdir", "old/trunk", "mkdir", "old/tags", "mkdir", "old/branches", "put", file, "old/trunk/file")
	commit("copies", "cp", "1", "old/trunk", "old/tags/v1", "cp", "1", "old/trunk", "old/branches/y@2")
	commit("move", "mv", "old", "proj")
	commit("change", "put", file, "proj/trunk/more", "put", file, "proj/branches/y@2/more")
	mirrored := map[string]bool{master: true, "refs/heads/y@2": true}
	for _, address := range []string{m.url, apache(t, filepath.Dir(m.dir)) + filepath.Base(m.dir)} {
		source := m.newSource(filepath.Join(t.TempDir(), "work"))
		source.Access.URL = address + "/proj"
		res := m.mustUpdate(source)
		e := gitfail.From(res.Left, gitfail.Upstream)
		if res.Left == nil || e.Kind != core.FailSpec || !strings.Contains(e.Cause, "it has tags/v1, which") || !strings.Contains(e.Hint, `trunk: "proj/trunk"`) {
			t.Errorf("%s: got %v", address, res.Left)
		}
		if diff := cmp.Diff(mirrored, names(gittest.OpenRepo(t, source.Repo.Dir).Mirrored())); diff != "" {
			t.Error(diff)
		}
		if !strings.Contains(m.out.String(), "begins with r3, before which it was at old/trunk") {
			t.Errorf("%s: it is not said what is earlier:\n%s", address, &m.out)
		}
		m.out.Reset()
	}
	m.source.Layout = &spec.Layout{Trunk: "proj/trunk", Branches: "proj/branches/*", Tags: "proj/tags/*"}
	if res := m.mustUpdate(m.source); res.Left != nil {
		t.Error(res.Left)
	}
	mirrored["refs/tags/v1"] = true
	if diff := cmp.Diff(mirrored, names(m.git.Mirrored())); diff != "" {
		t.Error(diff)
	}
	if got := m.git.Git("log", "--format=%s", master) + "\n" + m.git.Git("ls-tree", "--name-only", "refs/tags/v1"); got != "change\nmove\nbegin\nfile" {
		t.Errorf("got %q", got)
	}
	// Once it is mirrored it stays, whatever becomes of it there.
	commit("away", "rm", "proj/branches/y@2")
	m.mustUpdate(m.source)
	if diff := cmp.Diff(mirrored, names(m.git.Mirrored())); diff != "" || strings.Contains(m.out.String(), "begins with") {
		t.Errorf("%s\n%s", diff, &m.out)
	}
}

func TestWildcard(t *testing.T) {
	t.Parallel()
	for pattern, want := range map[string][3]string{
		"branches/*":         {"branches", "*", ""},
		"*":                  {"", "*", ""},
		"a/b/*/c/d":          {"a/b", "*", "c/d"},
		"tags/{v1,v2}":       {"tags", "{v1,v2}", ""},
		"tags/*/*":           {},
		"tags/release-*":     {},
		"tags/*/x/{one,two}": {},
	} {
		left, of, right := wildcard(pattern)
		if got := [3]string{left, of, right}; got != want {
			t.Errorf("%s: want %q, got %q", pattern, want, got)
		}
	}
}
