package svnsource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestNamesThatURLsEscape: spaces, percent signs and letters beyond ASCII in
// the path below the root, in branches and in files. Externals are told.
func TestNamesThatURLsEscape(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	const below = "/my%20proj%2525%20%C3%BC"
	m.url += below
	m.svn("mkdir", "--parents", "-m", "Ärger", m.url+"/trunk", m.url+"/branches", m.url+"/tags")
	m.put("trunk/fü r", "one")
	m.svn("cp", "-m", "tag", m.url+"/trunk", m.url+"/tags/50%25%20%C3%BC")
	m.tool("svnmucc", "-m", "externals", "-U", m.url, "propset", "svn:externals", "ext https://svn.example.org/x", "trunk")
	m.source.Access.URL = m.url
	m.mustUpdate(m.source)
	if diff := cmp.Diff(map[string]bool{master: true, "refs/tags/50%25%20ü": true}, names(m.git.Mirrored())); diff != "" {
		t.Fatal(diff)
	}
	if got := m.git.Git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", master) + m.git.Git("log", "--format=%s", master); got != "fü rexternals\nput trunk/fü r\nÄrger" {
		t.Errorf("got %q", got)
	}
	if body := m.git.Git("log", "-1", "--format=%b", master); !strings.Contains(body, "git-svn-id: "+m.url+"/trunk@4") {
		t.Errorf("the message says %q", body)
	}
	if !strings.Contains(m.out.String(), "warning: svn:externals are not followed") {
		t.Errorf("the externals are not told:\n%s", &m.out)
	}
	// The same over http, and after the repository has moved.
	first := m.git.Mirrored()
	m.source.Access.URL = apache(t, filepath.Dir(m.dir)) + filepath.Base(m.dir) + below
	m.mustUpdate(m.source)
	if diff := cmp.Diff(first, m.git.Mirrored()); diff != "" {
		t.Error(diff)
	}
	m.put("trunk/fü r", "two")
	if err := os.Rename(m.dir, m.dir+" ü"); err != nil {
		t.Fatal(err)
	}
	m.source.Access.URL = "file://" + m.dir + "%20%C3%BC" + below
	m.mustUpdate(m.source)
	if got := m.git.Git("rev-parse", master+"^"); got != first[master] {
		t.Errorf("the commit lies on %s", got)
	}
}

// TestRestoredFromAnOlderCopy: a repository that has lost revisions, and goes on
// with others of the same numbers, is told and changes nothing.
func TestRestoredFromAnOlderCopy(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.seed()
	m.mustUpdate(m.source)
	old := m.dir + "-old"
	m.tool("cp", "-a", m.dir, old)
	m.put("trunk/file", "nine")
	m.put("trunk/file", "ten")
	m.mustUpdate(m.source)
	before := m.git.Mirrored()
	fail := func(cause string) {
		t.Helper()
		_, err := m.update(m.source)
		m.wantFailure(err, core.FailDiverged)
		if err != nil && !strings.Contains(err.Error(), cause) {
			t.Errorf("got %v", err)
		}
		if diff := cmp.Diff(before, m.git.Mirrored()); diff != "" {
			t.Error(diff)
		}
	}
	if err := os.RemoveAll(m.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(old, m.dir); err != nil {
		t.Fatal(err)
	}
	fail("its last change is in r8, but r10 was mirrored")
	// A date tells revisions of the same number apart.
	m.put("trunk/file", "another nine")
	m.put("trunk/file", "another ten")
	date := filepath.Join(t.TempDir(), "date")
	if err := os.WriteFile(date, []byte("2031-01-02T03:04:05.000000Z"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.tool("svnadmin", "setrevprop", m.dir, "-r", "10", "svn:date", date)
	fail("r10 is of 2031-01-02")
	m.put("trunk/file", "another eleven")
	fail("r10 is of 2031-01-02")
}

// TestLeftOut: what the account may not read is left out, and told when nothing
// is left.
func TestLeftOut(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	gittest.Require(t, "svnserve")
	m.svn("mkdir", "--parents", "-m", "layout", m.url+"/trunk/open", m.url+"/trunk/closed", m.url+"/tags", m.url+"/branches")
	m.put("trunk/open/file", "one")
	m.put("trunk/closed/file", "two")
	if err := os.WriteFile(filepath.Join(m.dir, "conf", "svnserve.conf"), []byte("[general]\nanon-access = read\nauthz-db = authz\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.rules("[/]\n* = r\n[/trunk/closed]\n* =\n")
	m.source.Access.URL = serve(t, m.dir)
	m.mustUpdate(m.source)
	if got := m.git.Git("ls-tree", "-r", "--name-only", master); got != "open/file" {
		t.Errorf("got %q", got)
	}
	m.rules("[/]\n* =\n")
	_, err := m.update(m.source)
	m.wantFailure(err, core.FailAuth)
	m.rules("[/]\n* = r\n[/trunk]\n* =\n")
	fresh := m.newSource(filepath.Join(t.TempDir(), "work"))
	fresh.Access.URL = m.source.Access.URL
	_, err = m.update(fresh)
	m.wantFailure(err, core.FailEmpty)
	if e := gitfail.From(err, gitfail.Upstream); !strings.Contains(e.Hint, "may read it") {
		t.Errorf("got %+v", e.Failure)
	}
}
