package gerrit

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// Account is how the adapter reaches a server.
type Account struct {
	Settings map[string]any // but for api
	Password string
}

// Site is a server that the scenarios run on.
type Site struct {
	// Admin may do everything, Low may read alone.
	Admin, Low Account
	// Prefix is put before the names of all projects.
	Prefix string
	// Parent is a project for access rights alone.
	Parent string
	// Push makes a branch of a project stand at a new commit.
	Push func(t *testing.T, project, branch string)
	// SSH says whether the server is reached by ssh, too.
	SSH bool
}

// Run runs every scenario by REST and by ssh.
func Run(t *testing.T, s Site) {
	ways := []string{"rest"}
	if s.SSH {
		ways = append(ways, "ssh")
	}
	for _, way := range ways {
		t.Run(way, func(t *testing.T) {
			r := run{Site: s, api: way, prefix: s.Prefix + way + "/"}
			t.Run("creates a project and sees it again", r.creates)
			t.Run("creates one project however many ask", r.races)
			t.Run("follows the default branch", r.follows)
			t.Run("lists what may have code", r.lists)
			t.Run("tells what is wrong", r.tells)
			t.Run("does what little a poor account may", r.poor)
			t.Run("makes what is retired read-only, and revives it", r.retires)
			t.Run("knows the names that Gerrit takes", r.names)
		})
	}
}

// run is a Site and a way to ask it.
type run struct {
	Site
	api, prefix string
}

func (r run) session(t *testing.T, role sdk.Role, a Account, more map[string]any) *host.Client {
	t.Helper()
	with := map[string]any{"api": r.api}
	maps.Copy(with, more)
	return Session(t, role, a, with)
}

func ensure(t *testing.T, c *host.Client, want sdk.Want) sdk.Have {
	t.Helper()
	have, err := c.Ensure(t.Context(), want)
	if err != nil {
		t.Fatalf("ensuring %q: %v", want.Path, err)
	}
	return have
}

// wantKind looks at an error's kind.
func wantKind(t *testing.T, what string, err error, kinds ...sdk.Kind) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error, want one of %v", what, kinds)
		return
	}
	if !slices.Contains(kinds, sdk.KindOf(err)) {
		t.Errorf("%s: error is %s: %v, want one of %v", what, sdk.KindOf(err), err, kinds)
	}
}

func (r run) creates(t *testing.T) {
	down := r.session(t, sdk.RoleDownstream, r.Admin, map[string]any{"parent-project": r.Parent})
	up := r.session(t, sdk.RoleUpstream, r.Admin, nil)
	for _, name := range []string{"group/one", "group/one/deeper", "with space"} {
		want := sdk.Want{Path: r.prefix + name, Head: "refs/heads/trunk", Description: `It's "one"; $(of) the\ many & ünïcode`}
		if have := ensure(t, down, want); !have.Created {
			t.Errorf("%q was there already", name)
		}
		for _, description := range []string{want.Description, "Another one", ""} {
			want.Description = description
			if have := ensure(t, down, want); have.Created || len(have.Unsupported) > 0 {
				t.Errorf("%q again: %+v", name, have)
			}
			repo, _, err := up.Repo(t.Context(), want.Path)
			if err != nil {
				t.Fatal(err)
			}
			if description == "" {
				description = "Another one"
			}
			if repo.Path != want.Path || repo.Description != description {
				t.Errorf("repository is %+v, want the description %q", repo, description)
			}
			if r.api == "rest" && repo.Head != "refs/heads/trunk" {
				t.Errorf("the default branch is %q", repo.Head)
			}
		}
	}
}

