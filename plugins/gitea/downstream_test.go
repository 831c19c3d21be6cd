package gitea

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
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

func TestEnsureOfAnUnchangedRepositoryIsOneRequest(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	c := downstream(t, address, nil)
	want := sdk.Want{Path: "mirrors/p", Description: " x: A thing\r\n", Head: "refs/heads/main", Visibility: sdk.VisibilityPrivate}
	if have := ensure(t, c, want); !have.Created || have.Unsupported != nil {
		t.Errorf("got %+v", have)
	}
	fake.Forget()
	if have := ensure(t, c, want); have.Created {
		t.Error("it is made twice")
	}
	if diff := cmp.Diff([]string{"GET /api/v1/repos/mirrors/p"}, fake.Requests()); diff != "" {
		t.Error(diff)
	}
}

// Two flags of the forge make three visibilities; never may more people read
// than was asked for.
func TestVisibilities(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		wanted, org string // org "" does not exist before
		gotOrg      string
		private     bool
		unsupported []string
	}{
		{"private", "", "private", true, nil},
		{"internal", "", "limited", false, nil},
		{"public", "", "public", false, nil},
		{"internal", "public", "public", true, []string{"visibility"}},
		{"public", "limited", "limited", false, []string{"visibility"}},
		{"public", "private", "private", false, []string{"visibility"}},
		{"internal", "limited", "limited", false, nil},
		{"private", "public", "public", true, nil},
	} {
		t.Run(tc.wanted+" in "+tc.org, func(t *testing.T) {
			t.Parallel()
			fake, address := serve(t, giteafake.Options{})
			if tc.org != "" {
				fake.AddOrg("mirrors", tc.org)
			}
			c := downstream(t, address, map[string]any{"visibility": tc.wanted})
			have := ensure(t, c, sdk.Want{Path: "mirrors/p"})
			r, _ := fake.Repo("mirrors/p")
			if fake.OrgVisibility("mirrors") != tc.gotOrg || r.Private != tc.private {
				t.Errorf("got private=%v in a %s organisation", r.Private, fake.OrgVisibility("mirrors"))
			}
			if diff := cmp.Diff(tc.unsupported, have.Unsupported); diff != "" {
				t.Errorf("unsupported (-want +got):\n%s", diff)
			}
			fake.Forget()
			again := ensure(t, c, sdk.Want{Path: "mirrors/p", Visibility: sdk.Visibility(tc.wanted)})
			if diff := cmp.Diff(tc.unsupported, again.Unsupported); diff != "" || len(fake.Requests()) != 1 {
				t.Errorf("again: %s, %q", diff, fake.Requests())
			}
		})
	}
}

func TestLostRaceIsSuccess(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	fake.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		switch r.Method + " " + r.URL.Path {
		case "POST /api/v1/orgs":
			fake.AddOrg("mirrors", "private")
		case "POST /api/v1/orgs/mirrors/repos":
			if _, ok := fake.Repo("mirrors/p"); !ok {
				fake.AddRepo(giteafake.Repo{Path: "Mirrors/P", Branches: []string{}})
			}
		}
		return false
	})
	have := ensure(t, downstream(t, address, nil), sdk.Want{Path: "mirrors/p"})
	if have.Created || !strings.EqualFold(have.URL, address+"/mirrors/p.git") {
		t.Errorf("want the other's repository, got %+v", have)
	}
}

func TestEightAtOnceMakeOneRepository(t *testing.T) {
	t.Parallel()
	_, address := serve(t, giteafake.Options{})
	c := downstream(t, address, nil)
	plugintest.MakesOne(t, c, "mirrors/p")
}

