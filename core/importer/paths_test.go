package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestBelow holds which paths of this machine a job may read, and when a
// directory is told as taken away.
func TestBelow(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := func(name string) string { return dir + "/" + name }
	for _, name := range []string{"root/in.git", "root/in.svn/db", "root/deep", "out/secret", "out/x.git"} {
		if err := os.MkdirAll(at(name), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(at("file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for link, to := range map[string]string{
		"linked": "root", "lost": "nowhere", "root/away": at("out"), "root/nowhere": at("out/later"), "root/suffix.git": at("out/x.git"),
		"root/deep/.git": at("out/x.git"), "root/round": "round", "root/fine": "in.git",
	} {
		if err := os.Symlink(to, at(link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, test := range []struct {
		path, root string
		inside     bool
		missing    string
	}{
		{"root/in.git", "root", true, ""},
		{"root", "root", true, ""},
		{"root/in", "root", true, ""}, // as git finds it
		{"root/fine", "root", true, ""},
		{"root/none", "root", true, ""}, // the program says so better
		{"root/in.svn/trunk/sub", "root", true, ""},
		{"root/in.git", "linked", true, ""},
		{"linked/in.git", "root", true, ""},
		{"linked/in.git", "linked", true, ""},
		{"root/deep/../in.git", "root", true, ""},

		{"gone/in.git", "gone", false, "gone"},
		{"gone", "gone", false, "gone"},
		{"lost/in.git", "lost", false, "lost"},
		{"file/sub/in.git", "file/sub", false, "file/sub"},
		{"root/nowhere/in.git", "root/nowhere", false, "root/nowhere"},

		{"out/secret", "root", false, ""},
		{"out/none", "root", false, ""},
		{"gone/in.git", "root", false, ""},
		{"gone/in.git", "gon", false, ""},
		{"out/secret", "gone", false, ""},
		{"gone/../out/secret", "gone", false, ""},
		{"root/../out/secret", "root", false, ""},
		{"root/none/../../out/secret", "root", false, ""},
		{"root/away/../in.git", "root", false, ""}, // in it only for who does not follow links first
		{"root/away/secret", "root", false, ""},
		{"root/away/none", "root", false, ""},
		{"root/nowhere", "root", false, ""},
		{"root/nowhere/in.git", "root", false, ""},
		{"root/round", "root", false, ""},
		{"root/suffix", "root", false, ""},
		{"root/suffix/", "root", false, ""},
		{"root/deep", "root", false, ""},
	} {
		want := test.missing
		if want != "" {
			want = at(want)
		}
		inside, missing := below(at(test.path), []string{at("other"), at(test.root)})
		if inside != test.inside || missing != want {
			t.Errorf("%s below %s: want %v %q, got %v %q", test.path, test.root, test.inside, want, inside, missing)
		}
	}
}

// TestDirectoryThatWasTakenAway: its Lorries are told as gone, with what to do,
// nothing downstream changes, and they go on when it is back.
func TestDirectoryThatWasTakenAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	root := filepath.Dir(w.up.Dir)
	w.opts.Request.FileRoots = []string{root}
	for _, address := range []string{w.up.Dir, "file://" + w.up.Dir} {
		w.opts.Spec.Access.URL = address
		w.mustRun()
		if err := os.Rename(root, root+"-away"); err != nil {
			t.Fatal(err)
		}
		failure := w.mustFail(core.FailGone).Failure
		if !strings.Contains(failure.Cause, root) || !strings.Contains(failure.Hint, "bring the directory back") {
			t.Errorf("got %+v", failure)
		}
		if err := os.Rename(root+"-away", root); err != nil {
			t.Fatal(err)
		}
		w.mustRun()
		w.mustEqual()
	}
}

// TestDownstreamDirectoryThatWasTakenAway is the same for a Downstream Host on
// this machine: a job of the core's makes no repository of its own accord.
func TestDownstreamDirectoryThatWasTakenAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun()
	root := filepath.Join(w.dir, "down")
	if err := os.Rename(root, root+"-away"); err != nil {
		t.Fatal(err)
	}
	w.up.Commit("refs/heads/main", "one more")
	if failure := w.mustFail(core.FailGone).Failure; !strings.HasPrefix(failure.Cause, "downstream: ") || failure.Hint == "" {
		t.Errorf("got %+v", failure)
	}
	if _, err := os.Lstat(root); err == nil {
		t.Error("the directory was made")
	}
	if err := os.Rename(root+"-away", root); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	w.mustEqual()
}
