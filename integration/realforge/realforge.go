// Package realforge tries the built adapter of a forge on a running server: the
// life of one mirror with real git, and the conformance suite.
//
// It is for tests alone. What forges differ in is told by a Forge; it must not
// know any by name.
package realforge

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

// Forge is a kind of forge.
type Forge struct {
	// Program is the package of its adapter's program.
	Program string
	// Token is the setting with the token, Below the one that limits a listing
	// to what is below a group.
	Token, Below string
	// Push are further settings of a Downstream Host that is pushed to.
	Push map[string]any
	// Repo is the path of a repository below its group.
	Repo string
	// Refs are the prefixes of the refs that a copy has; none is all.
	Refs []string
	// MaxDepth is that of the suite's fixture.
	MaxDepth int
}

// Server is one running server.
type Server struct {
	// Name is for people.
	Name, URL, Token string
	// Parent is a group below which everything is made, with a trailing slash,
	// or "".
	Parent string
}

// Adapter is the built program of a Forge.
type Adapter struct {
	forge Forge
	path  string
	open  suite.Open
}

// Build builds the adapter. What runs of it ends with the test.
func (f Forge) Build(t *testing.T) Adapter {
	t.Helper()
	path := sdktest.Build(t, f.Program)
	launcher := host.NewLauncher()
	t.Cleanup(launcher.Close)
	return Adapter{f, path, suite.OpenProgram(launcher, path)}
}

// Run tries the adapter on a server.
func (a Adapter) Run(t *testing.T, s Server) {
	t.Helper()
	report, err := a.session(t, sdk.RoleDownstream, s, nil).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s is %s", s.Name, report.ServerVersion)
	t.Run("git", func(t *testing.T) { a.mirrors(t, s) })
	t.Run("conformance", func(t *testing.T) { a.conforms(t, s) })
}

// session starts the adapter and configures it for a server.
func (a Adapter) session(t *testing.T, role sdk.Role, s Server, more map[string]any) *host.Client {
	t.Helper()
	conn, err := a.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := conn.Stop(); err != nil {
			t.Error(err)
		}
	})
	values := map[string]any{"http-url": s.URL, "insecure-credentials": true}
	maps.Copy(values, more)
	diags, err := conn.Configure(t.Context(), host.Settings{
		Instance: "test", Role: role, Values: values, Secrets: map[string]sdk.Secret{a.forge.Token: sdk.NewSecret(s.Token)},
	})
	if err != nil || slices.ContainsFunc(diags, func(d sdk.Diagnostic) bool { return d.Severity == sdk.SeverityError }) {
		t.Fatalf("configuring: %v, %v", diags, err)
	}
	return conn.Client
}

// conforms runs the suite.
func (a Adapter) conforms(t *testing.T, s Server) {
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
	secrets := map[string]string{a.forge.Token: s.Token}
	sdktest.ConformBinary(t, a.path, sdktest.Fixture{
		Upstream:   sdktest.Host{Settings: map[string]any{"http-url": s.URL, "insecure-credentials": true, a.forge.Below: group}, Secrets: secrets},
		Repos:      repos,
		Downstream: sdktest.Host{Settings: map[string]any{"http-url": s.URL, "insecure-credentials": true}, Secrets: secrets},
		Prefix:     s.Parent + unique("conform"),
		MaxDepth:   a.forge.MaxDepth,
	})
}

// unique makes names that no earlier run has left on the server.
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

// seed makes the repository that is mirrored.
func seed(t *testing.T) *gittest.Repo {
	t.Helper()
	return gittest.Seed(t, filepath.Join(t.TempDir(), "seed.git"))
}
