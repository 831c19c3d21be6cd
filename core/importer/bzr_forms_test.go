package importer

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestBzrStacked: a branch whose older revisions lie in another one is read
// where the other one may be read, too.
func TestBzrStacked(t *testing.T) {
	t.Parallel()
	w, trunk, _ := bzrWorld(t)
	stacked := filepath.Join(w.dir, "bzr", "stacked")
	bzr(t, filepath.Dir(trunk), "branch", "-q", "--stacked", trunk, stacked)
	bzrCommit(t, stacked, "c", "three\n", "third")
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Branches: branches("trunk", trunk, "stacked", stacked)}
	w.mustRun()
	want := w.down.Mirrored()
	if got := w.down.Git("log", "--format=%s", "stacked"); got != "third\nzweite\nÄrger" || w.down.Git("rev-parse", "stacked^") != want["refs/heads/trunk"] {
		t.Errorf("got %s", got)
	}
	// Only its own directory may be read.
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Access: core.Access{URL: stacked}}
	w.opts.Request.FileRoots = []string{stacked}
	if report := w.mustFail(core.FailSpec); !strings.Contains(report.Failure.Cause, "is not its own place") {
		t.Errorf("got %+v", report.Failure)
	}
	// A host names no path of this machine, whatever may be read here.
	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Dir(trunk))))
	defer server.Close()
	w.opts.Request.FileRoots = []string{w.dir}
	w.opts.Spec.Branches, w.opts.Spec.Access = branches("trunk", server.URL+"/trunk", "stacked", server.URL+"/stacked"), core.Access{}
	w.mustFail(core.FailSpec)
	conf := filepath.Join(stacked, ".bzr", "branch", "branch.conf")
	if err := os.WriteFile(conf, []byte("stacked_on_location = ../trunk\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	if diff := cmp.Diff(want, w.down.Mirrored()); diff != "" {
		t.Error(diff)
	}
}

// TestBzrForms: branches of a shared repository, what trees and names can hold,
// tags that differ between branches, ghosts and the format of old times.
func TestBzrForms(t *testing.T) {
	t.Parallel()
	gittest.Require(t, "brz")
	w := newWorld(t)
	shared := filepath.Join(w.dir, "bzr")
	one, two, old := filepath.Join(shared, "one"), filepath.Join(shared, "sub", "zwei ü"), filepath.Join(w.dir, "old")
	bzr(t, w.dir, "init-shared-repo", "-q", shared)
	bzr(t, w.dir, "init", "-q", one)
	bzrCommit(t, one, "crlf.txt", "a\r\nb\r\n", "first")
	bzr(t, one, "tag", "-q", "rel/1 ü")
	bzr(t, one, "tag", "-q", "gone")
	if err := os.Mkdir(filepath.Dir(two), 0o755); err != nil {
		t.Fatal(err)
	}
	bzr(t, one, "branch", "-q", one, two)
	if err := os.Symlink("crlf.txt", filepath.Join(two, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(two, "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	bzr(t, two, "add", "-q")
	if err := os.Chmod(filepath.Join(two, "crlf.txt"), 0o644); err != nil {
		t.Fatal(err)
	}
	bzrCommit(t, two, "run ü", "#!/bin/sh\n", "second")
	bzr(t, two, "tag", "-q", "--force", "rel/1 ü")
	// The format of old times keeps what is to be merged in a file of its own,
	// which can name what nobody has.
	bzr(t, w.dir, "init", "-q", "--format=knit", old)
	bzrCommit(t, old, "a", "one\n", "first")
	if err := os.WriteFile(filepath.Join(old, ".bzr", "checkout", "pending-merges"), []byte("ghost@example.com-2001"), 0o644); err != nil {
		t.Fatal(err)
	}
	bzrCommit(t, old, "b", "two\n", "second, with a ghost")

	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Prune: true, Branches: branches("trunk", one, "rel/zwei-ü", "file://"+shared+"/sub/zwei%20%C3%BC", "old", old)}
	w.mustRun()
	refs := w.down.Mirrored()
	if want := []string{"refs/heads/old", "refs/heads/rel/zwei-ü", "refs/heads/trunk", "refs/tags/gone", "refs/tags/rel/1_ü"}; !cmp.Equal(want, refNames(refs)) {
		t.Fatalf("got %v", refNames(refs))
	}
	if refs["refs/tags/rel/1_ü"] != refs["refs/heads/trunk"] || !strings.Contains(w.out.String(), "warning: the tag rel/1_ü is another in rel/zwei-ü than in trunk") {
		t.Errorf("got %v\n%s", refs, w.out)
	}
	tree := w.down.Git("-c", "core.quotePath=false", "ls-tree", "-r", "--format=%(objectmode) %(objectsize) %(path)", "rel/zwei-ü")
	if tree != "100644 6 crlf.txt\n120000 8 link\n100755 10 run ü" {
		t.Errorf("got %s", tree)
	}
	if got := w.down.Git("log", "--format=%s|%p", "old"); got != "second, with a ghost|"+w.down.Git("rev-parse", "--short", "old^")+"\nfirst|" {
		t.Errorf("got %s", got)
	}
	w.down.Fsck()

	// A tag that is deleted there goes, where that is asked for.
	bzr(t, one, "tag", "-q", "--delete", "gone")
	bzr(t, two, "tag", "-q", "--delete", "gone")
	w.mustRun()
	if got := w.down.Mirrored(); len(got) != 4 || got["refs/tags/gone"] != "" {
		t.Errorf("got %v", got)
	}
	w.opts.Spec.Branches = append(branches("trunk", one), branches("side", shared)...)
	if report := w.mustFail(core.FailSpec); !strings.Contains(report.Failure.Hint, "name a branch in it") || len(w.down.Mirrored()) != 4 {
		t.Errorf("got %+v", report.Failure)
	}
}
