package gitlab

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// forge is a server that the scenario runs against: the fake, or a real one.
// Everything goes through the API alone, so that both can be treated alike.
type forge struct {
	t              *testing.T
	name           string
	address, token string
	// parent is a group on a server that takes no top-level groups, with a
	// trailing slash, or "".
	parent string
}

// forges gives the fake and, when LORRY_TEST_GITLAB_URL and
// LORRY_TEST_GITLAB_TOKEN (scope api) name one, a real GitLab. There,
// everything is made below the group LORRY_TEST_GITLAB_GROUP if that is set.
func forges(t *testing.T) []forge {
	t.Helper()
	_, address := serve(t, gitlabfake.Options{})
	list := []forge{{t: t, name: "fake", address: address, token: canary}}
	if address := os.Getenv("LORRY_TEST_GITLAB_URL"); address != "" {
		real := forge{t: t, name: "real", address: strings.TrimRight(address, "/"), token: os.Getenv("LORRY_TEST_GITLAB_TOKEN")}
		if group := os.Getenv("LORRY_TEST_GITLAB_GROUP"); group != "" {
			real.parent = group + "/"
		}
		list = append(list, real)
	} else if tool.Required("gitlab") {
		t.Fatal("LORRY_TEST_GITLAB_URL is not set, but LORRY_TEST_REQUIRE wants a real GitLab")
	}
	return list
}

// must asks the API directly.
func (f forge) must(want int, method, path string, body any) map[string]any {
	f.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		f.t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.address+"/api/v4"+path, bytes.NewReader(raw))
	if err != nil {
		f.t.Fatal(err)
	}
	req.Header.Set("PRIVATE-TOKEN", f.token)
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&answer) // not every answer has one
	if resp.StatusCode != want {
		f.t.Fatalf("%s: %s %s: want status %d, got %d: %v", f.name, method, path, want, resp.StatusCode, answer)
	}
	return answer
}

func (f forge) project(path string) map[string]any {
	f.t.Helper()
	return f.must(http.StatusOK, "GET", "/projects/"+url.PathEscape(path), nil)
}

// branch makes a branch with a commit, without git.
func (f forge) branch(path, name string) {
	f.t.Helper()
	body := map[string]any{
		"branch": name, "commit_message": "m",
		"actions": []any{map[string]any{"action": "create", "file_path": "of-" + name, "content": "x"}},
	}
	if b, _ := f.project(path)["default_branch"].(string); b != "" {
		body["start_branch"] = b
	}
	f.must(http.StatusCreated, "POST", "/projects/"+url.PathEscape(path)+"/repository/commits", body)
}

func (f forge) session(role sdk.Role, more map[string]any) *host.Client {
	settings := with(f.address, more)
	settings["private-token"] = f.token
	return session(f.t, role, settings)
}

// unique makes names that no earlier run has left on a real server.
func (f forge) unique(prefix string) string {
	return fmt.Sprintf("%s%s%x", f.parent, prefix, time.Now().UnixNano())
}

func TestScenario(t *testing.T) {
	t.Parallel()
	for _, f := range forges(t) {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			in := func(name string, run func(forge)) {
				t.Run(name, func(t *testing.T) {
					f := f
					f.t = t
					run(f)
				})
			}
			in("lists a group of 120", forge.lists)
			in("makes, pushes, changes, archives", forge.makes)
			in("keeps within the parent's visibility", forge.visibilities)
			in("checks", forge.checks)
		})
	}
}

func (f forge) lists() {
	group := f.unique("up")
	down := f.session(sdk.RoleDownstream, nil)
	var want []string
	for i := range 120 {
		path := fmt.Sprintf("%s/r%03d", group, i)
		if i%2 == 1 {
			path = fmt.Sprintf("%s/sub/r%03d", group, i)
		}
		ensure(f.t, down, sdk.Want{Path: path})
		want = append(want, path)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, plugintest.Paths(f.t, f.session(sdk.RoleUpstream, map[string]any{"group": group}))); diff != "" {
		f.t.Errorf("(-want +got):\n%s", diff)
	}
	if err := down.Retire(f.t.Context(), want[7]); err != nil {
		f.t.Fatal(err)
	}
	if diff := cmp.Diff(want[7:8], plugintest.Paths(f.t, f.session(sdk.RoleUpstream, map[string]any{"group": group, "archived": "only"}))); diff != "" {
		f.t.Errorf("archived alone (-want +got):\n%s", diff)
	}
}

func (f forge) makes() {
	path := f.unique("down") + "/sub/p"
	c := f.session(sdk.RoleDownstream, map[string]any{"unprotect-branches": true})
	want := sdk.Want{Path: path, Description: "Ünïcödé \"quoted\" ✓", Head: "refs/heads/devel"}
	if have := ensure(f.t, c, want); !have.Created || have.URL != f.address+"/"+path+".git" || have.ReadOnlyReason != "" {
		f.t.Errorf("new: got %+v", have)
	}
	if have := ensure(f.t, c, want); have.Created {
		f.t.Error("made twice")
	}
	f.branch(path, "trunk")
	f.branch(path, "devel")
	if err := c.AfterPush(f.t.Context(), want); err != nil {
		f.t.Fatal(err)
	}
	p := f.project(path)
	if diff := cmp.Diff([]any{want.Description, "devel", "private", false}, []any{p["description"], p["default_branch"], p["visibility"], p["lfs_enabled"]}); diff != "" {
		f.t.Errorf("(-want +got):\n%s", diff)
	}
	want.Head = "refs/heads/missing"
	plugintest.WantTold(f.t, c.AfterPush(f.t.Context(), want), sdk.NotFound, `does not take "missing"`)
	for range 2 {
		if err := c.Retire(f.t.Context(), path); err != nil {
			f.t.Error(err)
		}
	}
	if have := ensure(f.t, c, sdk.Want{Path: path, Description: "Third"}); !strings.Contains(have.ReadOnlyReason, "archived") {
		f.t.Errorf("archived: got %+v", have)
	}
}

func (f forge) visibilities() {
	group := f.unique("v")
	ensure(f.t, f.session(sdk.RoleDownstream, map[string]any{"visibility": "private"}), sdk.Want{Path: group + "/first"})
	have := ensure(f.t, f.session(sdk.RoleDownstream, map[string]any{"visibility": "public"}), sdk.Want{Path: group + "/sub/second"})
	if v := f.project(group + "/sub/second")["visibility"]; v != "private" || !slices.Contains(have.Unsupported, "visibility") {
		f.t.Errorf("got %v, unsupported %q", v, have.Unsupported)
	}
}

func (f forge) checks() {
	report, err := f.session(sdk.RoleDownstream, nil).Check(f.t.Context())
	if err != nil || report.ServerVersion == "" {
		f.t.Errorf("got %+v, %v", report, err)
	}
	f.t.Logf("%s is %s: %v", f.name, report.ServerVersion, report.Diagnostics)
	f.token = "glpat-00000000000000000000"
	_, err = f.session(sdk.RoleDownstream, nil).Check(f.t.Context())
	plugintest.WantTold(f.t, err, sdk.Unauthenticated, "token")
}
