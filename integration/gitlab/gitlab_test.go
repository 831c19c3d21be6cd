package gitlab

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
	"github.com/lorry-controller/lorry-controller/sdk/host"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

// adapter is the built program under test.
type adapter struct {
	path     string
	launcher *host.Launcher
}

func build(t *testing.T) adapter {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lorry-adapter-gitlab")
	cmd := exec.CommandContext(t.Context(), "go", "build", "-o", path, "github.com/lorry-controller/lorry-controller/cmd/lorry-adapter-gitlab")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the adapter: %v\n%s", err, out)
	}
	launcher := host.NewLauncher()
	t.Cleanup(launcher.Close)
	return adapter{path, launcher}
}

func (a adapter) open(ctx context.Context) (*suite.Conn, error) {
	logs := &bytes.Buffer{}
	p, err := host.Launch(ctx, host.Config{
		Instance: "test", Path: a.path, Launcher: a.launcher, Redactor: host.NoRedactor(),
		Log: hclog.New(&hclog.LoggerOptions{Output: logs, Level: hclog.Debug}),
	})
	if err != nil {
		return nil, err
	}
	stopped := false
	stop := func() error {
		p.Kill(3 * time.Second)
		stopped = true
		return nil
	}
	told := func() string {
		if !stopped {
			return "" // the process may still write
		}
		return logs.String()
	}
	return &suite.Conn{Client: p.Client, Logs: told, Stop: stop}, nil
}

func (a adapter) session(t *testing.T, role sdk.Role, s Server, settings map[string]any) *host.Client {
	t.Helper()
	conn, err := a.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Stop() })
	values := map[string]any{"http-url": s.URL}
	for k, v := range settings {
		values[k] = v
	}
	diags, err := conn.Configure(t.Context(), host.Settings{
		Instance: "test", Role: role, Values: values, Secrets: map[string]sdk.Secret{"private-token": sdk.NewSecret(s.Token)},
	})
	if err != nil || slices.ContainsFunc(diags, func(d sdk.Diagnostic) bool { return d.Severity == sdk.SeverityError }) {
		t.Fatalf("configuring: %v, %v", diags, err)
	}
	return conn.Client
}

func TestServers(t *testing.T) {
	given, ok := Given()
	if !ok && len(Images()) == 0 {
		tool.Missing(t, "neither LORRY_TEST_GITLAB_URL nor LORRY_TEST_GITLAB_IMAGES names a server", "gitlab")
	}
	a := build(t)
	if ok {
		t.Run("given", func(t *testing.T) { run(t, a, given) })
	}
	for _, image := range Images() {
		t.Run(image, func(t *testing.T) { run(t, a, StartImage(t, "", image)) })
	}
}

func run(t *testing.T, a adapter, s Server) {
	report, err := a.session(t, sdk.RoleDownstream, s, nil).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is %s", s.Name, report.ServerVersion)
	t.Run("git", func(t *testing.T) { pushes(t, a, s) })
	t.Run("conformance", func(t *testing.T) { conforms(t, a, s) })
}

func unique(prefix string) string { return fmt.Sprintf("%s%x", prefix, time.Now().UnixNano()) }

