package gitlab

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
)

func many(fake *gitlabfake.Server, prefix string, n int) []string {
	var want []string
	for i := range n {
		path := fmt.Sprintf("%s/p%05d", prefix, i)
		fake.AddProject(gitlabfake.Project{Path: path})
		want = append(want, path)
	}
	return want
}

func TestInstanceIsListedByKeysetThoughTheLinksNameAnotherHost(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 99, 100, 101, 350} {
		fake, address := serve(t, gitlabfake.Options{})
		want := many(fake, "acme/sub", n)
		got := plugintest.Paths(t, upstream(t, address, nil))
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%d projects (-want +got):\n%s", n, diff)
		}
		if requests := fake.Requests(); len(requests) != n/100+1 {
			t.Errorf("%d projects: want %d requests, got %q", n, n/100+1, requests)
		}
		for _, r := range fake.Requests() {
			if strings.Contains(r, "&page=") {
				t.Errorf("paged by offset: %s", r)
			}
		}
	}
}

func TestInstanceOfAnOldGitLabIsListedByOffset(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{NoKeyset: true})
	want := many(fake, "acme", 230)
	if diff := cmp.Diff(want, plugintest.Paths(t, upstream(t, address, nil))); diff != "" {
		t.Error(diff)
	}
}

func TestPagesAreFoundWithoutTheLinkHeader(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{NoKeyset: true})
	want := many(fake, "acme", 230)
	inner, dropping := fake, true
	fake.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if !dropping || r.Header.Get("X-Seen") != "" {
			return false
		}
		r.Header.Set("X-Seen", "1")
		inner.ServeHTTP(&linkless{w}, r)
		return true
	})
	if diff := cmp.Diff(want, plugintest.Paths(t, upstream(t, address, nil))); diff != "" {
		t.Error(diff)
	}
}

// linkless is a proxy that drops the header Link.
type linkless struct{ http.ResponseWriter }

func (l *linkless) WriteHeader(status int) {
	l.Header().Del("Link")
	l.ResponseWriter.WriteHeader(status)
}

func TestGroupIsListedWithSubgroupsAndWithoutSharedProjects(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	want := append(many(fake, "acme", 3), many(fake, "acme/sub/deep", 120)...)
	many(fake, "other", 2)
	fake.AddProject(gitlabfake.Project{Path: "other/shared", SharedWith: []string{"acme"}})
	if diff := cmp.Diff(want, plugintest.Paths(t, upstream(t, address, map[string]any{"group": "acme"}))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(append(want, "other/shared"), plugintest.Paths(t, upstream(t, address, map[string]any{"group": "acme", "with-shared": true}))); diff != "" {
		t.Error(diff)
	}
}

func TestGroupBeyondTheOffsetLimitIsListedBySubgroup(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{MaxOffset: 200})
	var want []string
	for _, g := range []string{"acme/a", "acme/b", "acme/b/inner", "acme/c"} {
		want = append(want, many(fake, g, 90)...)
	}
	want = append(want, many(fake, "acme/z", 120)...)
	for _, with := range []string{"acme", "acme/b"} {
		fake.AddProject(gitlabfake.Project{Path: "other/shared-with-" + path.Base(with), SharedWith: []string{with}})
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, plugintest.Paths(t, upstream(t, address, map[string]any{"group": []any{"acme"}}))); diff != "" {
		t.Error(diff)
	}
}

func TestGroupThatCannotBePagedIsNotComplete(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{MaxOffset: 200})
	many(fake, "acme", 350)
	err := plugintest.ListError(t, upstream(t, address, map[string]any{"group": "acme"}))
	if sdk.KindOf(err) != sdk.Unavailable || !strings.Contains(err.Error(), "not complete") {
		t.Errorf("want a listing that is not complete, got %v", err)
	}
}

func TestUserIsListed(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	fake.AddUser("jo")
	want := many(fake, "jo", 101)
	many(fake, "acme", 2)
	if diff := cmp.Diff(want, plugintest.Paths(t, upstream(t, address, map[string]any{"user": "jo"}))); diff != "" {
		t.Error(diff)
	}
}

