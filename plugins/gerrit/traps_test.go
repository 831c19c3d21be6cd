package gerrit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	integration "github.com/lorry-controller/lorry-controller/integration/gerrit"
	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gerritfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

const canary = "CANARY-t0k3n"

func TestMain(m *testing.M) {
	sshfake.Relay()
	goleak.VerifyTestMain(m)
}

// serve gives an account of a server that answers as handler does.
func serve(t *testing.T, handler http.Handler) integration.Account {
	t.Helper()
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	return integration.Account{Password: canary, Settings: map[string]any{"http-url": srv.URL, "username": "lorry"}}
}

func fake(n int) *gerritfake.Gerrit {
	g := gerritfake.New()
	g.Password = canary
	for i := range n {
		g.Put(fmt.Sprintf("p/%05d", i), gerritfake.Project{
			Description: fmt.Sprint("Number ", i), Private: i%2 == 0, PermissionsOnly: i%100 == 7,
			Branches: map[string]string{"refs/heads/master": fmt.Sprintf("%040d", i)},
		})
	}
	return g
}

func listing(t *testing.T, c *host.Client) ([]string, error) {
	t.Helper()
	var names []string
	for repo, err := range c.Repos(t.Context()) {
		if err != nil {
			return names, err
		}
		names = append(names, repo.Path)
	}
	return names, nil
}

// Gerrit counts before it leaves projects out by type, so that a page may be
// short, and without its mark, although more follow.
func TestShortPagesAreNotTheEnd(t *testing.T) {
	t.Parallel()
	for _, cap := range []int{0, 100, 2} {
		t.Run(fmt.Sprint("at most ", cap), func(t *testing.T) {
			t.Parallel()
			n := 1204
			if cap == 2 {
				n = 30
			}
			g := fake(n)
			g.MaxPage = cap
			got, err := listing(t, integration.Session(t, sdk.RoleUpstream, serve(t, g), nil))
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			for i := range n {
				if i%100 != 7 {
					want = append(want, fmt.Sprintf("p/%05d", i))
				}
			}
			if !slices.Equal(want, got) {
				t.Errorf("%d projects are listed, want %d", len(got), len(want))
			}
			if requests := len(g.Requests()); cap == 0 && requests != 9 {
				t.Errorf("%d requests, want 3 for each of 3 pages", requests)
			}
		})
	}
}

func TestListingThatShiftsIsNotComplete(t *testing.T) {
	t.Parallel()
	g := fake(1204)
	account := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("S") == "499" {
			g.Remove("p/00003") // a project of the page before
		}
		g.ServeHTTP(w, r)
	}))
	_, err := listing(t, integration.Session(t, sdk.RoleUpstream, account, nil))
	plugintest.WantFact(t, err, sdk.Unavailable, "came or went")
}

func TestUsersAskBelowSlashA(t *testing.T) {
	t.Parallel()
	g := fake(10)
	account := serve(t, g)
	got, err := listing(t, integration.Session(t, sdk.RoleUpstream, account, nil))
	if err != nil || len(got) != 9 {
		t.Errorf("%d projects (%v), want 9", len(got), err)
	}
	for _, request := range g.Requests() {
		if !strings.HasPrefix(request, "GET /a/projects/?") || strings.Contains(request, canary) {
			t.Errorf("request %q", request)
		}
	}
	account.Password = "wrong"
	_, err = listing(t, integration.Session(t, sdk.RoleUpstream, account, nil))
	plugintest.WantFact(t, err, sdk.Unauthenticated, "401")
	nobody := integration.Account{Settings: map[string]any{"http-url": account.Settings["http-url"]}}
	got, err = listing(t, integration.Session(t, sdk.RoleUpstream, nobody, nil))
	if err != nil || len(got) != 4 {
		t.Errorf("%d public projects (%v), want 4", len(got), err)
	}
}

func TestWhatIsListedCanBeChosen(t *testing.T) {
	t.Parallel()
	g := gerritfake.New()
	g.Password = canary
	g.Put("active", gerritfake.Project{})
	g.Put("old", gerritfake.Project{State: "READ_ONLY"})
	g.Put("hidden", gerritfake.Project{State: "HIDDEN"})
	g.Put(`qu"ote`, gerritfake.Project{})
	g.Put("rights", gerritfake.Project{PermissionsOnly: true})
	g.Put("All-Users", gerritfake.Project{}) // some servers don't mark it
	account := serve(t, g)
	for archived, want := range map[string][]string{"include": {"active", "old"}, "skip": {"active"}, "only": {"old"}} {
		got, err := listing(t, integration.Session(t, sdk.RoleUpstream, account, map[string]any{"archived": archived, "hint-branches": []any{}}))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("archived = %s (-want +got):\n%s", archived, diff)
		}
	}
	for _, request := range g.Requests() {
		if strings.Contains(request, "b=") {
			t.Errorf("commits were asked for although there are no hint-branches: %s", request)
		}
	}
}

