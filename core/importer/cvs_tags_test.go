package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestCvsTags: a tag has exactly the files that it is on, also where no commit
// ever had these, and the same commit whenever it is converted.
func TestCvsTags(t *testing.T) {
	t.Parallel()
	w := newCvsWorld(t)
	for _, file := range []string{"a", "b", "run me"} {
		w.commit(file, "one\n", "first")
	}
	w.cvs(w.checkout, "tag", "v1")
	w.age(time.Hour)
	w.commit("a", "two\n", "second")
	w.commit("c", "one\n", "second")
	w.age(time.Hour)
	if err := os.Chmod(filepath.Join(w.root, "mod", "run me,v"), 0o555); err != nil {
		t.Fatal(err)
	}
	// A newer file beside older ones; files away; one that was put back.
	w.cvs(w.checkout, "tag", "-r", "v1", "mixed")
	w.cvs(w.checkout, "tag", "-F", "mixed", "a")
	w.cvs(w.checkout, "tag", "-r", "v1", "part", "b", "run me")
	w.cvs(w.checkout, "tag", "whole")
	w.cvs(w.checkout, "tag", "same")
	w.commit("a", "three\n", "third")
	w.cvs(w.checkout, "tag", "-r", "whole", "late")
	w.cvs(w.checkout, "tag", "-F", "-r", "v1", "late", "a")
	w.mustRun()
	got := map[string]string{}
	for _, tag := range []string{"v1", "mixed", "part", "whole", "same", "late"} {
		for line := range strings.SplitSeq(w.down.Git("ls-tree", "-r", "--format=%(objectmode) %(path)", tag), "\n") {
			mode, path, _ := strings.Cut(line, " ")
			got[tag] += path + "=" + strings.TrimSpace(w.down.Git("show", tag+":"+path)) + map[string]string{"100755": "*"}[mode] + " "
		}
	}
	want := map[string]string{
		"v1":    "a=one b=one run me=one* ",
		"mixed": "a=two b=one run me=one* ",
		"part":  "b=one run me=one* ",
		"whole": "a=two b=one c=one run me=one* ",
		"same":  "a=two b=one c=one run me=one* ",
		"late":  "a=one b=one c=one run me=one* ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s\n%s", diff, w.out)
	}
	refs := w.down.Mirrored()
	if refs["refs/tags/whole"] != refs["refs/tags/same"] || w.down.Git("log", "-1", "--format=%an %s", "mixed") != "Lorry CVS Importer Files of the tag mixed" ||
		w.down.Git("log", "-1", "--format=%an", "v1") == "Lorry CVS Importer" {
		t.Errorf("got %v", refs)
	}
	if !strings.Contains(w.out.String(), "3 tags fit no single commit and get one of their own") {
		t.Errorf("it is not said:\n%s", w.out)
	}
	if err := os.RemoveAll(w.opts.WorkingArea); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	if diff := cmp.Diff(refs, w.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
	// What is no revision of any branch with a name cannot be had.
	w.cvs(w.checkout, "tag", "-b", "branch")
	w.cvs(w.checkout, "update", "-r", "branch")
	w.commit("a", "lost\n", "on a branch")
	w.cvs(w.checkout, "tag", "lost")
	w.cvs(w.checkout, "tag", "-d", "-B", "branch")
	w.mustRun()
	if got := w.down.Mirrored()["refs/tags/lost"]; got != "" || !strings.Contains(w.out.String(), "warning: 1 tags cannot be converted and are left out, such as lost") {
		t.Errorf("got %q\n%s", got, w.out)
	}
}
