package gitano_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/plugins/gitano"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

func TestMain(m *testing.M) {
	sshfake.Relay()
	goleak.VerifyTestMain(m)
}

// serve starts a real sshd that answers as a Gitano server.
func serve(t *testing.T, handler sshfake.Handler) *sshfake.Server {
	t.Helper()
	if sshfake.Program() == "" {
		if required := "," + os.Getenv("LORRY_TEST_REQUIRE") + ","; strings.Contains(required, ",all,") || strings.Contains(required, ",sshd,") {
			t.Fatal("sshd is required and missing")
		}
		t.Skip("sshd is not installed")
	}
	s, err := sshfake.Start(handler)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func upstream(s *sshfake.Server) sdktest.Host {
	return sdktest.Host{Settings: map[string]any{
		"host": "127.0.0.1", "protocol": "ssh", "ssh-port": float64(s.Port()), "ssh-user": s.User(),
		"ssh-known-hosts": s.KnownHosts(), "ssh-identity-file": s.IdentityFile(),
	}}
}

func fixture(t *testing.T) sdktest.Fixture {
	t.Helper()
	repos := []string{"delta/one", "delta/group/two", "baserock/three", "four"}
	up, down := &sshfake.Gitano{}, &sshfake.Gitano{User: "lorry"}
	for _, p := range append([]string{"gitano-admin"}, repos...) {
		up.Add(p, "RW", "refs/heads/master", "About "+p)
	}
	// The suite looks for goroutines at its end: every server runs before it.
	var many atomic.Pointer[sshfake.Gitano]
	manyServer := serve(t, func(req sshfake.Request) sshfake.Answer { return many.Load().Handle(req) })
	upServer, downServer := serve(t, up.Handle), serve(t, down.Handle)
	return sdktest.Fixture{
		Upstream: upstream(upServer),
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
			return upstream(manyServer), nil
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

func TestConformance(t *testing.T) { sdktest.Conform(t, gitano.Plugin(), fixture(t)) }

func TestConformanceOfTheProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lorry-adapter-gitano")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/lorry-adapter-gitano").CombinedOutput(); err != nil {
		t.Fatalf("building: %v: %s", err, out)
	}
	fx := fixture(t)
	fx.Seed = nil // the same code listed them in process
	sdktest.ConformBinary(t, path, fx)
}
