package forges

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gitea"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitserver"
)

// canary is the token of the fakes; it must show up nowhere.
const canary = "glpat-CANARY_0123456789"

// forge is a server that is spoken to as its people do: by its own API and by
// git, never through the code under test.
type forge struct {
	kind           string // gitea or gitlab
	name           string // of the server, for people
	address, token string
	requests       func() []string // nil: not known
}

// host is the forge's name in CONFGIT.
func (f forge) host() string {
	u, err := url.Parse(f.address)
	if err != nil {
		return f.address
	}
	return u.Host
}

func store(t *testing.T, whole bool) *gitserver.Store {
	t.Helper()
	gittest.Require(t, "git")
	s, err := gitserver.New(t.TempDir(), whole)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	return server.URL
}

func fakeGitea(t *testing.T) (*giteafake.Server, forge) {
	t.Helper()
	fake := giteafake.New(giteafake.Options{Token: canary, ExternalURL: "https://wrong.invalid", PushLag: 1, Git: store(t, false)})
	return fake, forge{"gitea", "fake", serve(t, fake), canary, fake.Requests}
}

func fakeGitLab(t *testing.T) (*gitlabfake.Server, forge) {
	t.Helper()
	fake := gitlabfake.New(gitlabfake.Options{Token: canary, ExternalURL: "https://wrong.invalid", Git: store(t, true)})
	return fake, forge{"gitlab", "fake", serve(t, fake), canary, fake.Requests}
}

// givenForges are the real servers that the environment names.
func givenForges(t *testing.T) []forge {
	t.Helper()
	var list []forge
	if s, ok := gitea.Given(); ok {
		list = append(list, forge{"gitea", s.Name, s.URL, s.Token, nil})
	}
	if program := os.Getenv("LORRY_TEST_GITEA_BIN"); program != "" {
		s := gitea.StartProgram(t, program)
		list = append(list, forge{"gitea", s.Name, s.URL, s.Token, nil})
	}
	if address := os.Getenv("LORRY_TEST_GITLAB_URL"); address != "" {
		list = append(list, forge{"gitlab", "given", strings.TrimRight(address, "/"), os.Getenv("LORRY_TEST_GITLAB_TOKEN"), nil})
	}
	return list
}

// call asks the API of a forge.
func (f forge) call(t *testing.T, method, path string, body any) (status int, answer map[string]any) {
	t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	base, scheme := "/api/v1", "token "
	if f.kind == "gitlab" {
		base, scheme = "/api/v4", "Bearer "
	}
	req, err := http.NewRequestWithContext(t.Context(), method, f.address+base+path, bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", scheme+f.token)
	req.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: patience}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if raw, err = io.ReadAll(resp.Body); err != nil {
		t.Fatal(err)
	}
	_ = json.Unmarshal(raw, &answer) // a list or nothing is no map
	return resp.StatusCode, answer
}

func (f forge) must(t *testing.T, method, path string, body any) map[string]any {
	t.Helper()
	status, answer := f.call(t, method, path, body)
	if status < 200 || status > 299 {
		t.Fatalf("%s %s: %s %s: status %d: %v", f.kind, f.name, method, path, status, answer)
	}
	return answer
}

// group makes an organisation or group, which everybody sees, and gives its id.
func (f forge) group(t *testing.T, name string) any {
	t.Helper()
	if f.kind == "gitlab" {
		return f.must(t, "POST", "/groups", map[string]any{"name": name, "path": name, "visibility": "public"})["id"]
	}
	return f.must(t, "POST", "/orgs", map[string]any{"username": name, "visibility": "public"})["id"]
}

func (f forge) create(t *testing.T, group string, id any, name, description string, private bool) {
	t.Helper()
	if f.kind == "gitlab" {
		visibility := "public"
		if private {
			visibility = "private"
		}
		f.must(t, "POST", "/projects", map[string]any{"name": name, "path": name, "namespace_id": id, "description": description, "visibility": visibility})
		return
	}
	f.must(t, "POST", "/orgs/"+group+"/repos", map[string]any{"name": name, "description": description, "private": private})
}

// one is the address of a repository in the API.
func (f forge) one(path string) string {
	if f.kind == "gitlab" {
		return "/projects/" + url.PathEscape(path)
	}
	return "/repos/" + path
}

func (f forge) change(t *testing.T, path string, what map[string]any) {
	t.Helper()
	method := "PATCH"
	if f.kind == "gitlab" {
		method = "PUT"
	}
	f.must(t, method, f.one(path), what)
}

func (f forge) rename(t *testing.T, path, to string) {
	t.Helper()
	if f.kind == "gitlab" {
		f.change(t, path, map[string]any{"path": to, "name": to})
		return
	}
	f.change(t, path, map[string]any{"name": to})
}

func (f forge) archive(t *testing.T, path string) {
	t.Helper()
	if f.kind == "gitlab" {
		f.must(t, "POST", f.one(path)+"/archive", nil)
		return
	}
	f.change(t, path, map[string]any{"archived": true})
}

// unprotect lets a branch be rewritten, where forges protect it by themselves.
func (f forge) unprotect(t *testing.T, path, branch string) {
	t.Helper()
	if f.kind == "gitlab" {
		f.must(t, "DELETE", f.one(path)+"/protected_branches/"+branch, nil)
	}
}

// facts are what a mirror is compared by.
type facts struct {
	Default, Description, Visibility string
	Archived                         bool
}

func (f forge) facts(t *testing.T, path string) (facts, bool) {
	t.Helper()
	status, answer := f.call(t, "GET", f.one(path), nil)
	if status == http.StatusNotFound {
		return facts{}, false
	}
	text := func(key string) string {
		s, _ := answer[key].(string)
		return s
	}
	got := facts{Default: text("default_branch"), Description: text("description"), Visibility: text("visibility"), Archived: answer["archived"] == true}
	if f.kind == "gitea" {
		got.Visibility = "public"
		if answer["private"] == true {
			got.Visibility = "private"
		}
	}
	return got, true
}

// git runs git with the forge's token, which goes through the environment.
func (f forge) git(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	basic := base64.StdEncoding.EncodeToString([]byte("oauth2:" + f.token))
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"--git-dir=" + dir}, args...)...)
	cmd.Env = append(slices.DeleteFunc(gittest.Env(), func(e string) bool { return strings.HasPrefix(e, "GIT_CONFIG_") }),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http."+f.address+"/.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic "+basic,
		"GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func (f forge) push(t *testing.T, from *gittest.Repo, path string, refspecs ...string) {
	t.Helper()
	if out, err := f.git(t, from.Dir, append([]string{"push", "-q", f.address + "/" + path + ".git"}, refspecs...)...); err != nil {
		t.Fatalf("pushing to %s: %v\n%s", path, err, out)
	}
}

// refs gives HEAD, branches and tags of a repository as git sees them.
func (f forge) refs(t *testing.T, path string) string {
	t.Helper()
	out, err := f.git(t, ".", "ls-remote", "--symref", f.address+"/"+path+".git", "HEAD", "refs/heads/*", "refs/tags/*")
	if err != nil {
		t.Fatalf("reading the refs of %s: %v\n%s", path, err, out)
	}
	return out
}

// unique makes names that no earlier run has left on a real server.
func unique(prefix string) string { return fmt.Sprintf("%s%x", prefix, time.Now().UnixNano()) }