// Pages by offset lose a row when an earlier one goes away between them.
func TestListingDuringWhichRowsGoIsNotComplete(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	many(fake, "acme", 150)
	pages := 0
	fake.Intercept(func(http.ResponseWriter, *http.Request) bool {
		if pages++; pages == 2 {
			fake.Remove("acme/p00000")
		}
		return false
	})
	err := plugintest.ListError(t, upstream(t, address, map[string]any{"group": "acme"}))
	if sdk.KindOf(err) != sdk.Unavailable || !strings.Contains(err.Error(), "not complete") || pages != 2 {
		t.Errorf("want a listing that is not complete, got %v after %d pages", err, pages)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	for _, p := range []gitlabfake.Project{
		{Path: "a/plain"},
		{Path: "a/archived", Archived: true},
		{Path: "a/fork", Fork: true},
		{Path: "a/empty", Branches: []string{}},
		{Path: "a/private", Visibility: "private"},
		{Path: "a/topical", Topics: []string{"go", "mirror"}},
		{Path: "a/doomed", DeletionOn: "2026-12-01"},
		{Path: "a/off", RepositoryDisabled: true},
		{Path: "a/wiki", Wiki: true},
	} {
		fake.AddProject(p)
	}
	for _, tc := range []struct {
		name     string
		settings map[string]any
		want     []string
	}{
		{"none", nil, []string{"a/archived", "a/empty", "a/fork", "a/plain", "a/private", "a/topical", "a/wiki"}},
		{"without archived", map[string]any{"archived": "skip"}, []string{"a/empty", "a/fork", "a/plain", "a/private", "a/topical", "a/wiki"}},
		{"archived alone", map[string]any{"archived": "only"}, []string{"a/archived"}},
		{"without forks", map[string]any{"forks": "skip"}, []string{"a/archived", "a/empty", "a/plain", "a/private", "a/topical", "a/wiki"}},
		{"forks alone", map[string]any{"forks": "only"}, []string{"a/fork"}},
		{"without empty", map[string]any{"empty": "skip", "archived": "skip"}, []string{"a/fork", "a/plain", "a/private", "a/topical", "a/wiki"}},
		{"private alone", map[string]any{"visibilities": "private"}, []string{"a/private"}},
		{"two visibilities", map[string]any{"visibilities": "private,internal"}, []string{"a/private"}},
		{"topics", map[string]any{"topics": "mirror,go"}, []string{"a/topical"}},
		{"wikis", map[string]any{"wikis": true, "archived": "skip", "forks": "skip", "empty": "skip", "visibilities": "public"}, []string{"a/plain", "a/topical", "a/wiki", "a/wiki.wiki"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, plugintest.Paths(t, upstream(t, address, tc.settings))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRepoGivesFactsAndAccess(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	id := fake.AddProject(gitlabfake.Project{
		Path: "acme/sub/p", Description: "A thing", Branches: []string{"trunk"}, Visibility: "internal", Fork: true, Wiki: true, Activity: "2026-01-02T03:04:05Z",
	})
	fact := func(cloneURL string) sdk.Repo {
		return sdk.Repo{
			ID: fmt.Sprint(id), Path: "acme/sub/p", CloneURL: cloneURL, Head: "refs/heads/trunk", Description: "A thing",
			Visibility: sdk.VisibilityInternal, Fork: true, ChangeHint: "2026-01-02T03:04:05Z",
		}
	}
	name := strings.TrimPrefix(address, "http://")
	for _, tc := range []struct {
		name     string
		settings map[string]any
		repo     sdk.Repo
		access   sdk.Access
		secret   string
	}{
		{"http", map[string]any{"protocol": "http"}, fact(address + "/acme/sub/p.git"), sdk.Access{URL: address + "/acme/sub/p.git", Username: "oauth2"}, canary},
		{"by name", map[string]any{"protocol": "http", "host": name, "http-url": nil}, fact(address + "/acme/sub/p.git"), sdk.Access{URL: address + "/acme/sub/p.git", Username: "oauth2"}, canary},
		{"ssh as GitLab says", map[string]any{"protocol": "ssh"}, fact("ssh://git@wrong.invalid/acme/sub/p.git"), sdk.Access{URL: "ssh://git@wrong.invalid/acme/sub/p.git"}, ""},
		{"ssh as configured", map[string]any{"protocol": "ssh", "ssh-url": "git@ssh.example.com:"}, fact("ssh://git@ssh.example.com/acme/sub/p.git"), sdk.Access{URL: "ssh://git@ssh.example.com/acme/sub/p.git"}, ""},
		{"ssh with a port", map[string]any{"protocol": "ssh", "ssh-url": "ssh://git@ssh.example.com:2222"}, fact("ssh://git@ssh.example.com:2222/acme/sub/p.git"), sdk.Access{URL: "ssh://git@ssh.example.com:2222/acme/sub/p.git"}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			repo, access, err := upstream(t, address, tc.settings).Repo(t.Context(), "acme/sub/p")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.repo, repo); diff != "" {
				t.Errorf("repository (-want +got):\n%s", diff)
			}
			if access.Secret.Reveal() != tc.secret {
				t.Errorf("want the secret %q, got %q", tc.secret, access.Secret.Reveal())
			}
			access.Secret = sdk.Secret{}
			if diff := cmp.Diff(tc.access, access, cmp.Comparer(func(a, b sdk.Secret) bool { return a == b })); diff != "" {
				t.Errorf("access (-want +got):\n%s", diff)
			}
		})
	}
}

func TestRepoThatIsNotThere(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	fake.AddProject(gitlabfake.Project{Path: "acme/old"})
	fake.Rename("acme/old", "acme/new")
	fake.AddProject(gitlabfake.Project{Path: "acme/doomed", DeletionOn: "2026-12-01"})
	c := upstream(t, address, nil)
	for _, path := range []string{"acme/none", "acme/old", "acme/doomed"} {
		if _, _, err := c.Repo(t.Context(), path); err == nil || sdk.KindOf(err) != sdk.NotFound {
			t.Errorf("%s: want not-found, got %v", path, err)
		}
	}
	if _, _, err := c.Repo(t.Context(), "acme/old"); !strings.Contains(err.Error(), `"acme/new"`) {
		t.Errorf("want the new path to be told, got %v", err)
	}
	if _, _, err := c.Repo(t.Context(), "acme/../acme/new"); err == nil || sdk.KindOf(err) != sdk.Invalid {
		t.Errorf("want invalid, got %v", err)
	}
}

func TestPublicProjectsAreSeenWithoutAToken(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, gitlabfake.Options{})
	fake.AddProject(gitlabfake.Project{Path: "acme/open"})
	fake.AddProject(gitlabfake.Project{Path: "acme/closed", Visibility: "private"})
	c := upstream(t, address, map[string]any{"host": "gitlab.example.com", "private-token": ""})
	if diff := cmp.Diff([]string{"acme/open"}, plugintest.Paths(t, c)); diff != "" {
		t.Error(diff)
	}
	_, access, err := c.Repo(t.Context(), "acme/open")
	if err != nil || access.Username != "" || !access.Secret.Empty() {
		t.Errorf("want access without a credential, got %+v, %v", access, err)
	}
}

func TestMissingGroupIsToldNotEmpty(t *testing.T) {
	t.Parallel()
	_, address := serve(t, gitlabfake.Options{})
	plugintest.WantTold(t, plugintest.ListError(t, upstream(t, address, map[string]any{"group": "none"})), sdk.Denied, `"none"`)
}

// A host that wants to be left alone is asked once, and its pause is told.
func TestRateLimitsReachTheCore(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		header map[string]string
		wait   time.Duration
	}{
		"Retry-After":     {map[string]string{"Retry-After": "33"}, 33 * time.Second},
		"RateLimit-Reset": {map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": "44"}, 44 * time.Second},
		"nothing":         {nil, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fake, address := serve(t, gitlabfake.Options{})
			many(fake, "acme", 150)
			asked := 0
			fake.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
				if asked++; asked == 1 {
					return false
				}
				for k, v := range tc.header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(http.StatusTooManyRequests)
				return true
			})
			err := plugintest.ListError(t, upstream(t, address, nil))
			plugintest.WantTold(t, err, sdk.RateLimited, "")
			var e *sdk.Error
			if !errors.As(err, &e) || e.RetryAfter != tc.wait || asked != 2 {
				t.Errorf("want a pause of %v after 2 requests, got %v after %d", tc.wait, e.RetryAfter, asked)
			}
		})
	}
}
