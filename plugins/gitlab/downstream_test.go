package gitlab

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

func ensure(t *testing.T, c *host.Client, want sdk.Want) sdk.Have {
	t.Helper()
	have, err := c.Ensure(t.Context(), want)
	if err != nil {
		t.Fatalf("ensuring %q: %v", want.Path, err)
	}
	return have
}

func TestEnsureMakesNestedGroupsAndTheProject(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, map[string]any{"visibility": "internal"})
	have := ensure(t, c, sdk.Want{Path: "mirrors/deep/er/p", Description: "x: A thing", Head: "refs/heads/main"})
	if !have.Created || have.URL != address+"/mirrors/deep/er/p.git" || have.Username != "oauth2" || have.Secret.Reveal() != canary {
		t.Errorf("want a new project with access, got %+v", have)
	}
	got, ok := fake.Project("mirrors/deep/er/p")
	if !ok {
		t.Fatal("there is no project")
	}
	want := gitlabfake.Project{Path: "mirrors/deep/er/p", Description: "x: A thing", Visibility: "internal"}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(gitlabfake.Project{}, "ID"), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("project (-want +got):\n%s", diff)
	}
	for _, g := range []string{"mirrors", "mirrors/deep", "mirrors/deep/er"} {
		if v := fake.GroupVisibility(g); v != "internal" {
			t.Errorf("group %q has the visibility %q", g, v)
		}
	}
}

func TestEnsureOfAnUnchangedProjectIsOneRequest(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, nil)
	want := sdk.Want{Path: "mirrors/p", Description: " x:  A thing\r\n", LFS: true}
	ensure(t, c, want)
	fake.Forget()
	if have := ensure(t, c, want); have.Created {
		t.Error("the project is made twice")
	}
	if diff := cmp.Diff([]string{"GET /api/v4/projects/mirrors%2Fp"}, fake.Requests()); diff != "" {
		t.Error(diff)
	}
}

func TestManyProjectsOfAGroupAskForItOnce(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, nil)
	for _, name := range []string{"a", "b", "c", "d"} {
		ensure(t, c, sdk.Want{Path: "mirrors/" + name})
	}
	asked := 0
	for _, r := range fake.Requests() {
		if strings.Contains(r, "/groups/mirrors") {
			asked++
			if !strings.Contains(r, "with_projects=false") {
				t.Errorf("the group's projects come along: %s", r)
			}
		}
	}
	if asked != 1 {
		t.Errorf("want the group asked for once, got %d", asked)
	}
}

func TestVisibilityIsClampedToTheParents(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	fake.AddGroup("closed", "private")
	c := downstream(t, address, nil)
	have := ensure(t, c, sdk.Want{Path: "closed/sub/p", Visibility: sdk.VisibilityPublic})
	if diff := cmp.Diff([]string{"visibility"}, have.Unsupported); diff != "" {
		t.Errorf("unsupported (-want +got):\n%s", diff)
	}
	if p, _ := fake.Project("closed/sub/p"); p.Visibility != "private" || fake.GroupVisibility("closed/sub") != "private" {
		t.Errorf("want all private, got %q in %q", p.Visibility, fake.GroupVisibility("closed/sub"))
	}
	fake.Forget()
	have = ensure(t, c, sdk.Want{Path: "closed/sub/p", Visibility: sdk.VisibilityPublic})
	if diff := cmp.Diff([]string{"visibility"}, have.Unsupported); diff != "" || len(fake.Requests()) != 1 {
		t.Errorf("again: %s, %q", diff, fake.Requests())
	}
}

func TestEnsureBringsAProjectInLine(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	fake.AddProject(gitlabfake.Project{Path: "mirrors/p", Description: "old", Visibility: "public"})
	c := downstream(t, address, map[string]any{"visibility": "private"})
	ensure(t, c, sdk.Want{Path: "mirrors/p", Description: "new", LFS: true})
	p, _ := fake.Project("mirrors/p")
	if p.Description != "new" || !p.LFS || p.Visibility != "public" {
		t.Errorf("want a new description, LFS, and the visibility left alone, got %+v", p)
	}
	ensure(t, c, sdk.Want{Path: "mirrors/p", Visibility: sdk.VisibilityInternal})
	if p, _ := fake.Project("mirrors/p"); p.Visibility != "internal" || p.Description != "new" {
		t.Errorf("want internal, got %+v", p)
	}
}

func TestLostRaceIsSuccess(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	fake.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		// Another core is faster, each time.
		switch r.Method + " " + r.URL.EscapedPath() {
		case "POST /api/v4/groups":
			fake.AddGroup("mirrors", "private")
		case "POST /api/v4/projects":
			if _, ok := fake.Project("mirrors/p"); !ok {
				fake.AddProject(gitlabfake.Project{Path: "mirrors/p", Branches: []string{}})
			}
		}
		return false
	})
	have := ensure(t, downstream(t, address, nil), sdk.Want{Path: "mirrors/p"})
	if have.Created || have.URL != address+"/mirrors/p.git" {
		t.Errorf("want the other's project, got %+v", have)
	}
}

