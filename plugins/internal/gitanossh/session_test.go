package gitanossh

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/session"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

func TestMain(m *testing.M) {
	sshfake.Relay()
	goleak.VerifyTestMain(m)
}

// configured speaks to the adapter over the real protocol, in this process.
func configured(t *testing.T, s host.Settings) *host.Client {
	t.Helper()
	c, err := session.Open(t.Context(), sdk.Define("gitano", Open), s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.End() })
	return c.Client
}

// server starts a real sshd that answers as a Gitano server.
func server(t *testing.T, g *sshfake.Gitano) *sshfake.Server {
	t.Helper()
	if sshfake.Program() == "" {
		for name := range strings.SplitSeq(os.Getenv("LORRY_TEST_REQUIRE"), ",") {
			if name == "all" || name == "sshd" {
				t.Fatal("sshd is required and missing")
			}
		}
		t.Skip("sshd is not installed")
	}
	s, err := sshfake.Start(g.Handle)
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

func upstream(t *testing.T, s *sshfake.Server) *host.Client {
	t.Helper()
	return configured(t, host.Settings{Role: sdk.RoleUpstream, Values: map[string]any{
		"host": "127.0.0.1", "ssh-port": float64(s.Port()), "ssh-user": s.User(), "protocol": "ssh",
		"ssh-known-hosts": s.KnownHosts(), "ssh-identity-file": s.IdentityFile(),
	}})
}

func downstream(t *testing.T, s *sshfake.Server) *host.Client {
	t.Helper()
	return configured(t, host.Settings{Role: sdk.RoleDownstream, Values: map[string]any{
		"ssh-url": s.URL(), "http-url": "https://git.example.com/", "visibility": "private",
		"ssh-known-hosts": s.KnownHosts(), "ssh-identity-file": s.IdentityFile(),
	}})
}

// listing gives what is listed as "PATH URL" lines.
func listing(t *testing.T, c *host.Client) ([]string, error) {
	t.Helper()
	var lines []string
	for repo, err := range c.Repos(t.Context()) {
		if err != nil {
			return lines, err
		}
		lines = append(lines, repo.Path+" "+repo.CloneURL)
	}
	return lines, nil
}

// wantError looks at an error's kind and at words of its fact or hint.
func wantError(t *testing.T, err error, kind sdk.Kind, words string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", kind)
	}
	if got := sdk.KindOf(err); got != kind || !strings.Contains(err.Error(), words) {
		t.Errorf("error is %s: %v, want %s with %q", got, err, kind, words)
	}
}