func TestRefusalsOfEnsure(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		opts    giteafake.Options
		prepare func(*giteafake.Server)
		path    string
		kind    sdk.Kind
		says    string
	}{
		{name: "one component", path: "p", kind: sdk.Invalid, says: "it has 1 components, but Gitea has exactly ORGANISATION/REPOSITORY"},
		{name: "three components", path: "mirrors/a/b", kind: sdk.Invalid, says: "it has 3 components"},
		{name: "plus", path: "mirrors/gtk+", kind: sdk.Invalid, says: `'+'`},
		{name: "wiki suffix", path: "mirrors/x.Wiki", kind: sdk.Invalid, says: "ends in .wiki"},
		{name: "two dots", path: "mirrors/a..b", kind: sdk.Invalid, says: "two dots"},
		{name: "long", path: "mirrors/" + strings.Repeat("x", 101), kind: sdk.Invalid, says: "more than 100"},
		{name: "reserved", path: "Api/x", kind: sdk.Invalid, says: "reserved"},
		{name: "organisation with a pair", path: "a--b/x", kind: sdk.Invalid, says: "in a row"},
		{name: "no organisations", opts: giteafake.Options{NoOrgs: true}, path: "mirrors/p", kind: sdk.Denied, says: "make the organisation by hand"},
		{name: "quota", opts: giteafake.Options{Quota: 1}, prepare: func(s *giteafake.Server) { s.AddRepo(giteafake.Repo{Path: "a/b"}) }, path: "mirrors/p", kind: sdk.Denied, says: "quota"},
		{name: "hidden organisation", prepare: func(s *giteafake.Server) { s.HideOrg("mirrors") }, path: "mirrors/p", kind: sdk.Conflict, says: "something hidden"},
		{name: "hidden repository", prepare: func(s *giteafake.Server) { s.AddRepo(giteafake.Repo{Path: "mirrors/p", Hidden: true}) }, path: "mirrors/p", kind: sdk.Conflict, says: "something hidden"},
		{name: "renamed", prepare: func(s *giteafake.Server) {
			s.AddRepo(giteafake.Repo{Path: "mirrors/p"})
			s.Rename("mirrors/p", "mirrors/q")
		}, path: "mirrors/p", kind: sdk.Conflict, says: `"mirrors/q" now`},
		{name: "somebody else's", opts: giteafake.Options{NotAdmin: true}, prepare: func(s *giteafake.Server) { s.AddUser("jo") }, path: "jo/p", kind: sdk.Denied, says: "right to make repositories"},
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

func TestRepositoriesThatTakeNoPushAreTold(t *testing.T) {
	t.Parallel()
	for says, change := range map[string]func(*giteafake.Repo){
		"archived":                 func(r *giteafake.Repo) { r.Archived = true },
		"mirror":                   func(r *giteafake.Repo) { r.Mirror = true },
		"code is switched off":     func(r *giteafake.Repo) { r.NoCode = true },
		"account has no right":     func(r *giteafake.Repo) { r.NoPush = true },
		"the repository is archiv": func(r *giteafake.Repo) { r.Archived, r.Mirror = true, true },
	} {
		t.Run(says, func(t *testing.T) {
			t.Parallel()
			fake, address := serve(t, giteafake.Options{})
			fake.AddRepo(giteafake.Repo{Path: "mirrors/p"})
			fake.Change("mirrors/p", change)
			have := ensure(t, downstream(t, address, nil), sdk.Want{Path: "mirrors/p", Description: "other"})
			if !strings.Contains(have.ReadOnlyReason, says) {
				t.Errorf("want a reason with %q, got %q", says, have.ReadOnlyReason)
			}
		})
	}
}

func TestRetire(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	fake.AddRepo(giteafake.Repo{Path: "mirrors/p"})
	fake.AddRepo(giteafake.Repo{Path: "mirrors/theirs"})
	fake.AddRepo(giteafake.Repo{Path: "mirrors/pull", Mirror: true})
	fake.Rename("mirrors/theirs", "mirrors/other")
	c := downstream(t, address, nil)
	for _, path := range []string{"mirrors/p", "mirrors/p", "mirrors/none", "mirrors/theirs", "mirrors/never/had"} {
		if err := c.Retire(t.Context(), path); err != nil {
			t.Errorf("retiring %q: %v", path, err)
		}
	}
	if r, _ := fake.Repo("mirrors/p"); !r.Archived {
		t.Error("it is not archived")
	}
	if r, _ := fake.Repo("mirrors/other"); r.Archived {
		t.Error("a repository with another path is archived")
	}
	plugintest.WantTold(t, c.Retire(t.Context(), "mirrors/pull"), sdk.ReadOnly, "mirror")

	if have := ensure(t, c, sdk.Want{Path: "mirrors/p"}); !strings.Contains(have.ReadOnlyReason, "archived") {
		t.Errorf("unasked, it is told as %q", have.ReadOnlyReason)
	}
	if have := ensure(t, c, sdk.Want{Path: "mirrors/p", Revive: true}); have.ReadOnlyReason != "" {
		t.Errorf("revived, it is told as %q", have.ReadOnlyReason)
	}
	if r, _ := fake.Repo("mirrors/p"); r.Archived {
		t.Error("it is still archived")
	}
}

func TestOwnAccountAndOtherUsers(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	fake.AddUser("jo")
	c := downstream(t, address, nil)
	for _, path := range []string{"lorry/p", "jo/p"} {
		if have := ensure(t, c, sdk.Want{Path: path}); !have.Created {
			t.Errorf("%s: got %+v", path, have)
		}
	}
	var made []string
	for _, r := range fake.Requests() {
		if strings.HasPrefix(r, "POST ") {
			made = append(made, r)
		}
	}
	// What is ours needs no right of an admin.
	if diff := cmp.Diff([]string{"POST /api/v1/user/repos", "POST /api/v1/admin/users/jo/repos"}, made); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

// An organisation is found as a user too, also one that was made a moment after
// we looked for an organisation of that name.
func TestAnOrganisationThatWasMadeJustNowIsNoUser(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	fake.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path == "/api/v1/users/fresh" {
			fake.AddOrg("fresh", "public")
		}
		return false
	})
	if have := ensure(t, downstream(t, address, nil), sdk.Want{Path: "fresh/p"}); !have.Created {
		t.Errorf("got %+v", have)
	}
	if !slices.Contains(fake.Requests(), "POST /api/v1/orgs/fresh/repos") {
		t.Errorf("it was not made as an organisation's: %q", fake.Requests())
	}
}