func TestUnchangedProjectCostsOneRequest(t *testing.T) {
	t.Parallel()
	g := fake(0)
	g.Put("there", gerritfake.Project{Description: "Same as ever"})
	down := integration.Session(t, sdk.RoleDownstream, serve(t, g), nil)
	for range 2 {
		if _, err := down.Ensure(t.Context(), sdk.Want{Path: "there", Description: "Same\nas ever", Head: "refs/heads/main"}); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"GET /a/projects/there", "GET /a/projects/there"}, g.Requests()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
}

func TestLostRaceOfCreationIsSuccess(t *testing.T) {
	t.Parallel()
	g := fake(0)
	account := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			g.Put("race", gerritfake.Project{}) // somebody else is faster
		}
		g.ServeHTTP(w, r)
	}))
	have, err := integration.Session(t, sdk.RoleDownstream, account, nil).Ensure(t.Context(), sdk.Want{Path: "race"})
	if err != nil || have.Created || have.URL == "" {
		t.Errorf("%+v, %v", have, err)
	}
}

func TestReadOnlyProjectIsTold(t *testing.T) {
	t.Parallel()
	g := fake(0)
	g.Put("old", gerritfake.Project{State: "READ_ONLY"})
	have, err := integration.Session(t, sdk.RoleDownstream, serve(t, g), nil).Ensure(t.Context(), sdk.Want{Path: "old", Description: "New", LFS: true, Visibility: sdk.VisibilityPublic})
	if err != nil || have.ReadOnlyReason != "the project's state is READ_ONLY" {
		t.Errorf("%+v, %v", have, err)
	}
	if diff := cmp.Diff([]string{"visibility", "lfs"}, have.Unsupported); diff != "" {
		t.Errorf("unsupported (-want +got):\n%s", diff)
	}
}

func TestServersThatAreNotGerrit(t *testing.T) {
	t.Parallel()
	var stolen atomic.Bool
	elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _, ok := r.BasicAuth()
		stolen.Store(stolen.Load() || ok)
	}))
	t.Cleanup(elsewhere.Close)
	page := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.WriteHeader(status)
			_, _ = fmt.Fprint(w, body)
		}
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		kind    sdk.Kind
		words   string
	}{
		"HTML with 200":        {page(200, "text/html", "<html>Log in</html>"), sdk.Unavailable, "not Gerrit's"},
		"JSON without a guard": {page(200, "application/json", "{}"), sdk.Unavailable, "not Gerrit's"},
		"nothing":              {page(200, "application/json", ""), sdk.Unavailable, "not Gerrit's"},
		"another JSON":         {page(200, "application/json", ")]}'\n[]"), sdk.Internal, "where"},
		"half an answer":       {page(200, "application/json", ")]}'\n{\"a\":{\"id\":"), sdk.Unavailable, "broke off"},
		"too many requests":    {page(429, "text/plain", "slow down"), sdk.RateLimited, "left alone"},
		"forbidden":            {page(403, "text/plain", "not for you"), sdk.Denied, "not for you"},
		"a broken proxy":       {page(502, "text/html", "<html>secret page</html>"), sdk.Unavailable, "502"},
		"a redirect elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+r.URL.RequestURI(), http.StatusFound)
		}, sdk.Invalid, "redirects"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			account := serve(t, tc.handler)
			_, err := listing(t, integration.Session(t, sdk.RoleUpstream, account, nil))
			plugintest.WantFact(t, err, tc.kind, tc.words)
			if strings.Contains(err.Error(), "secret page") {
				t.Errorf("a page is in %q", err)
			}
			_, err = integration.Session(t, sdk.RoleDownstream, account, nil).Ensure(t.Context(), sdk.Want{Path: "a"})
			if err == nil {
				t.Error("Ensure has no error")
			}
		})
	}
	t.Cleanup(func() {
		if stolen.Load() {
			t.Error("the password followed a redirect to another host")
		}
	})
}

func TestPasswordStaysOffPlainHTTP(t *testing.T) {
	t.Parallel()
	account := integration.Account{Password: canary, Settings: map[string]any{"http-url": "http://gerrit.example.invalid/", "username": "lorry"}}
	_, err := listing(t, integration.Session(t, sdk.RoleUpstream, account, nil))
	plugintest.WantFact(t, err, sdk.Denied, "no password is sent to gerrit.example.invalid over plain http")
}
