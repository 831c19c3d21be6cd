package gerrit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/gerrit"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gerritfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

func fixture(t *testing.T) sdktest.Fixture {
	t.Helper()
	repos := []string{"one", "group/two", "group/two/three", "with space", "ünïcode"}
	up, down := gerritfake.New(), gerritfake.New()
	for _, name := range repos {
		up.Put(name, gerritfake.Project{Description: "About " + name, Head: "refs/heads/main", Branches: map[string]string{"refs/heads/main": strings.Repeat("a", 40)}})
	}
	// The suite looks for goroutines at its end: every server runs before it.
	var many atomic.Pointer[gerritfake.Gerrit]
	many.Store(up)
	reach := func(g http.Handler) sdktest.Host {
		srv := httptest.NewServer(g)
		t.Cleanup(srv.Close)
		return sdktest.Host{
			Settings: map[string]any{"http-url": srv.URL, "username": up.User}, Secrets: map[string]string{"password": up.Password},
		}
	}
	seeded := reach(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { many.Load().ServeHTTP(w, r) }))
	seeded.Settings["host"] = "gerrit.example.com"
	fx := sdktest.Fixture{
		Upstream: reach(up), Repos: repos, Downstream: reach(down),
		Seed: func(n int) (sdktest.Host, error) {
			g := gerritfake.New()
			for i := range n {
				g.Put(fmt.Sprintf("group%d/repo%d", i%10, i), gerritfake.Project{})
			}
			many.Store(g)
			return seeded, nil
		},
		Verify: verify(down),
	}
	fx.Upstream.Settings["host"] = "gerrit.example.com"
	return fx
}

// verify looks into the fake.
func verify(g *gerritfake.Gerrit) func(sdk.Want, sdk.Have) error {
	return func(want sdk.Want, _ sdk.Have) error {
		p, ok := g.Get(want.Path)
		switch {
		case !ok:
			return fmt.Errorf("there is no such project")
		case len(p.Branches) > 0:
			return fmt.Errorf("it has an initial commit")
		case want.Description != "" && p.Description != want.Description:
			return fmt.Errorf("the description is %q", p.Description)
		}
		return nil
	}
}

func TestConformance(t *testing.T) { sdktest.Conform(t, gerrit.Plugin(), fixture(t)) }

func TestConformanceBySSH(t *testing.T) {
	fx := fixture(t)
	up, down := gerritfake.New(), gerritfake.New()
	for _, name := range fx.Repos {
		up.Put(name, gerritfake.Project{})
	}
	reach := func(g *gerritfake.Gerrit) sdktest.Host {
		s := sshfake.Serve(t, g.Handle)
		return sdktest.Host{Settings: map[string]any{"ssh-url": s.URL(), "ssh-known-hosts": s.KnownHosts(), "ssh-identity-file": s.IdentityFile()}}
	}
	fx.Upstream, fx.Downstream, fx.Seed, fx.Verify = reach(up), reach(down), nil, verify(down)
	fx.Upstream.Settings["host"], fx.Upstream.Settings["protocol"] = "gerrit.example.com", "ssh"
	sdktest.Conform(t, gerrit.Plugin(), fx)
}

func TestConformanceOfTheProgram(t *testing.T) {
	fx := fixture(t)
	fx.Seed = nil // the same code listed them in process
	sdktest.ConformBinary(t, sdktest.Build(t, "../../cmd/lorry-adapter-gerrit"), fx)
}
