package gitea

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
)

func many(fake *giteafake.Server, owner string, n int) []string {
	var want []string
	for i := range n {
		path := fmt.Sprintf("%s/r%05d", owner, i)
		fake.AddRepo(giteafake.Repo{Path: path})
		want = append(want, path)
	}
	return want
}

// A page is smaller than asked for, its links lead elsewhere, and some servers
// tell neither links nor counts.
func TestListingsOfEverySizeAreWhole(t *testing.T) {
	t.Parallel()
	for _, opts := range []giteafake.Options{{}, {MaxItems: 7}, {NoPagingHeaders: true}, {MaxItems: 7, NoPagingHeaders: true}} {
		for _, n := range []int{0, 1, 49, 50, 51, 101} {
			fake, address := serve(t, opts)
			want := many(fake, "acme", n)
			fake.AddOrg("acme", "public")
			for _, settings := range []map[string]any{nil, {"organization": "acme"}, {"group": []any{"acme"}}} {
				if diff := cmp.Diff(want, plugintest.Paths(t, upstream(t, address, settings))); diff != "" {
					t.Errorf("%+v, %d repositories, %v (-want +got):\n%s", opts, n, settings, diff)
				}
			}
		}
	}
}

func TestUserIsListed(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	fake.AddUser("jo")
	want := many(fake, "jo", 60)
	many(fake, "acme", 3)
	if diff := cmp.Diff(want, plugintest.Paths(t, upstream(t, address, map[string]any{"user": "jo"}))); diff != "" {
		t.Error(diff)
	}
}

func TestMissingOrganisationIsToldNotEmpty(t *testing.T) {
	t.Parallel()
	_, address := serve(t, giteafake.Options{})
	plugintest.WantTold(t, plugintest.ListError(t, upstream(t, address, map[string]any{"organization": "none"})), sdk.Denied, `"none"`)
}

func TestRowsThatComeTwiceAreListedOnce(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	many(fake, "acme", 80)
	pages := 0
	fake.Intercept(func(http.ResponseWriter, *http.Request) bool {
		if pages++; pages == 2 {
			// Page 2 begins with what was the end of page 1.
			fake.Insert(giteafake.Repo{Path: "acme/before"})
		}
		return false
	})
	seen := map[string]bool{}
	for _, p := range plugintest.Paths(t, upstream(t, address, nil)) {
		if seen[p] {
			t.Errorf("%q is listed twice", p)
		}
		seen[p] = true
	}
	if pages != 2 || len(seen) != 80 {
		t.Errorf("want 80 repositories in 2 pages, got %d in %d", len(seen), pages)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	fake.AddOrg("limited", "limited")
	for _, r := range []giteafake.Repo{
		{Path: "a/plain"},
		{Path: "a/archived", Archived: true},
		{Path: "a/fork", Fork: true},
		{Path: "a/empty", Branches: []string{}},
		{Path: "a/mirror", Mirror: true},
		{Path: "a/private", Private: true},
		{Path: "a/topical", Topics: []string{"go"}},
		{Path: "a/off", NoCode: true},
		{Path: "limited/inside", Wiki: true},
	} {
		fake.AddRepo(r)
	}
	for _, tc := range []struct {
		name     string
		settings map[string]any
		want     []string
	}{
		{"none", nil, []string{"a/archived", "a/empty", "a/fork", "a/mirror", "a/plain", "a/private", "a/topical", "limited/inside"}},
		{"archived alone", map[string]any{"archived": "only"}, []string{"a/archived"}},
		{"least", map[string]any{"archived": "skip", "forks": "skip", "empty": "skip", "mirrors": "skip", "visibilities": "public"}, []string{"a/plain", "a/topical"}},
		{"internal", map[string]any{"visibilities": "internal"}, []string{"limited/inside"}},
		{"topics", map[string]any{"topics": "Go"}, []string{"a/topical"}},
		{"mirrors alone", map[string]any{"mirrors": "only"}, []string{"a/mirror"}},
		{"wikis", map[string]any{"wikis": true, "visibilities": "internal"}, []string{"limited/inside", "limited/inside.wiki"}},
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
	fake, address := serve(t, giteafake.Options{})
	id := fake.AddRepo(giteafake.Repo{Path: "acme/r", Description: "A thing", Branches: []string{"trunk"}, Private: true, Fork: true, Updated: "2026-01-02T03:04:05Z", Wiki: true})
	for _, tc := range []struct{ protocol, url, secret string }{
		{"http", address + "/acme/r.git", canary},
		{"ssh", "ssh://git@wrong.invalid/acme/r.git", ""},
	} {
		c := upstream(t, address, map[string]any{"protocol": tc.protocol, "wikis": true})
		repo, access, err := c.Repo(t.Context(), "acme/r")
		if err != nil {
			t.Fatal(err)
		}
		want := sdk.Repo{
			ID: fmt.Sprint(id), Path: "acme/r", CloneURL: tc.url, Head: "refs/heads/trunk", Description: "A thing",
			Visibility: sdk.VisibilityPrivate, Fork: true, ChangeHint: "2026-01-02T03:04:05Z",
		}
		if diff := cmp.Diff(want, repo); diff != "" {
			t.Errorf("repository (-want +got):\n%s", diff)
		}
		if access.URL != tc.url || access.Secret.Reveal() != tc.secret {
			t.Errorf("access: got %+v", access)
		}
		wiki, _, err := c.Repo(t.Context(), "acme/r.wiki")
		if err != nil || wiki.CloneURL != strings.TrimSuffix(tc.url, ".git")+".wiki.git" || wiki.Head != "" {
			t.Errorf("wiki: %+v, %v", wiki, err)
		}
	}
}

func TestRepoThatIsNotThere(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	fake.AddRepo(giteafake.Repo{Path: "acme/old"})
	fake.Rename("acme/old", "acme/new")
	c := upstream(t, address, nil)
	for _, path := range []string{"acme/none", "acme/old"} {
		if _, _, err := c.Repo(t.Context(), path); err == nil || sdk.KindOf(err) != sdk.NotFound {
			t.Errorf("%s: want not-found, got %v", path, err)
		}
	}
	for _, path := range []string{"", "acme", "acme/a/b", "acme/..", "/acme/new"} {
		if _, _, err := c.Repo(t.Context(), path); err == nil || sdk.KindOf(err) != sdk.Invalid {
			t.Errorf("%q: want invalid, got %v", path, err)
		}
	}
}

// Pages by offset lose a row when an earlier one goes away between them.
func TestListingDuringWhichRowsGoIsNotComplete(t *testing.T) {
	t.Parallel()
	fake, address := serve(t, giteafake.Options{})
	many(fake, "acme", 80)
	pages := 0
	fake.Intercept(func(http.ResponseWriter, *http.Request) bool {
		if pages++; pages == 2 {
			fake.Remove("acme/r00000")
		}
		return false
	})
	err := plugintest.ListError(t, upstream(t, address, nil))
	if sdk.KindOf(err) != sdk.Unavailable || !strings.Contains(err.Error(), "not complete") || pages != 2 {
		t.Errorf("want a listing that is not complete, got %v after %d pages", err, pages)
	}
}