func (r run) races(t *testing.T) {
	down := r.session(t, sdk.RoleDownstream, r.Admin, nil)
	var all sync.WaitGroup
	var mu sync.Mutex
	created := 0
	for range 8 {
		all.Go(func() {
			have, err := down.Ensure(t.Context(), sdk.Want{Path: r.prefix + "race", Description: "One"})
			if err != nil {
				t.Errorf("ensuring: %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			if have.Created {
				created++
			}
		})
	}
	all.Wait()
	if created != 1 {
		t.Errorf("%d calls created it", created)
	}
}

func (r run) follows(t *testing.T) {
	down := r.session(t, sdk.RoleDownstream, r.Admin, map[string]any{"parent-project": r.Parent})
	byREST := Session(t, sdk.RoleUpstream, r.Admin, map[string]any{"api": "rest"})
	want := sdk.Want{Path: r.prefix + "follows", Head: "refs/heads/first"}
	ensure(t, down, want)
	r.Push(t, want.Path, "refs/heads/first")
	for _, head := range []string{"refs/heads/first", "refs/heads/second"} {
		want.Head = head
		if head == "refs/heads/second" {
			wantKind(t, "a branch that is not there yet", down.AfterPush(t.Context(), want), sdk.NotFound)
			r.Push(t, want.Path, head)
		}
		for range 2 {
			if err := down.AfterPush(t.Context(), want); err != nil {
				t.Fatalf("after the push of %s: %v", head, err)
			}
		}
		repo, _, err := byREST.Repo(t.Context(), want.Path)
		if err != nil || repo.Head != head {
			t.Errorf("the default branch is %q (%v), want %q", repo.Head, err, head)
		}
	}
	wantKind(t, "a project that is not there", down.AfterPush(t.Context(), sdk.Want{Path: r.prefix + "none", Head: "refs/heads/x"}), sdk.NotFound)
}

// listed gives what is listed below the prefix, by path.
func (r run) listed(t *testing.T, c *host.Client) map[string]sdk.Repo {
	t.Helper()
	all := map[string]sdk.Repo{}
	for repo, err := range c.Repos(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if _, twice := all[repo.Path]; twice {
			t.Errorf("%q is listed twice", repo.Path)
		}
		all[repo.Path] = repo
	}
	for _, name := range []string{"All-Projects", "All-Users", r.Parent} {
		if _, ok := all[name]; ok {
			t.Errorf("%q is listed", name)
		}
	}
	maps.DeleteFunc(all, func(name string, _ sdk.Repo) bool { return !strings.HasPrefix(name, r.prefix+"list/") })
	return all
}

func (r run) lists(t *testing.T) {
	down := r.session(t, sdk.RoleDownstream, r.Admin, map[string]any{"parent-project": r.Parent})
	up := r.session(t, sdk.RoleUpstream, r.Admin, nil)
	for _, name := range []string{"a", "b", "b/c"} {
		ensure(t, down, sdk.Want{Path: r.prefix + "list/" + name, Description: "About " + name, Head: "refs/heads/main"})
	}
	r.Push(t, r.prefix+"list/a", "refs/heads/main")
	first := r.listed(t, up)
	if diff := cmp.Diff([]string{r.prefix + "list/a", r.prefix + "list/b", r.prefix + "list/b/c"}, slices.Sorted(maps.Keys(first))); diff != "" {
		t.Fatalf("listing (-want +got):\n%s", diff)
	}
	a := first[r.prefix+"list/a"]
	if a.Description != "About a" || a.ChangeHint == "" || a.CloneURL == "" {
		t.Errorf("listed as %+v", a)
	}
	if hint := first[r.prefix+"list/b"].ChangeHint; hint != "" {
		t.Errorf("a project without commits has the hint %q", hint)
	}
	same := r.listed(t, up)
	r.Push(t, r.prefix+"list/a", "refs/heads/main")
	after := r.listed(t, up)
	if same[a.Path].ChangeHint != a.ChangeHint || after[a.Path].ChangeHint == a.ChangeHint {
		t.Errorf("hints are %q, %q, and after a push %q", a.ChangeHint, same[a.Path].ChangeHint, after[a.Path].ChangeHint)
	}
}

func (r run) tells(t *testing.T) {
	up := r.session(t, sdk.RoleUpstream, r.Admin, nil)
	_, _, err := up.Repo(t.Context(), r.prefix+"there-is-none")
	wantKind(t, "a missing project", err, sdk.NotFound)
	ensure(t, r.session(t, sdk.RoleDownstream, r.Admin, nil), sdk.Want{Path: r.prefix + "longer-name"})
	_, _, err = up.Repo(t.Context(), r.prefix+"longer")
	wantKind(t, "the beginning of a name", err, sdk.NotFound)
	orphan := r.session(t, sdk.RoleDownstream, r.Admin, map[string]any{"parent-project": r.Prefix + "no-such-parent"})
	_, err = orphan.Ensure(t.Context(), sdk.Want{Path: r.prefix + "orphan"})
	wantKind(t, "a missing parent", err, sdk.Invalid)
	report, err := up.Check(t.Context())
	if err != nil || !strings.HasPrefix(report.ServerVersion, "Gerrit ") || len(report.Diagnostics) > 0 {
		t.Errorf("check: %+v, %v", report, err)
	}
}

func (r run) poor(t *testing.T) {
	want := sdk.Want{Path: r.prefix + "poor", Head: "refs/heads/main", Description: "As it was"}
	ensure(t, r.session(t, sdk.RoleDownstream, r.Admin, nil), want)
	r.Push(t, want.Path, "refs/heads/main")
	r.Push(t, want.Path, "refs/heads/other")
	low := r.session(t, sdk.RoleDownstream, r.Low, nil)
	_, err := low.Ensure(t.Context(), sdk.Want{Path: r.prefix + "not-allowed"})
	wantKind(t, "creating without the right", err, sdk.Denied)
	have := ensure(t, low, sdk.Want{Path: want.Path, Description: "Another"})
	if diff := cmp.Diff([]string{"description"}, have.Unsupported); diff != "" {
		t.Errorf("unsupported (-want +got):\n%s", diff)
	}
	err = low.AfterPush(t.Context(), sdk.Want{Path: want.Path, Head: "refs/heads/other"})
	wantKind(t, "choosing a branch without the right", err, sdk.Denied, sdk.Unavailable)
}

func (r run) names(t *testing.T) {
	down := r.session(t, sdk.RoleDownstream, r.Admin, nil)
	for _, name := range []string{
		"a:b", "a*b", "a?b", "a<b", "a|b", "a$b", "a~b", `a\b`, "a%b", "a/+b", "a//b", "a/../b", "a/b.git/c", "a.git", "/a", "a/", "-a", "--help", "a/-b",
		"a\nb", "All-Projects", "All-Users", "",
	} {
		path := name
		if name != "" && name[0] != '/' && name[0] != '-' && !strings.HasPrefix(name, "All-") {
			path = r.prefix + name
		}
		_, err := down.Ensure(t.Context(), sdk.Want{Path: path})
		wantKind(t, path, err, sdk.Invalid)
		r.verdict(t, down, path, false)
	}
	for _, name := range []string{"a+b", "a,b", "a@b", "a=b", "a#b", "a&b", "a(b", "a;b", "a!b", "ä", "a.b", "a_b"} {
		if have := ensure(t, down, sdk.Want{Path: r.prefix + name}); !have.Created {
			t.Errorf("%q was there already", name)
		}
		r.verdict(t, down, r.prefix+name, true)
	}
}

// verdict looks whether what is said of a name at configuration time is what
// comes of it.
func (r run) verdict(t *testing.T, down *host.Client, path string, good bool) {
	t.Helper()
	verdicts, err := down.CheckPaths(t.Context(), []string{path})
	if err != nil {
		t.Fatal(err)
	}
	if v := verdicts[0]; (v.Problem == "") != good || good && v.Normal != path || !good && v.Hint == "" {
		t.Errorf("%q: the verdict is %+v", path, v)
	}
}
