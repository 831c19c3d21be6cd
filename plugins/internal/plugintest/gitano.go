package plugintest

import (
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

// GitanoUpstream are the settings with which an Upstream Host that runs Gitano
// is reached.
func GitanoUpstream(s *sshfake.Server) map[string]any {
	return map[string]any{
		"host": "127.0.0.1", "protocol": "ssh", "ssh-port": float64(s.Port()), "ssh-user": s.User(),
		"ssh-known-hosts": s.KnownHosts(), "ssh-identity-file": s.IdentityFile(),
	}
}

// GitanoFixture has real sshds that answer as Gitano servers.
func GitanoFixture(t testing.TB) sdktest.Fixture {
	t.Helper()
	repos := []string{"delta/one", "delta/group/two", "baserock/three", "four"}
	up, down := &sshfake.Gitano{}, &sshfake.Gitano{User: "lorry"}
	for _, p := range append([]string{"gitano-admin"}, repos...) {
		up.Add(p, "RW", "refs/heads/master", "About "+p)
	}
	// The suite looks for goroutines at its end: every server runs before it.
	var many atomic.Pointer[sshfake.Gitano]
	manyServer := sshfake.Serve(t, func(req sshfake.Request) sshfake.Answer { return many.Load().Handle(req) })
	upServer, downServer := sshfake.Serve(t, up.Handle), sshfake.Serve(t, down.Handle)
	return sdktest.Fixture{
		Upstream: sdktest.Host{Settings: GitanoUpstream(upServer)},
		Repos:    repos,
		Downstream: sdktest.Host{Settings: map[string]any{
			"ssh-url": downServer.URL(), "ssh-known-hosts": downServer.KnownHosts(), "ssh-identity-file": downServer.IdentityFile(),
		}},
		Seed: func(n int) (sdktest.Host, error) {
			g := &sshfake.Gitano{}
			for i := range n {
				g.Add(fmt.Sprintf("delta/%d/repo%d", i%10, i), "R", "refs/heads/master", "")
			}
			many.Store(g)
			return sdktest.Host{Settings: GitanoUpstream(manyServer)}, nil
		},
		Verify: func(want sdk.Want, _ sdk.Have) error {
			if got := down.Config(want.Path, "project.description"); want.Description != "" && got != want.Description {
				return fmt.Errorf("the description is %q", got)
			}
			if got := down.Config(want.Path, "project.owner"); got != "lorry" {
				return fmt.Errorf("the owner is %q", got)
			}
			return nil
		},
	}
}