// git runs git with the access that the adapter gave: the secret goes through
// the environment, for its own host alone.
func git(t *testing.T, dir string, access sdk.Access, args ...string) (string, error) {
	t.Helper()
	u, err := url.Parse(access.URL)
	if err != nil {
		t.Fatal(err)
	}
	basic := base64.StdEncoding.EncodeToString([]byte(access.Username + ":" + access.Secret.Reveal()))
	cmd := exec.CommandContext(t.Context(), "git", append([]string{"-C", dir}, args...)...)
	cmd.Env = append(slices.DeleteFunc(gittest.Env(), func(e string) bool {
		return strings.HasPrefix(e, "GIT_CONFIG_COUNT") || strings.HasPrefix(e, "GIT_CONFIG_KEY") || strings.HasPrefix(e, "GIT_CONFIG_VALUE")
	}),
		"GIT_CONFIG_COUNT=2", "GIT_CONFIG_KEY_0=http."+u.Scheme+"://"+u.Host+"/.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic "+basic,
		"GIT_CONFIG_KEY_1=http.followRedirects", "GIT_CONFIG_VALUE_1=false", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustGit(t *testing.T, dir string, access sdk.Access, args ...string) string {
	t.Helper()
	out, err := git(t, dir, access, args...)
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return out
}

// pushes follows one mirror through its life.
func pushes(t *testing.T, a adapter, s Server) {
	group := s.Parent + unique("down")
	path := group + "/sub/p"
	down := a.session(t, sdk.RoleDownstream, s, map[string]any{"unprotect-branches": true})
	want := sdk.Want{Path: path, Head: "refs/heads/main", Description: "A mirror"}
	have, err := down.Ensure(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	after := func(head string) {
		t.Helper()
		want.Head = head
		if err := down.AfterPush(t.Context(), want); err != nil {
			t.Fatalf("after the push: %v", err)
		}
		if out := mustGit(t, ".", have.Access, "ls-remote", "--symref", have.URL, "HEAD"); !strings.HasPrefix(out, "ref: "+head+"\t") {
			t.Errorf("want HEAD at %s, got %s", head, out)
		}
	}
	repo := gittest.Seed(t, filepath.Join(t.TempDir(), "seed.git"))
	mustGit(t, repo.Dir, have.Access, "push", have.URL, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
	after("refs/heads/main")
	after("refs/heads/next")
	mustGit(t, repo.Dir, have.Access, "push", have.URL, ":refs/heads/main")
	// Rewritten history is taken, since no branch is protected any more.
	repo.Rewrite("refs/heads/next", "rewritten")
	mustGit(t, repo.Dir, have.Access, "push", "--force", have.URL, "refs/heads/*:refs/heads/*")

	up := a.session(t, sdk.RoleUpstream, s, map[string]any{"group": group})
	listed := 0
	for r, err := range up.Repos(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if listed++; r.Path != path || r.Head != "refs/heads/next" || r.Empty {
			t.Errorf("listed as %+v", r)
		}
	}
	_, access, err := up.Repo(t.Context(), path)
	if err != nil || listed != 1 {
		t.Fatalf("%d projects, %v", listed, err)
	}
	copied := filepath.Join(t.TempDir(), "copy.git")
	mustGit(t, ".", access, "clone", "-q", "--mirror", access.URL, copied)
	// GitLab keeps refs of its own beside branches and tags.
	if diff := cmp.Diff(repo.Refs("refs/heads/", "refs/tags/"), gittest.OpenRepo(t, copied).Refs("refs/heads/", "refs/tags/")); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
	if err := down.Retire(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if have, err = down.Ensure(t.Context(), want); err != nil || have.ReadOnlyReason == "" {
		t.Errorf("archived: %+v, %v", have, err)
	}
	repo.Commit("refs/heads/next", "late")
	if out, err := git(t, repo.Dir, have.Access, "push", have.URL, "refs/heads/next:refs/heads/next"); err == nil {
		t.Errorf("an archived project takes a push: %s", out)
	}
}

// conforms runs the suite against the built adapter.
func conforms(t *testing.T, a adapter, s Server) {
	group := s.Parent + unique("up")
	down := a.session(t, sdk.RoleDownstream, s, nil)
	var repos []string
	for i := range 60 {
		path := fmt.Sprintf("%s/r%02d", group, i)
		if _, err := down.Ensure(t.Context(), sdk.Want{Path: path}); err != nil {
			t.Fatal(err)
		}
		repos = append(repos, path)
	}
	secrets := map[string]string{"private-token": s.Token}
	fx := sdktest.Fixture{
		Upstream:   sdktest.Host{Settings: map[string]any{"http-url": s.URL, "group": group}, Secrets: secrets},
		Repos:      repos,
		Downstream: sdktest.Host{Settings: map[string]any{"http-url": s.URL}, Secrets: secrets},
		Prefix:     s.Parent + unique("conform"),
	}
	sdktest.ConformBinary(t, a.path, fx)
}
