package svnsource

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
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

// seeded is the repository that seed makes, once for all tests: each commit of
// Subversion waits for the disk.
var seeded workcopytest.Seed

// mirror is a Subversion repository and its working area.
type mirror struct {
	t      *testing.T
	dir    string // of the repository
	url    string
	source *Source
	git    *gittest.Repo
	out    bytes.Buffer
}

func newMirror(t *testing.T) *mirror {
	t.Helper()
	for _, tool := range []string{"git", "svn", "svnadmin", "svnserve"} {
		gittest.Require(t, tool)
	}
	if _, err := exec.Command("git", "svn", "--version").Output(); err != nil {
		gittest.Require(t, "git-svn")
	}
	dir := t.TempDir()
	m := &mirror{t: t, dir: filepath.Join(dir, "upstream")}
	m.tool("svnadmin", "create", m.dir)
	m.url = "file://" + m.dir
	m.source = m.newSource(filepath.Join(dir, "work"))
	m.git = gittest.OpenRepo(t, m.source.Repo.Dir)
	return m
}

// newSource makes a working area for the repository.
func (m *mirror) newSource(work string) *Source {
	m.t.Helper()
	return &Source{Copy: workcopytest.New(m.t, work, spec.Spec{Type: spec.Svn}, &m.out), Access: core.Access{URL: m.url}}
}

func (m *mirror) tool(name string, args ...string) {
	m.t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + m.t.TempDir(), "LC_ALL=C.UTF-8"}
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

func (m *mirror) svn(args ...string) {
	m.t.Helper()
	m.tool("svn", append([]string{"--non-interactive", "-q"}, args...)...)
}

// put commits one file.
func (m *mirror) put(path, text string) {
	m.t.Helper()
	file := filepath.Join(m.t.TempDir(), "file")
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
	m.tool("svnmucc", "-m", "put "+path, "-U", m.url, "put", file, path)
}

// seed makes the standard layout with two commits, a branch and two tags, one
// of which was copied from outside of it.
func (m *mirror) seed() {
	m.t.Helper()
	seeded.Do(func() {
		one := &mirror{t: m.t, dir: seeded.Dir, url: "file://" + seeded.Dir}
		one.tool("svnadmin", "create", one.dir)
		one.svn("mkdir", "-m", "layout", one.url+"/trunk", one.url+"/branches", one.url+"/tags")
		one.put("trunk/file", "one")
		one.svn("cp", "-m", "tag", one.url+"/trunk", one.url+"/tags/v1")
		one.put("trunk/file", "two")
		one.svn("cp", "-m", "branch", one.url+"/trunk", one.url+"/branches/stable one")
		one.put("branches/stable one/other", "three")
		one.svn("cp", "-m", "elsewhere", one.url+"/branches", one.url+"/old")
		one.svn("cp", "-m", "tag from elsewhere", one.url+"/old/stable one", one.url+"/tags/v2")
	})
	if err := os.RemoveAll(m.dir); err != nil {
		m.t.Fatal(err)
	}
	m.tool("cp", "-a", seeded.Dir, m.dir)
	m.tool("svnadmin", "setuuid", m.dir)
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
	listing, err := s.List(m.t.Context())
	if err != nil || listing.Digest("") != res.Upstream.Digest("") {
		m.t.Errorf("%v: the listing is another after the update than the update says", err)
	}
	return res
}

func names(refs map[string]string) map[string]bool {
	got := make(map[string]bool)
	for name := range refs {
		got[name] = true
	}
	return got
}

func TestStandardLayout(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.seed()
	res := m.mustUpdate(m.source)
	want := map[string]bool{"refs/heads/master": true, "refs/heads/stable%20one": true, "refs/tags/v1": true, "refs/tags/v2": true}
	if diff := cmp.Diff(want, names(m.git.Mirrored())); diff != "" {
		t.Error(diff)
	}
	if res.Refs.Head != master || res.Changed != 4 || m.git.Git("symbolic-ref", "HEAD") != master {
		t.Errorf("got %+v", res)
	}
	if got := m.git.Git("show", "refs/tags/v1:file") + m.git.Git("show", master+":file"); got != "onetwo" {
		t.Errorf("got %q", got)
	}
	body := m.git.Git("log", "-1", "--format=%b", master)
	if !strings.Contains(body, "git-svn-id: "+m.url+"/trunk@4") {
		t.Errorf("the message says %q", body)
	}
	m.git.Fsck()
	first := m.git.Mirrored()
	if again := m.mustUpdate(m.source); again.Changed != 0 {
		t.Errorf("got %+v", again)
	}
	m.put("trunk/file", "four")
	m.svn("rm", "-m", "gone", m.url+"/branches/stable one")
	if next := m.mustUpdate(m.source); next.Changed != 1 {
		t.Errorf("got %+v", next)
	}
	second := m.git.Mirrored()
	if m.git.Git("rev-parse", master+"^") != first[master] || second["refs/heads/stable%20one"] != first["refs/heads/stable%20one"] {
		t.Errorf("got %v after %v", second, first)
	}
	// Another working area comes to the same commits.
	fresh := m.newSource(filepath.Join(t.TempDir(), "work"))
	m.mustUpdate(fresh)
	other := gittest.OpenRepo(t, fresh.Repo.Dir).Mirrored()
	if other[master] != second[master] || other["refs/tags/v2"] != second["refs/tags/v2"] {
		t.Errorf("%v and %v", second, other)
	}
}