func TestEightAtOnceMakeOneProject(t *testing.T) {
	t.Parallel()
	_, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, nil)
	plugintest.MakesOne(t, c, "mirrors/sub/p")
}

func TestRefusalsOfEnsure(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		opts    gitlabfake.Options
		prepare func(*gitlabfake.Server)
		path    string
		kind    sdk.Kind
		says    string // in fact or hint
	}{
		{name: "one component", path: "p", kind: sdk.Invalid, says: "two components"},
		{name: "plus", path: "mirrors/gtk+", kind: sdk.Invalid, says: `'+'`},
		{name: "git suffix", path: "mirrors/x.git", kind: sdk.Invalid, says: "ends in .git"},
		{name: "atom suffix", path: "mirrors/x.Atom/y", kind: sdk.Invalid, says: ".atom"},
		{name: "dash", path: "mirrors/-x", kind: sdk.Invalid, says: "dash"},
		{name: "reserved below", path: "mirrors/wikis", kind: sdk.Invalid, says: "reserved"},
		{name: "reserved on top", path: "Admin/x", kind: sdk.Invalid, says: "reserved"},
		{name: "too deep", path: strings.Repeat("a/", 21) + "p", kind: sdk.Invalid, says: "levels"},
		{name: "no top-level groups", opts: gitlabfake.Options{NoTopGroups: true}, path: "mirrors/p", kind: sdk.Denied, says: "top-level group by hand"},
		{name: "hidden group", prepare: func(s *gitlabfake.Server) { s.HideGroup("mirrors") }, path: "mirrors/p", kind: sdk.Conflict, says: "something else"},
		{name: "hidden project", prepare: func(s *gitlabfake.Server) { s.AddProject(gitlabfake.Project{Path: "mirrors/p", Hidden: true}) }, path: "mirrors/p", kind: sdk.Conflict, says: "something hidden"},
		{name: "renamed", prepare: func(s *gitlabfake.Server) {
			s.AddProject(gitlabfake.Project{Path: "mirrors/p"})
			s.Rename("mirrors/p", "mirrors/q")
		}, path: "mirrors/p", kind: sdk.Conflict, says: `"mirrors/q" now`},
		{name: "renamed group", prepare: func(s *gitlabfake.Server) {
			s.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
				found := r.URL.EscapedPath() == "/api/v4/groups/mirrors"
				if found {
					_, _ = w.Write([]byte(`{"id": 7, "full_path": "moved", "visibility": "private"}`))
				}
				return found
			})
		}, path: "mirrors/p", kind: sdk.Conflict, says: `group "mirrors" is "moved" now`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			fake, address := serve(t, tc.opts)
			if tc.prepare != nil {
				tc.prepare(fake)
			}
			_, err := downstream(t, address, nil).Ensure(t.Context(), sdk.Want{Path: tc.path})
			plugintest.WantTold(t, err, tc.kind, tc.says)
			if tc.kind == sdk.Invalid && len(fake.Requests()) > 0 {
				t.Errorf("a name that can't be is asked for: %q", fake.Requests())
			}
		})
	}
}

func TestProjectsThatTakeNoPushAreTold(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*gitlabfake.Project){
		"archived":                          func(p *gitlabfake.Project) { p.Archived = true },
		"pull mirror":                       func(p *gitlabfake.Project) { p.Mirror = true },
		"marked for deletion on 2026-12-01": func(p *gitlabfake.Project) { p.DeletionOn = "2026-12-01" },
		"switched off":                      func(p *gitlabfake.Project) { p.RepositoryDisabled = true },
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			fake, address := serve(t, gitlabfake.Options{})
			fake.AddProject(gitlabfake.Project{Path: "mirrors/p"})
			fake.Change("mirrors/p", change)
			have := ensure(t, downstream(t, address, nil), sdk.Want{Path: "mirrors/p", Description: "other"})
			if !strings.Contains(have.ReadOnlyReason, says) {
				t.Errorf("want a reason with %q, got %q", says, have.ReadOnlyReason)
			}
		})
	}
}

func TestDefaultBranchFollowsThePush(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, nil)
	want := sdk.Want{Path: "mirrors/p", Head: "refs/heads/trunk"}
	ensure(t, c, want)
	push(t, fake, gitlabfake.Push{Branches: []string{"devel", "trunk"}})
	if p, _ := fake.Project("mirrors/p"); p.DefaultBranch != "devel" {
		t.Fatalf("the fake chooses %q", p.DefaultBranch)
	}
	for range 2 {
		if err := c.AfterPush(t.Context(), want); err != nil {
			t.Fatal(err)
		}
	}
	if p, _ := fake.Project("mirrors/p"); p.DefaultBranch != "trunk" {
		t.Errorf("want trunk, got %q", p.DefaultBranch)
	}
	push(t, fake, gitlabfake.Push{Delete: []string{"devel"}})
	want.Head = "refs/heads/missing"
	plugintest.WantTold(t, c.AfterPush(t.Context(), want), sdk.NotFound, `does not take "missing"`)
}