// Gitea would make HEAD of a default branch that is wished for at the creation,
// and then the first pushed branch the default one, so that the two differ.
func TestNoDefaultBranchIsWishedForAtTheCreation(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	created := ""
	fake.Intercept(func(_ http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/repos") && r.Method == http.MethodPost {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			r.Body, created = io.NopCloser(bytes.NewReader(body)), string(body)
		}
		return false
	})
	ensure(t, downstream(t, address, nil), sdk.Want{Path: "mirrors/p", Head: "refs/heads/trunk"})
	if created == "" || strings.Contains(created, "default_branch") {
		t.Errorf("created by %s", created)
	}
}

func TestSoftware(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"1.26.0":              "Gitea 1.26.0",
		"15.0.0+gitea-1.22.0": "Forgejo 15.0.0 (API of Gitea 1.22.0)",
		"development":         "Gitea development",
	} {
		fake, address := serve(t, giteafake.Options{Version: in})
		report, err := downstream(t, address, nil).Check(t.Context())
		if err != nil || report.ServerVersion != want || len(report.Diagnostics) > 0 {
			t.Errorf("%s: got %+v, %v", in, report, err)
		}
		if n := len(fake.Requests()); n > 2 {
			t.Errorf("%d requests for a check", n)
		}
	}
}

func TestCheckWithAWrongToken(t *testing.T) {
	t.Parallel()
	_, address := serve(t, giteafake.Options{})
	_, err := downstream(t, address, map[string]any{"access-token": "another-CANARY"}).Check(t.Context())
	plugintest.WantTold(t, err, sdk.Unauthenticated, "has it not expired")
}

func FuzzCheckName(f *testing.F) {
	for _, seed := range []string{"a/b", "", "/", "a/b.git", "-/x", "mirrors/gtk+", "a/b/c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if checkName(path) != nil {
			return
		}
		if strings.ContainsAny(path, " ?#%\\:@\x00\n") || strings.Count(path, "/") != 1 || strings.Contains("/"+path+"/", "/../") {
			t.Errorf("%q is taken", path)
		}
	})
}

// A forge that has not yet noticed the first push changes the name of the
// default branch alone, not HEAD.
func TestDefaultBranchWaitsUntilThePushIsNoticed(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{PushLag: 3})
	c := downstream(t, address, nil)
	want := sdk.Want{Path: "mirrors/p", Head: "refs/heads/trunk"}
	ensure(t, c, want)
	if err := fake.Push("mirrors/p", giteafake.Push{Branches: []string{"devel", "main", "trunk"}}); err != nil {
		t.Fatal(err)
	}
	if err := c.AfterPush(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if r, _ := fake.Repo("mirrors/p"); r.Head != "trunk" || r.DefaultBranch != "trunk" {
		t.Errorf("want trunk, got HEAD %q and default branch %q", r.Head, r.DefaultBranch)
	}
	if err := fake.Push("mirrors/p", giteafake.Push{Delete: []string{"main"}}); err != nil {
		t.Errorf("the old default branch can't go: %v", err)
	}
}

func TestDefaultBranchThatIsIgnoredIsTold(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	c := downstream(t, address, nil)
	want := sdk.Want{Path: "mirrors/p", Head: "refs/heads/missing"}
	ensure(t, c, want)
	if err := fake.Push("mirrors/p", giteafake.Push{Branches: []string{"main"}}); err != nil {
		t.Fatal(err)
	}
	plugintest.WantTold(t, c.AfterPush(t.Context(), want), sdk.NotFound, `does not take "missing"`)
}

func TestLongDescriptionsAreCut(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	c := downstream(t, address, nil)
	want := sdk.Want{Path: "mirrors/p", Description: "\r\n" + strings.Repeat("ü", 2040) + " 0123456789"}
	ensure(t, c, want)
	fake.Forget()
	ensure(t, c, want)
	if n := len(fake.Requests()); n != 1 {
		t.Errorf("want one request for an unchanged repository, got %d", n)
	}
}