func TestOwnLayout(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.svn("mkdir", "--parents", "-m", "layout", m.url+"/trunk/c5", m.url+"/branches/one/c5", m.url+"/releases")
	m.put("trunk/c5/file", "one")
	m.put("branches/one/c5/file", "branch")
	m.svn("cp", "-m", "tag", m.url+"/trunk/c5", m.url+"/releases/r1")
	m.source.Layout = &spec.Layout{Trunk: "trunk/c5", Branches: "branches/*/c5"}
	m.mustUpdate(m.source)
	if diff := cmp.Diff(map[string]bool{master: true, "refs/heads/one": true}, names(m.git.Mirrored())); diff != "" {
		t.Error(diff)
	}
	old := m.git.Mirrored()[master]
	m.source.Layout = &spec.Layout{Trunk: "trunk/c5", Branches: "branches/*/c5", Tags: "releases"}
	m.mustUpdate(m.source)
	got := m.git.Mirrored()
	if diff := cmp.Diff(map[string]bool{master: true, "refs/heads/one": true, "refs/tags/r1": true}, names(got)); diff != "" {
		t.Error(diff)
	}
	if got[master] != old {
		t.Error("the new layout made other commits")
	}
}

// TestWithoutTrunk: the url itself may be all that there is, however that is
// written, and goes on.
func TestWithoutTrunk(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.svn("mkdir", "--parents", "-m", "layout", m.url+"/my proj")
	m.source.Access.URL += "/my%20proj"
	for i, text := range []string{"one", "two", "three"} {
		m.put("my proj/file", text)
		m.source.Layout = &spec.Layout{Trunk: []string{".", "/", "./"}[i]}
		m.mustUpdate(m.source)
		if got := m.git.Git("show", master+":file"); got != text || len(m.git.Mirrored()) != 1 {
			t.Errorf("got %q of %v", got, m.git.Mirrored())
		}
	}
	if got := m.git.Git("rev-list", "--count", master); got != "4" || strings.Contains(m.out.String(), "importing anew") {
		t.Errorf("%s commits\n%s", got, &m.out)
	}
}

// TestMoved: the same repository under another URL goes on, another repository
// under the same URL is refused.
func TestMoved(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.seed()
	m.mustUpdate(m.source)
	before := m.git.Mirrored()
	moved := m.dir + "-moved"
	if err := os.Rename(m.dir, moved); err != nil {
		t.Fatal(err)
	}
	firstURL := m.url
	m.dir, m.url = moved, "file://"+moved
	m.source.Access.URL = m.url
	m.put("trunk/file", "after the move")
	if res := m.mustUpdate(m.source); res.Changed != 1 {
		t.Errorf("got %+v\n%s", res, &m.out)
	}
	if got := m.git.Git("rev-parse", master+"^"); got != before[master] {
		t.Errorf("the commit lies on %s", got)
	}
	if body := m.git.Git("log", "-1", "--format=%b", master); !strings.Contains(body, firstURL+"/trunk@") {
		t.Errorf("the message says %q", body)
	}
	if err := os.RemoveAll(moved); err != nil {
		t.Fatal(err)
	}
	m.seed()
	before = m.git.Refs()
	_, err := m.update(m.source)
	m.wantFailure(err, core.FailDiverged)
	if diff := cmp.Diff(before, m.git.Refs()); diff != "" {
		t.Error(diff)
	}
}

func (m *mirror) wantFailure(err error, kind core.FailureKind) {
	m.t.Helper()
	var failure *gitfail.Error
	if !errors.As(err, &failure) || failure.Kind != kind || failure.Hint == "" {
		m.t.Errorf("want %s, got %#v\n%s", kind, err, &m.out)
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.seed()
	for url, kind := range map[string]core.FailureKind{
		"file:///no/such/repository":  core.FailGone,
		m.url + "/no/such/directory":  core.FailGone,
		"svn://127.0.0.1:1/x":         core.FailNetwork,
		"http://127.0.0.1:1/x":        core.FailNetwork,
		gittest.Page(t, "<html>").URL: core.FailNotGit,
	} {
		s := *m.source
		s.Access.URL = url
		_, err := s.List(t.Context())
		m.wantFailure(err, kind)
	}
	// Nothing where the layout says.
	s := *m.source
	s.Layout = &spec.Layout{Trunk: "nowhere"}
	_, err := m.update(&s)
	m.wantFailure(err, core.FailEmpty)
	// A branch that would be trunk's master.
	m.mustUpdate(m.source)
	before := m.git.Mirrored()
	m.svn("cp", "-m", "master", m.url+"/trunk", m.url+"/branches/master")
	_, err = m.update(m.source)
	m.wantFailure(err, core.FailSpec)
	if diff := cmp.Diff(before, m.git.Mirrored()); diff != "" {
		t.Error(diff)
	}
}

// TestKilledFetchGoesOn stops fetches at several moments, hard, and leaves
// locks behind; the next run makes the commits that an undisturbed one makes.
func TestKilledFetchGoesOn(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.seed()
	for _, after := range []time.Duration{150, 400} {
		ctx, cancel := context.WithTimeout(t.Context(), after*time.Millisecond)
		_, err := m.source.Update(ctx, m.source.listing(info{}))
		cancel()
		if err != nil && len(m.git.Mirrored()) > 1 {
			t.Errorf("a run that was stopped named %v", m.git.Mirrored())
		}
	}
	for _, lock := range []string{"svn/refs/lorry/svn/trunk/index.lock", "refs/lorry/svn/trunk.lock", "HEAD.lock"} {
		path := filepath.Join(m.source.Repo.Dir, lock)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	m.mustUpdate(m.source)
	fresh := m.newSource(filepath.Join(t.TempDir(), "work"))
	m.mustUpdate(fresh)
	if diff := cmp.Diff(gittest.OpenRepo(t, fresh.Repo.Dir).Mirrored(), m.git.Mirrored()); diff != "" {
		t.Error(diff)
	}
}
