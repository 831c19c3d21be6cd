package hgsource

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy/workcopytest"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func TestMain(m *testing.M) { seeded.Run(m) }

// seeded is the repository of ordinary, made once for all tests.
var seeded workcopytest.Seed

// mirror is a Mercurial repository and its working area.
type mirror struct {
	t      *testing.T
	dir    string // of the repository
	n      int
	source *Source
	git    *gittest.Repo
	out    bytes.Buffer
}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	gittest.Require(t, "git")
	gittest.Require(t, "hg")
	dir := t.TempDir()
	m := &mirror{t: t, dir: filepath.Join(dir, "upstream")}
	m.hg("init", m.dir)
	m.source = m.newSource(filepath.Join(dir, "work"))
	m.git = gittest.OpenRepo(t, m.source.Repo.Dir)
	return m
}

// newSource makes a working area for the repository.
func (m *mirror) newSource(work string) *Source {
	m.t.Helper()
	return &Source{Copy: workcopytest.New(m.t, work, spec.Spec{Type: spec.Hg, Refspecs: []string{"refs/heads/*", "refs/tags/*", "refs/hg/heads/*"}}, &m.out), Access: core.Access{URL: m.dir}}
}

func (m *mirror) hg(args ...string) string {
	m.t.Helper()
	cmd := exec.Command("hg", args...)
	cmd.Dir = filepath.Dir(m.dir)
	if len(args) > 0 && args[0] != "init" {
		cmd.Dir = m.dir
	}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.t.TempDir(), "HGRCPATH=", "HGPLAIN=1", "HGENCODING=utf-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		m.t.Fatalf("hg %v: %v: %s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

func (m *mirror) write(name, text string) {
	m.t.Helper()
	path := filepath.Join(m.dir, name)
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// commit makes a changeset whose node is always the same.
func (m *mirror) commit(user, message string, options ...string) {
	m.t.Helper()
	m.n++
	m.hg(append([]string{"commit", "-q", "-A", "-u", user, "-m", message, "-d", strconv.Itoa(1_500_000_000+m.n) + " -19800"}, options...)...)
}

// ordinary makes a history with a branch, a merge, tags, modes and links.
func (m *mirror) ordinary() {
	m.t.Helper()
	seeded.Do(func() {
		one := &mirror{t: m.t, dir: seeded.Dir}
		one.hg("init", one.dir)
		one.makeOrdinary()
	})
	if out, err := exec.Command("cp", "-a", seeded.Dir+"/.", m.dir).CombinedOutput(); err != nil {
		m.t.Fatalf("%v: %s", err, out)
	}
	m.n = 10
}

func (m *mirror) makeOrdinary() {
	m.t.Helper()
	m.write("file", "one\n")
	m.write("dir/run", "#!/bin/sh\n")
	if err := os.Chmod(filepath.Join(m.dir, "dir/run"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.Symlink("../file", filepath.Join(m.dir, "dir/link")); err != nil {
		m.t.Fatal(err)
	}
	m.commit("Ann Author <ann@example.com>", "first\n\nwith a body")
	m.hg("tag", "-u", "ann", "-d", "1500000100 0", "v1.0")
	m.hg("branch", "-q", "stable")
	m.write("file", "two\n")
	m.commit("bob", "on the branch")
	m.hg("update", "-q", "default")
	m.write("new name ü", "three\n")
	m.hg("remove", "dir/run")
	m.commit("Çelik <c@example.org>", "grüße")
	m.hg("merge", "-q", "stable")
	m.commit("Ann Author <ann@example.com>", "merge")
	m.hg("tag", "-u", "ann", "-d", "1500000200 0", "-r", "stable", "v 2")
}

func (m *mirror) update(s *Source) (workcopy.Result, error) {
	m.t.Helper()
	listing, err := s.List(m.t.Context())
	if err != nil {
		return workcopy.Result{}, err
	}
	return s.Update(m.t.Context(), listing)
}

func (m *mirror) mustUpdate(s *Source) workcopy.Result {
	m.t.Helper()
	res, err := m.update(s)
	if err != nil {
		m.t.Fatalf("%v\n%s", err, &m.out)
	}
	gittest.OpenRepo(m.t, s.Repo.Dir).Fsck()
	return res
}

func TestOrdinaryHistory(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.ordinary()
	res := m.mustUpdate(m.source)
	if res.Refs.Head != master || m.git.Git("symbolic-ref", "HEAD") != master {
		t.Errorf("got %+v", res)
	}
	// What hg-fast-export makes of the same repository.
	want := map[string]string{
		master:              "8becfe2505a989aca952ab2b7a734f700930738d",
		"refs/heads/stable": "f468e1bb05a571683c82d18950cb2b2eddecd0f4",
		"refs/tags/v1.0":    "7a094ff2d258fc7e820e710a17944960ab2f81ca",
		"refs/tags/v_2":     "f468e1bb05a571683c82d18950cb2b2eddecd0f4",
	}
	if diff := cmp.Diff(want, m.git.Mirrored()); diff != "" {
		t.Error(diff)
	}
	if got := m.git.Git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", master); got != "dir/link\nfile\nnew name ü" {
		t.Errorf("got %q", got)
	}
	if again := m.mustUpdate(m.source); again.Changed != 0 || again.Upstream.Digest("") != res.Upstream.Digest("") {
		t.Errorf("got %+v", again)
	}
	first := m.git.Mirrored()
	m.write("file", "four\n")
	m.commit("ann", "more")
	if next := m.mustUpdate(m.source); next.Changed != 1 || next.Upstream.Digest("") == res.Upstream.Digest("") {
		t.Errorf("got %+v", next)
	}
	if m.git.Git("rev-parse", master+"^") != first[master] {
		t.Error("the new commit does not lie on the old one")
	}
	// Neither a lost map, nor a lost clone, nor another place changes anything.
	want = m.git.Mirrored()
	if err := os.Remove(filepath.Join(m.source.Repo.Dir, mapName)); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(m.source.Area.Path(cloneName)); err != nil {
		t.Fatal(err)
	}
	if res := m.mustUpdate(m.source); res.Changed != 0 {
		t.Errorf("got %+v", res)
	}
	fresh := m.newSource(filepath.Join(t.TempDir(), "work"))
	m.mustUpdate(fresh)
	if diff := cmp.Diff(want, gittest.OpenRepo(t, fresh.Repo.Dir).Mirrored()); diff != "" {
		t.Error(diff)
	}
}

// TestOddHistory: closed branches, several heads, bad authors, Latin-1 and
// names that git cannot hold.
func TestOddHistory(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.write("file", "one\n")
	m.commit("bad author <<x@y> z", "first")
	m.hg("branch", "-q", "closed one")
	m.commit("", "on a branch")
	m.commit("ann", "closed", "--close-branch")
	m.hg("update", "-q", "0")
	m.write("caf\xe9", "Latin-1\n")
	m.write(".git/config", "[core]\n")
	m.write("sub/.GIT/x", "x\n")
	m.commit("<>", "one head")
	one := m.hg("log", "-r", ".", "-T", "{node}")
	m.hg("update", "-q", "-C", "0")
	m.write("other", "x\n")
	m.commit("ann", "another head")
	m.mustUpdate(m.source)
	refs := m.git.Refs("refs/heads", "refs/hg")
	if len(refs) != 3 || refs[master] == "" || refs["refs/heads/closed_one"] == "" || refs["refs/hg/heads/master/"+one[:12]] == "" {
		t.Fatalf("got %v", refs)
	}
	tree := m.git.Git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "refs/hg/heads/master/"+one[:12])
	if tree != "café\nfile" {
		t.Errorf("got %q", tree)
	}
	if got := m.git.Git("log", "-1", "--format=%s", master); got != "another head" {
		t.Errorf("master is at %q", got)
	}
	if !strings.Contains(m.out.String(), "left out .git/config") {
		t.Errorf("nothing was said: %s", &m.out)
	}
	// The heads are merged: the branch goes on.
	m.hg("merge", "-q", one)
	m.hg("forget", ".git/config", "sub/.GIT/x")
	m.commit("ann", "merged")
	m.mustUpdate(m.source)
	if refs := m.git.Refs("refs/heads", "refs/hg"); len(refs) != 2 {
		t.Errorf("got %v", refs)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	fail := func(kind core.FailureKind) {
		t.Helper()
		_, err := m.update(m.source)
		var failure *gitfail.Error
		if !errors.As(err, &failure) || failure.Kind != kind || failure.Hint == "" && kind != core.FailOther {
			t.Errorf("want %s, got %#v\n%s", kind, err, &m.out)
		}
	}
	fail(core.FailEmpty)
	m.write("file", "one\n")
	m.commit("ann", "first")
	m.mustUpdate(m.source)
	before := m.git.Refs()
	for url, kind := range map[string]core.FailureKind{
		m.dir + "-gone":                          core.FailGone,
		"http://127.0.0.1:1/x":                   core.FailNetwork,
		gittest.Status(t, 404).URL + "/x":        core.FailGone,
		gittest.Page(t, "<html>").URL + "/x":     core.FailNotGit,
		gittest.Redirect(t, "http://x/").URL:     core.FailGone,
		gittest.NewTLSServer(t, t.TempDir()).URL: core.FailTLS,
	} {
		m.source.Access.URL = url
		fail(kind)
	}
	if diff := cmp.Diff(before, m.git.Refs("refs/heads", "refs/tags")); diff != "" {
		t.Error(diff)
	}
}

// TestKilledRunsAreRepeated stops runs at several moments.
func TestKilledRunsAreRepeated(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.ordinary()
	listing, err := m.source.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, after := range []time.Duration{100, 300, 600} {
		ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
		_, _ = m.source.Update(ctx, listing)
		cancel()
	}
	if err := os.MkdirAll(filepath.Join(m.source.Area.Path(cloneName), ".hg", "store"), 0o755); err != nil {
		t.Fatal(err)
	}
	m.mustUpdate(m.source)
	fresh := m.newSource(filepath.Join(t.TempDir(), "work"))
	m.mustUpdate(fresh)
	if diff := cmp.Diff(gittest.OpenRepo(t, fresh.Repo.Dir).Mirrored(), m.git.Mirrored()); diff != "" {
		t.Error(diff)
	}
}