// GitLab takes a default branch for a project without a repository, and ignores
// it in silence.
func TestDefaultBranchThatIsIgnoredIsTold(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, nil)
	want := sdk.Want{Path: "mirrors/p", Head: "refs/heads/trunk"}
	ensure(t, c, want)
	plugintest.WantTold(t, c.AfterPush(t.Context(), want), sdk.NotFound, `does not take "trunk"`)
	if p, _ := fake.Project("mirrors/p"); p.DefaultBranch != "" {
		t.Errorf("the fake took %q", p.DefaultBranch)
	}
}

func push(t *testing.T, fake *gitlabfake.Server, p gitlabfake.Push) {
	t.Helper()
	if err := fake.Push("mirrors/p", p); err != nil {
		t.Fatalf("pushing: %v", err)
	}
}

func TestProtectionIsRemovedOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	for _, remove := range []bool{false, true} {
		fake, address := serve(t, gitlabfake.Options{})
		c := downstream(t, address, map[string]any{"unprotect-branches": remove})
		want := sdk.Want{Path: "mirrors/p", Head: "refs/heads/main"}
		ensure(t, c, want)
		push(t, fake, gitlabfake.Push{Branches: []string{"main"}})
		fake.Change("mirrors/p", func(p *gitlabfake.Project) { p.Protected = append(p.Protected, "release/*") })
		if err := c.AfterPush(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		err := fake.Push("mirrors/p", gitlabfake.Push{Force: []string{"main"}})
		if refused := err != nil; refused == remove {
			t.Errorf("unprotect-branches=%v: rewriting gives %v", remove, err)
		}
		if p, _ := fake.Project("mirrors/p"); remove && len(p.Protected) > 0 {
			t.Errorf("still protected: %q", p.Protected)
		}
	}
}

func TestPointersWithoutObjectsArePushedWhenLFSIsOff(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, nil)
	ensure(t, c, sdk.Want{Path: "mirrors/p"})
	push(t, fake, gitlabfake.Push{Branches: []string{"main"}, Pointers: true})
	ensure(t, c, sdk.Want{Path: "mirrors/p", LFS: true})
	if err := fake.Push("mirrors/p", gitlabfake.Push{Branches: []string{"main"}, Pointers: true}); err == nil {
		t.Error("LFS was not switched on")
	}
}

func TestRetireArchives(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	fake.AddProject(gitlabfake.Project{Path: "mirrors/p"})
	fake.AddProject(gitlabfake.Project{Path: "mirrors/moved"})
	fake.Rename("mirrors/moved", "mirrors/theirs")
	c := downstream(t, address, nil)
	for _, path := range []string{"mirrors/p", "mirrors/p", "mirrors/none", "mirrors/moved", "mirrors/p.atom"} {
		if err := c.Retire(t.Context(), path); err != nil {
			t.Errorf("retiring %q: %v", path, err)
		}
	}
	if p, _ := fake.Project("mirrors/p"); !p.Archived {
		t.Error("the project is not archived")
	}
	if p, _ := fake.Project("mirrors/theirs"); p.Archived {
		t.Error("a project with another path is archived")
	}
}

func TestArchivedProjectsAreRevivedOnlyWhenAskedFor(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	ensure(t, downstream(t, address, nil), sdk.Want{Path: "mirrors/p", LFS: true})
	c := downstream(t, address, nil)
	if err := c.Retire(t.Context(), "mirrors/p"); err != nil {
		t.Fatal(err)
	}
	if have := ensure(t, c, sdk.Want{Path: "mirrors/p", LFS: true}); !strings.Contains(have.ReadOnlyReason, "archived") {
		t.Errorf("an archived project is told as %q", have.ReadOnlyReason)
	}
	if p, _ := fake.Project("mirrors/p"); !p.Archived {
		t.Fatal("it was revived unasked")
	}
	if have := ensure(t, c, sdk.Want{Path: "mirrors/p", LFS: true, Revive: true}); have.ReadOnlyReason != "" {
		t.Errorf("a revived project is told as %q", have.ReadOnlyReason)
	}
	if p, _ := fake.Project("mirrors/p"); p.Archived {
		t.Error("the project is still archived")
	}
}

func TestLFSFollowsTheWish(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	c := downstream(t, address, nil)
	for _, lfs := range []bool{true, false, true} {
		ensure(t, c, sdk.Want{Path: "mirrors/p", LFS: lfs})
		if p, _ := fake.Project("mirrors/p"); p.LFS != lfs {
			t.Errorf("wished %v, got %v", lfs, p.LFS)
		}
	}
}

func TestNamesThatNeedAnotherTitle(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	ensure(t, downstream(t, address, nil), sdk.Want{Path: "mirrors/.github"})
	if _, ok := fake.Project("mirrors/.github"); !ok {
		t.Error("there is no project")
	}
}

func TestUsersOwnNamespace(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	fake.AddUser("jo")
	if have := ensure(t, downstream(t, address, nil), sdk.Want{Path: "jo/p"}); !have.Created {
		t.Errorf("got %+v", have)
	}
}
