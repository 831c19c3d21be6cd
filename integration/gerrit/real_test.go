package gerrit

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestReal(t *testing.T) {
	s := Start(t)
	site := s.site()
	Run(t, site)
	t.Run("takes a large push with skip-validation", func(t *testing.T) { largePush(t, s, site) })
	t.Run("refuses what rights do not allow", func(t *testing.T) { refusedPush(t, s, site) })
	t.Run("keeps private projects from anonymous users", func(t *testing.T) { anonymous(t, s, site) })
}

// TestServerThatIsThere runs the scenarios on a Gerrit of the person's, whose
// user may create projects and owns them. What they make stays there.
func TestServerThatIsThere(t *testing.T) {
	web := os.Getenv("LORRY_TEST_GERRIT_URL")
	if web == "" {
		t.Skip("LORRY_TEST_GERRIT_URL names no server")
	}
	a := Account{Password: os.Getenv("LORRY_TEST_GERRIT_PASSWORD"), Settings: map[string]any{"http-url": web, "username": os.Getenv("LORRY_TEST_GERRIT_USER")}}
	if ssh := os.Getenv("LORRY_TEST_GERRIT_SSH_URL"); ssh != "" {
		a.Settings["ssh-url"] = ssh
	}
	c := Session(t, sdk.RoleUpstream, a, map[string]any{"api": "rest"})
	if _, err := c.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range c.Repos(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	t.Logf("%d projects", n)
}

func (s *Server) site() Site {
	account := func(user, password string) Account {
		return Account{Password: password, Settings: map[string]any{
			"http-url": s.Web, "ssh-url": "ssh://" + user + "@" + s.SSHHost, "username": user,
			"ssh-known-hosts": s.KnownHosts, "ssh-identity-file": s.IdentityFile,
		}}
	}
	return Site{
		Prefix: "test/", Parent: "mirrors", SSH: true, Push: s.push,
		Admin: account("admin", "secret"), Low: account("low", "low-password"),
	}
}

// work makes a working tree with n commits on main.
func (s *Server) work(t *testing.T, n int) string {
	t.Helper()
	dir := t.TempDir()
	s.git(t, "init", "-q", "-b", "main", dir)
	for i := range n {
		s.git(t, "-C", dir, "commit", "-q", "--allow-empty", "-m", fmt.Sprintf("%s %d", dir, i))
	}
	return dir
}

func (s *Server) push(t *testing.T, project, branch string) {
	t.Helper()
	s.git(t, "-C", s.work(t, 1), "push", "-q", "ssh://admin@"+s.SSHHost+"/"+project, "+HEAD:"+branch)
}

func largePush(t *testing.T, s *Server, site Site) {
	have := ensure(t, Session(t, sdk.RoleDownstream, site.Admin, map[string]any{"api": "ssh", "parent-project": "mirrors"}), sdk.Want{Path: "test/large"})
	work := s.work(t, 150)
	s.git(t, "-C", work, "tag", "light")
	s.git(t, "-C", work, "tag", "-a", "-m", "signed by nobody", "annotated")
	push := []string{"-C", work, "push", "--porcelain"}
	refs := []string{have.URL, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"}
	if out, err := s.tryGit(append(push, refs...)...); err == nil || !strings.Contains(out, "skip-validation") {
		t.Errorf("a large push without the option: %v\n%s", err, out)
	}
	for _, option := range have.PushOptions {
		push = append(push, "-o", option)
	}
	out := s.git(t, append(push, refs...)...)
	for _, ref := range []string{"refs/heads/main", "refs/tags/light", "refs/tags/annotated"} {
		if got := s.git(t, "ls-remote", have.URL, ref); !strings.Contains(got, ref) {
			t.Errorf("%s did not arrive:\n%s", ref, out)
		}
	}
}

func refusedPush(t *testing.T, s *Server, site Site) {
	down := Session(t, sdk.RoleDownstream, site.Admin, map[string]any{"api": "rest", "protocol": "ssh", "parent-project": "mirrors", "skip-validation": "no"})
	have := ensure(t, down, sdk.Want{Path: "test/refused"})
	if len(have.PushOptions) > 0 {
		t.Errorf("push options that nobody asked for: %q", have.PushOptions)
	}
	low := strings.Replace(have.URL, "admin@", "low@", 1)
	out, err := s.tryGit("-C", s.work(t, 1), "push", "--porcelain", low, "refs/heads/*:refs/heads/*")
	if err == nil || !strings.Contains(out, "prohibited by Gerrit") {
		t.Errorf("a push without the right: %v\n%s", err, out)
	}
	s.must(t, "PUT", "projects/test%2Frefused/config", "application/json", `{"state":"READ_ONLY"}`)
	have = ensure(t, Session(t, sdk.RoleDownstream, site.Admin, map[string]any{"api": "ssh"}), sdk.Want{Path: "test/refused"})
	if have.ReadOnlyReason == "" {
		t.Errorf("a read-only project: %+v", have)
	}
	up := Session(t, sdk.RoleUpstream, site.Admin, map[string]any{"api": "ssh"})
	repo, _, err := up.Repo(t.Context(), "test/refused")
	if err != nil || !repo.Archived {
		t.Errorf("a read-only project upstream: %+v, %v", repo, err)
	}
}

// anonymous shows why every request of a user has to begin with /a/.
func anonymous(t *testing.T, s *Server, site Site) {
	ensure(t, Session(t, sdk.RoleDownstream, site.Admin, map[string]any{"api": "rest"}), sdk.Want{Path: "test/private"})
	s.must(t, "POST", "projects/test%2Fprivate/access", "application/json",
		`{"add":{"refs/*":{"permissions":{"read":{"exclusive":true,"rules":{"global:Anonymous-Users":{"action":"BLOCK"},"`+s.admins+`":{"action":"ALLOW"}}}}}}}`)
	listed := func(a Account) map[string]string {
		urls := map[string]string{}
		for repo, err := range Session(t, sdk.RoleUpstream, a, map[string]any{"api": "rest", "protocol": "http"}).Repos(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			urls[repo.Path] = repo.CloneURL
		}
		return urls
	}
	nobody := Account{Settings: map[string]any{"http-url": s.Web}}
	all, public := listed(site.Admin), listed(nobody)
	if all["test/private"] != s.Web+"/a/test/private" || public["test/private"] != "" {
		t.Errorf("the private project is listed at %q, and for nobody at %q", all["test/private"], public["test/private"])
	}
	if want := s.Web + "/test/large"; public["test/large"] != want {
		t.Errorf("an anonymous clone URL is %q, want %q", public["test/large"], want)
	}
	s.git(t, "clone", "-q", "--bare", public["test/large"], filepath.Join(t.TempDir(), "m.git"))
	report, err := Session(t, sdk.RoleUpstream, nobody, map[string]any{"api": "rest"}).Check(t.Context())
	if err != nil || len(report.Diagnostics) == 0 {
		t.Errorf("nobody is told that only public projects are seen: %+v, %v", report, err)
	}
	wrong := site.Admin
	wrong.Password = "wrong"
	_, err = Session(t, sdk.RoleUpstream, wrong, map[string]any{"api": "rest"}).Check(t.Context())
	wantKind(t, "a wrong password", err, sdk.Unauthenticated)
}
