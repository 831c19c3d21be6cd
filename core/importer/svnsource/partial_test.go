package svnsource

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestCopiesOfWhatIsHidden: a branch whose files the account may read, but not
// where they were copied from, is not mirrored without them.
func TestCopiesOfWhatIsHidden(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(t *testing.T, m *mirror) string{
		"svnserve": func(t *testing.T, m *mirror) string {
			if err := os.WriteFile(filepath.Join(m.dir, "conf", "svnserve.conf"), []byte("[general]\nanon-access = read\nauthz-db = authz\n"), 0o644); err != nil {
				t.Fatal(err)
			}
			return serve(t, m.dir)
		},
		"apache": func(t *testing.T, m *mirror) string {
			rules := filepath.Join(m.dir, "conf", "authz")
			return apache(t, filepath.Dir(m.dir), "AuthzSVNAccessFile "+rules) + filepath.Base(m.dir)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMirror(t)
			m.svn("mkdir", "--parents", "-m", "layout", m.url+"/trunk/open", m.url+"/trunk/hid den/.git", m.url+"/tags", m.url+"/branches")
			m.put("trunk/open/file", "one")
			m.put("trunk/hid den/.git/config", "what git svn leaves out")
			m.put("trunk/hid den/file", "two")
			m.put("trunk/open/secret", "three")
			m.put("trunk/open/file", "four")
			m.rules("[/]\n* = r\n[/trunk/hid den]\n* =\n[/trunk/open/secret]\n* =\n")
			m.svn("cp", "-m", "part", m.url+"/trunk/open", m.url+"/branches/again")
			m.svn("rm", "-m", "no secret", m.url+"/branches/again/secret")
			m.source.Access.URL = start(t, m)
			m.mustUpdate(m.source)
			again := m.git.Mirrored()["refs/heads/again"]

			m.svn("cp", "-m", "branch", m.url+"/trunk", m.url+"/branches/b@1@")
			m.svn("cp", "-m", "tag", m.url+"/trunk", m.url+"/tags/v1")
			m.svn("cp", "-m", "a part of it", m.url+"/trunk/hid den", m.url+"/tags/whole")
			m.svn("rm", "-m", "delete", m.url+"/branches/again")
			m.svn("cp", "-m", "copy it again", m.url+"/trunk", m.url+"/branches/again")
			m.put("trunk/open/file", "five")
			res := m.mustUpdate(m.source)
			wantPartial(t, res)
			if !strings.Contains(m.out.String(), "3 branches and tags lack files") {
				t.Errorf("told %s", &m.out)
			}
			want := map[string]bool{master: true, "refs/heads/again": true, "refs/tags/whole": true}
			if diff := cmp.Diff(want, names(m.git.Mirrored())); diff != "" {
				t.Error(diff)
			}
			if got := m.git.Mirrored()["refs/heads/again"]; got != again {
				t.Errorf("the branch that lacks files changed from %s to %s", again, got)
			}
			if got := m.git.Git("show", master+":open/file") + m.git.Git("show", "refs/tags/whole:file"); got != "fivetwo" {
				t.Errorf("got %q", got)
			}
			if !strings.Contains(m.out.String(), `whose names git refuses, such as ".git/config" (4 in all`) {
				t.Errorf("told %s", &m.out)
			}
			m.put("branches/b@1/other", "six")
			wantPartial(t, m.mustUpdate(m.source)) // told as long as it is so

			some, err := policy.New(spec.Spec{Type: spec.Svn, Refspecs: []string{"refs/heads/master", "refs/tags/whole"}}, core.RewriteByRefspec)
			if err != nil {
				t.Fatal(err)
			}
			all := m.source.Policy
			m.source.Policy = some
			m.put("trunk/open/file", "seven")
			if res := m.mustUpdate(m.source); res.Left != nil {
				t.Errorf("%v, which nobody asked for", res.Left)
			}
			m.source.Policy = all
			m.put("trunk/open/file", "seven and more")
			wantPartial(t, m.mustUpdate(m.source))

			m.rules("[/]\n* = r\n")
			m.put("trunk/hid den/file", "eight")
			_, err = m.update(m.source)
			m.wantFailure(err, core.FailDiverged)
			if e := gitfail.From(err, gitfail.Upstream); !strings.Contains(e.Hint, "more than it might before") {
				t.Errorf("got %+v", e.Failure)
			}
			fresh := m.newSource(filepath.Join(t.TempDir(), "work"))
			fresh.Access.URL = m.source.Access.URL
			if res := m.mustUpdate(fresh); res.Left != nil {
				t.Errorf("%v is left where the account may read everything", res.Left)
			}
			whole := gittest.OpenRepo(t, fresh.Repo.Dir)
			if got, want := whole.Git("ls-tree", "-r", "--name-only", "refs/tags/v1"), "hid den/file\nopen/file\nopen/secret"; got != want {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestNamesThatGitRefuses are left out and told, not taken for what is hidden.
func TestNamesThatGitRefuses(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.svn("mkdir", "--parents", "-m", "layout", m.url+"/trunk/.Git", m.url+"/trunk/GIT~1", m.url+"/tags", m.url+"/branches")
	m.put("trunk/file", "one")
	m.put("trunk/.Git/config", "two")
	m.put("trunk/GIT~1/config", "three")
	m.svn("cp", "-m", "branch", m.url+"/trunk", m.url+"/branches/b")
	res := m.mustUpdate(m.source)
	if res.Left != nil {
		t.Errorf("left: %v", res.Left)
	}
	if got := m.git.Git("ls-tree", "-r", "--name-only", "refs/heads/b"); got != "file" {
		t.Errorf("got %q", got)
	}
	if !strings.Contains(m.out.String(), `names git refuses, such as "GIT~1/config" (4 in all new branches and tags)`) &&
		!strings.Contains(m.out.String(), `names git refuses, such as ".Git/config" (4 in all new branches and tags)`) {
		t.Errorf("told %s", &m.out)
	}
}

// TestCopiesWhereTheLayoutCannotBeListed: the commits say where they are from.
func TestCopiesWhereTheLayoutCannotBeListed(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.svn("mkdir", "--parents", "-m", "layout", m.url+"/a b/trunk/open", m.url+"/a b/trunk/hidden", m.url+"/a b/tags", m.url+"/a b/branches")
	m.put("a b/trunk/open/file", "one")
	m.put("a b/trunk/hidden/file", "two")
	m.put("a b/trunk/open/file", "three")
	m.svn("cp", "-m", "branch", m.url+"/a b/trunk", m.url+"/a b/branches/b 1")
	m.svn("cp", "-m", "branch", m.url+"/a b/trunk/open", m.url+"/a b/branches/open")
	m.rules("[/]\n* = r\n[/a b/trunk/hidden]\n* =\n")
	if err := os.WriteFile(filepath.Join(m.dir, "conf", "svnserve.conf"), []byte("[general]\nanon-access = read\nauthz-db = authz\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	m.source.Access.URL = serve(t, m.dir) + "/a%20b"
	m.source.Layout = &spec.Layout{Trunk: "trunk", Branches: "{branches,tags}/*"}
	res := m.mustUpdate(m.source)
	if res.Left == nil || !strings.Contains(res.Left.Error(), "/a%20b/branches/b%201") {
		t.Errorf("left: %v", res.Left)
	}
	want := map[string]bool{master: true, "refs/heads/branches/open": true}
	if diff := cmp.Diff(want, names(m.git.Mirrored())); diff != "" {
		t.Errorf("%s\n%s", diff, &m.out)
	}
}

// rules says who may read what.
func (m *mirror) rules(text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.dir, "conf", "authz"), []byte(text), 0o644); err != nil {
		m.t.Fatal(err)
	}
}

func wantPartial(t *testing.T, res workcopy.Result) {
	t.Helper()
	if res.Left == nil {
		t.Fatal("nothing is said of the files that git svn did not bring")
	}
	e := gitfail.From(res.Left, gitfail.Upstream)
	if e.Kind != core.FailAuth || !strings.Contains(e.Cause, "/branches/") || !strings.Contains(e.Cause, "(2 in all)") || !strings.Contains(e.Hint, "place that was copied") {
		t.Errorf("got %+v", e.Failure)
	}
}
