package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCvsVendors: master has what a checkout of the trunk gives while a vendor
// imports and others change files, whether it is imported after each change or
// once at the end.
func TestCvsVendors(t *testing.T) {
	t.Parallel()
	w := newCvsWorld(t)
	vendor := filepath.Join(w.dir, "vendor")
	if err := os.MkdirAll(filepath.Join(vendor, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	day := 0
	later := func() {
		t.Helper()
		day++
		w.at(day)
	}
	imports := func(release string, files map[string]string) {
		t.Helper()
		for name, text := range files {
			if err := os.WriteFile(filepath.Join(vendor, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		w.cvs(vendor, "import", "-I!", "-m", "import of "+release, "mod", "VENDOR", release)
		w.cvs(w.checkout, "update", "-d")
		later()
	}
	compare := func(what string) {
		t.Helper()
		w.mustRun()
		there, here := w.export(what)
		if diff := cmp.Diff(there, here); diff != "" {
			t.Fatalf("after %s (-cvs +git): %s\n%s", what, diff, w.out)
		}
	}
	w.commit("own", "one\n", "a file of our own")
	later()
	imports("V1", map[string]string{"a": "one\n", "b": "one\n", "sub/c": "one\n", "own": "theirs\n"})
	compare("the first import")
	first := w.down.Mirrored()
	w.commit("b", "ours\n", "changed here")
	later()
	compare("a change")
	// The clock of the server, by which it has a date, is years behind ours.
	if !strings.Contains(w.out.String(), ".. adding 1 revisions") {
		t.Errorf("it was not added to what was there:\n%s", w.out)
	}
	imports("V2", map[string]string{"a": "two\n", "b": "two\n", "sub/d": "one\n"})
	compare("the second import")
	w.commit("a", "one\n", "as it was at first")
	w.cvs(w.checkout, "tag", "all")
	later()
	compare("a change back")
	imports("V3", map[string]string{"a": "three\n", "sub/c": "two\n", "own": "more\n"})
	w.cvs(w.checkout, "remove", "-f", "sub/d")
	w.cvs(w.checkout, "commit", "-m", "away", "sub/d")
	later()
	compare("the third import")
	got := strings.Split(w.down.Git("log", "--first-parent", "--format=%s", "master"), "\n")
	want := []string{"away", "import of V3", "as it was at first", "import of V2", "Initial revision", "changed here", "Initial revision", "a file of our own"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if !strings.Contains(w.out.String(), ".. 2 commits of vendors' imports are put onto master") {
		t.Errorf("it is not told:\n%s", w.out)
	}
	if _, err := w.down.Try("merge-base", "--is-ancestor", first["refs/heads/master"], "master"); err != nil {
		t.Error("what was mirrored at first is no part of master any more")
	}
	if got := w.down.Git("ls-tree", "-r", "--name-only", "all"); w.down.Git("rev-parse", "all") != w.down.Git("rev-parse", "master~2") {
		t.Errorf("the tag is at no commit of master: %s", got)
	}
	before := w.down.Mirrored()
	w.lose(".")
	w.mustRun()
	if diff := cmp.Diff(before, w.down.Mirrored()); diff != "" {
		t.Errorf("one import differs from several: %s", diff)
	}
	// An admin makes the vendor's branch the default one again.
	path := filepath.Join(w.root, "mod", "a,v")
	text, err := os.ReadFile(path)
	if err == nil {
		err = os.Remove(path) // it is for reading alone
	}
	if err == nil {
		err = os.WriteFile(path, []byte(strings.Replace(string(text), "\naccess", "\nbranch 1.1.1;\naccess", 1)), 0o444)
	}
	if err != nil {
		t.Fatal(err)
	}
	w.opts.Spec.Refspecs = []string{"+refs/heads/*", "+refs/tags/*"}
	compare("cvs admin -b")
	if got := w.down.Git("show", "master:a"); got != "three" {
		t.Errorf("got %q", got)
	}
}

// at moves what was committed just now to a day of long ago.
func (w *cvsWorld) at(day int) {
	w.t.Helper()
	w.redate(func(at time.Time) time.Time {
		if at.Year() < 2020 {
			return at
		}
		return time.Date(2010, 1, day, 12, 0, 0, 0, time.UTC)
	})
}

// export gives what a checkout of the trunk gives, and what master has.
func (w *cvsWorld) export(name string) (there, here map[string]string) {
	w.t.Helper()
	name = strings.ReplaceAll(name, " ", "-")
	dir, git := filepath.Join(w.dir, "exports", name), filepath.Join(w.dir, "exports", name+".git")
	for _, d := range []string{dir, git} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			w.t.Fatal(err)
		}
	}
	w.cvs(dir, "checkout", "mod")
	if out, err := w.down.Try("--work-tree="+git, "checkout", "-q", "-f", "master", "--", "."); err != nil {
		w.t.Fatal(out, err)
	}
	there = files(w.t, filepath.Join(dir, "mod"))
	for path := range there {
		if strings.HasPrefix(path, "CVS/") || strings.Contains(path, "/CVS/") {
			delete(there, path)
		}
	}
	return there, files(w.t, git)
}
