package gitea

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// forge is a server that the scenario runs against: the fake, or a real one.
// Everything goes through the API alone, so that both can be treated alike.
type forge struct {
	t              *testing.T
	name           string
	address, token string
}

// forges gives the fake and, when LORRY_TEST_GITEA_URL and
// LORRY_TEST_GITEA_TOKEN (of an admin, with all scopes) name one, a real Gitea
// or Forgejo. What the fake does wrong shows where the two differ.
func forges(t *testing.T) []forge {
	t.Helper()
	_, address := serve(t, giteafake.Options{})
	list := []forge{{t, "fake", address, canary}}
	if url := os.Getenv("LORRY_TEST_GITEA_URL"); url != "" {
		list = append(list, forge{t, "real", strings.TrimRight(url, "/"), os.Getenv("LORRY_TEST_GITEA_TOKEN")})
	} else if tool.Required("gitea") {
		t.Fatal("LORRY_TEST_GITEA_URL is not set, but LORRY_TEST_REQUIRE wants a real Gitea")
	}
	return list
}

// call asks the API directly.
func (f forge) call(method, path string, body any) (status int, answer map[string]any) {
	f.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		f.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.address+"/api/v1"+path, bytes.NewReader(raw))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("Authorization", "token "+f.token)
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	_ = json.NewDecoder(resp.Body).Decode(&answer) // not every answer has one
	client.CloseIdleConnections()
	return resp.StatusCode, answer
}

func (f forge) must(want int, method, path string, body any) map[string]any {
	f.t.Helper()
	got, answer := f.call(method, path, body)
	if got != want {
		f.t.Fatalf("%s: %s %s: want status %d, got %d: %v", f.name, method, path, want, got, answer)
	}
	return answer
}

func (f forge) branch(path, name string) {
	f.t.Helper()
	f.must(http.StatusCreated, "POST", "/repos/"+path+"/contents/of-"+name, map[string]any{"content": "eA==", "message": "m", "new_branch": name})
}

func (f forge) session(role sdk.Role, more map[string]any) *host.Client {
	settings := with(f.address, more)
	settings["access-token"] = f.token
	return session(f.t, role, settings)
}

// unique makes names that no earlier run has left on a real server.
func unique(prefix string) string {
	return fmt.Sprintf("%s%x", prefix, time.Now().UnixNano())
}

func TestScenario(t *testing.T) {
	t.Parallel()
	for _, f := range forges(t) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			f.t = t
			t.Run("lists an organisation of 120", func(t *testing.T) { f.with(t).lists() })
			t.Run("makes, pushes, changes, archives", func(t *testing.T) { f.with(t).makes() })
			t.Run("tells what was renamed", func(t *testing.T) { f.with(t).renames() })
			t.Run("maps visibilities", func(t *testing.T) { f.with(t).visibilities() })
			t.Run("checks", func(t *testing.T) { f.with(t).checks() })
		})
	}
}

func (f forge) with(t *testing.T) forge {
	t.Helper()
	f.t = t
	return f
}

