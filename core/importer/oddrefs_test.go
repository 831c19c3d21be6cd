package importer

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestBranchesThatAreNoCommit: git keeps such only where somebody wrote the file,
// and takes them from a clone alone. All else is mirrored, at the first import
// and later, and a tag of the same object too.
func TestBranchesThatAreNoCommit(t *testing.T) {
	t.Parallel()
	for _, object := range []string{"refs/tags/v1", "refs/heads/main:file", "refs/heads/main^{tree}"} {
		for _, first := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, first %v", object, first), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				w.up.CommitFile("refs/heads/main", "file", []byte("text"))
				if !first {
					w.mustRun()
				}
				is := w.up.Git("rev-parse", object)
				w.up.Git("update-ref", "refs/tags/same", is)
				for _, name := range []string{"odd", "odder"} {
					if err := os.WriteFile(filepath.Join(w.up.Dir, "refs", "heads", name), []byte(is+"\n"), 0o644); err != nil {
						t.Fatal(err)
					}
				}
				for range 2 {
					w.up.Commit("refs/heads/main", "more")
					want := w.up.Mirrored()
					delete(want, "refs/heads/odd")
					delete(want, "refs/heads/odder")
					failed := w.mustFail(core.FailCorrupt).Failure
					if !strings.Contains(failed.Cause, "refs/heads/odd, whose object") || !strings.Contains(failed.Cause, "no commit") || !strings.Contains(failed.Cause, "1 more") || failed.Hint == "" {
						t.Errorf("got %+v", failed)
					}
					if diff := cmp.Diff(want, w.down.Mirrored()); diff != "" {
						t.Errorf("(-want +down)\n%s\n%s", diff, w.out)
					}
				}
				w.up.Git("update-ref", "refs/heads/odd", "refs/heads/main")
				w.up.Git("update-ref", "-d", "refs/heads/odder")
				w.mustRun()
				w.mustEqual()
			})
		}
	}
}

// TestNamedRefThatIsNotThere: a name in the refspecs that upstream does not have,
// or no more, is told; it keeps nothing else back.
func TestNamedRefThatIsNotThere(t *testing.T) {
	t.Parallel()
	const notes, warning = "refs/notes/commits", "warning: upstream has no refs/notes/commits"
	for _, first := range []bool{false, true} {
		t.Run(fmt.Sprintf("first %v", first), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Spec.Refspecs = []string{"refs/heads/*", "refs/notes/commits"}
			if !first {
				w.up.Git("update-ref", notes, "refs/heads/main")
				w.mustRun()
				w.up.Git("update-ref", "-d", notes)
			}
			for range 2 {
				main := w.up.Commit("refs/heads/main", "more")
				w.mustRun()
				if got := w.down.Refs()["refs/heads/main"]; got != main || !strings.Contains(w.out.String(), warning) {
					t.Errorf("main is %s, want %s:\n%s", got, main, w.out)
				}
			}
			w.up.Git("update-ref", notes, "refs/heads/next")
			w.mustRun()
			if got := w.down.Refs()[notes]; got != w.up.Refs()[notes] {
				t.Errorf("the notes are %q", got)
			}
			// With nothing left that the refspecs name, nothing is done.
			w.up.Git("update-ref", "-d", notes)
			w.opts.Spec.Refspecs = []string{notes}
			w.mustFail(core.FailEmpty)
		})
	}
}

// TestUpstreamNamesItsObjectsAnew: what upstream became by SHA-256 cannot go into
// the mirror, which stays as it is; with another mirror, as the hint says, all is
// well, and so it is on the way back.
func TestUpstreamNamesItsObjectsAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.mustRun()
	anew := func(format string) {
		for _, dir := range []string{w.up.Dir, w.down.Dir} {
			if err := os.Rename(dir, dir+".before-"+format); err != nil {
				t.Fatal(err)
			}
			w.up.Git("init", "-q", "--bare", "--object-format="+format, dir)
		}
		w.up.Commit("refs/heads/main", "anew")
	}
	anew("sha256")
	whole := filepath.Join(w.dir, "whole")
	for _, move := range [][2]string{{w.down.Dir, whole}, {w.down.Dir + ".before-sha256", w.down.Dir}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	before := w.down.Mirrored()
	for range 2 {
		if failed := w.mustFail(core.FailSpec).Failure; !strings.Contains(failed.Hint, "object-format=sha256") {
			t.Errorf("got %+v", failed)
		}
		if diff := cmp.Diff(before, w.down.Mirrored()); diff != "" {
			t.Error(diff)
		}
	}
	for _, move := range [][2]string{{w.down.Dir, w.down.Dir + ".old"}, {whole, w.down.Dir}} {
		if err := os.Rename(move[0], move[1]); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		w.mustRun()
		w.mustEqual()
		w.up.Commit("refs/heads/main", "more")
	}
	anew("sha1")
	w.mustRun()
	w.mustEqual()
}

// TestTwoRefsForOneName: the one that goes nowhere is told by each run that
// changes something, and by no other.
func TestTwoRefsForOneName(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Refspecs = []string{"refs/heads/next:refs/heads/main", "refs/heads/*"}
	const told = "warning: upstream's refs/heads/main is not mirrored: the refspecs bring refs/heads/next to refs/heads/main\n"
	w.mustRun()
	w.mustRun()
	if n := strings.Count(w.out.String(), told); n != 1 {
		t.Errorf("told %d times at first:\n%s", n, w.out)
	}
	next := w.up.Commit("refs/heads/next", "more")
	w.mustRun()
	if n := strings.Count(w.out.String(), told); n != 2 || w.down.Refs()["refs/heads/main"] != next {
		t.Errorf("told %d times, main is %s:\n%s", n, w.down.Refs()["refs/heads/main"], w.out)
	}
	for i := range 12 {
		w.up.Git("update-ref", fmt.Sprintf("refs/heads/up/b%d", i), "refs/heads/main")
		w.up.Git("update-ref", fmt.Sprintf("refs/heads/down/b%d", i), "refs/heads/main")
	}
	w.opts.Spec.Refspecs = []string{"refs/heads/down/*", "refs/heads/up/*:refs/heads/down/*"}
	w.mustRun()
	if !strings.Contains(w.out.String(), "warning: nor are 2 more refs\n") {
		t.Errorf("the rest is not told:\n%s", w.out)
	}
}