func (f forge) lists() {
	org := unique("up")
	f.must(http.StatusCreated, "POST", "/orgs", map[string]any{"username": org, "visibility": "public"})
	var want []string
	for i := range 120 {
		name := fmt.Sprintf("r%03d", i)
		f.must(http.StatusCreated, "POST", "/orgs/"+org+"/repos", map[string]any{"name": name, "private": i%2 == 0})
		want = append(want, org+"/"+name)
	}
	f.must(http.StatusOK, "PATCH", "/repos/"+org+"/r007", map[string]any{"archived": true})
	for _, settings := range []map[string]any{{"organization": org}, nil} {
		var got []string
		for _, p := range plugintest.Paths(f.t, f.session(sdk.RoleUpstream, settings)) {
			if strings.HasPrefix(p, org+"/") {
				got = append(got, p)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			f.t.Errorf("%v (-want +got):\n%s", settings, diff)
		}
	}
	got := plugintest.Paths(f.t, f.session(sdk.RoleUpstream, map[string]any{"organization": org, "archived": "only", "empty": "include"}))
	if diff := cmp.Diff([]string{org + "/r007"}, got); diff != "" {
		f.t.Errorf("archived alone (-want +got):\n%s", diff)
	}
}

func (f forge) makes() {
	org := unique("down")
	path := org + "/p"
	c := f.session(sdk.RoleDownstream, nil)
	want := sdk.Want{Path: path, Description: "Ünïcödé \"quoted\" ✓", Head: "refs/heads/trunk"}
	have := ensure(f.t, c, want)
	if !have.Created || have.URL != f.address+"/"+path+".git" || have.ReadOnlyReason != "" {
		f.t.Errorf("new: got %+v", have)
	}
	if have = ensure(f.t, c, want); have.Created {
		f.t.Error("made twice")
	}
	f.branch(path, "trunk")
	f.branch(path, "devel")
	if err := c.AfterPush(f.t.Context(), want); err != nil {
		f.t.Error(err)
	}
	facts := func() [3]any {
		r := f.must(http.StatusOK, "GET", "/repos/"+path, nil)
		return [3]any{r["description"], r["default_branch"], r["private"]}
	}
	if diff := cmp.Diff([3]any{want.Description, "trunk", true}, facts()); diff != "" {
		f.t.Errorf("new (-want +got):\n%s", diff)
	}
	want.Head, want.Description = "refs/heads/devel", "Another"
	if err := c.AfterPush(f.t.Context(), want); err != nil {
		f.t.Error(err)
	}
	if diff := cmp.Diff([3]any{"Another", "devel", true}, facts()); diff != "" {
		f.t.Errorf("changed (-want +got):\n%s", diff)
	}
	want.Head = "refs/heads/missing"
	plugintest.WantTold(f.t, c.AfterPush(f.t.Context(), want), sdk.NotFound, `keeps the default branch "devel" and does not take "missing"`)
	for range 2 {
		if err := c.Retire(f.t.Context(), path); err != nil {
			f.t.Error(err)
		}
	}
	if have = ensure(f.t, c, sdk.Want{Path: path, Description: "Third"}); !strings.Contains(have.ReadOnlyReason, "archived") {
		f.t.Errorf("archived: got %+v", have)
	}
	if status, _ := f.call("POST", "/repos/"+path+"/contents/x", map[string]any{"content": "eA==", "message": "m"}); status != http.StatusLocked {
		f.t.Errorf("an archived repository takes a change with status %d", status)
	}
}

func (f forge) renames() {
	org := unique("ren")
	f.must(http.StatusCreated, "POST", "/orgs", map[string]any{"username": org})
	f.must(http.StatusCreated, "POST", "/orgs/"+org+"/repos", map[string]any{"name": "old"})
	f.must(http.StatusOK, "PATCH", "/repos/"+org+"/old", map[string]any{"name": "new"})
	f.must(http.StatusMovedPermanently, "PATCH", "/repos/"+org+"/old", map[string]any{"description": "x"})
	_, _, err := f.session(sdk.RoleUpstream, nil).Repo(f.t.Context(), org+"/old")
	plugintest.WantTold(f.t, err, sdk.NotFound, org+`/new" now`)
	_, err = f.session(sdk.RoleDownstream, nil).Ensure(f.t.Context(), sdk.Want{Path: org + "/old"})
	plugintest.WantTold(f.t, err, sdk.Conflict, org+`/new" now`)
	repo, _, err := f.session(sdk.RoleUpstream, nil).Repo(f.t.Context(), strings.ToUpper(org)+"/NEW")
	if err != nil || repo.Path != org+"/new" {
		f.t.Errorf("in upper case: %+v, %v", repo, err)
	}
}

func (f forge) visibilities() {
	for wanted, org := range map[string]string{"private": "private", "internal": "limited", "public": "public"} {
		name := unique("v")
		have := ensure(f.t, f.session(sdk.RoleDownstream, map[string]any{"visibility": wanted}), sdk.Want{Path: name + "/p"})
		o := f.must(http.StatusOK, "GET", "/orgs/"+name, nil)
		r := f.must(http.StatusOK, "GET", "/repos/"+name+"/p", nil)
		if o["visibility"] != org || r["private"] != (wanted == "private") || have.Unsupported != nil {
			f.t.Errorf("%s: got private=%v in a %v organisation, unsupported %q", wanted, r["private"], o["visibility"], have.Unsupported)
		}
		got, _, err := f.session(sdk.RoleUpstream, nil).Repo(f.t.Context(), name+"/p")
		if err != nil || string(got.Visibility) != wanted || !got.Empty {
			f.t.Errorf("%s: read back as %+v, %v", wanted, got, err)
		}
	}
}

func (f forge) checks() {
	report, err := f.session(sdk.RoleDownstream, nil).Check(f.t.Context())
	if err != nil || len(report.Diagnostics) > 0 || report.ServerVersion == "" {
		f.t.Errorf("got %+v, %v", report, err)
	}
	f.t.Logf("%s is %s", f.name, report.ServerVersion)
	f.token = "0000000000000000000000000000000000000000"
	_, err = f.session(sdk.RoleDownstream, nil).Check(f.t.Context())
	plugintest.WantTold(f.t, err, sdk.Unauthenticated, "token")
}
