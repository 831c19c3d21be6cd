package gitanossh

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

func TestMain(m *testing.M) {
	sshfake.Relay()
	goleak.VerifyTestMain(m)
}

// session configures the adapter over the real protocol, in this process.
func session(t *testing.T, s host.Settings) *host.Client {
	t.Helper()
	plugin := sdk.Define("gitano", Open)
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(sdk.ServerOptions(hclog.NewNullLogger())...)
	sdk.Serve(plugin, server, hclog.NewNullLogger())
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	conn, err := grpc.NewClient("passthrough:adapter", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		serving.Wait()
	})
	c := host.NewClient(conn, host.Deadlines{})
	diags, err := c.Configure(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range diags {
		if d.Severity == sdk.SeverityError {
			t.Fatalf("settings: %+v", d)
		}
	}
	return c
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
	return session(t, host.Settings{Role: sdk.RoleUpstream, Values: map[string]any{
		"host": "127.0.0.1", "ssh-port": float64(s.Port()), "ssh-user": s.User(), "protocol": "ssh",
		"ssh-known-hosts": s.KnownHosts(), "ssh-identity-file": s.IdentityFile(),
	}})
}

func downstream(t *testing.T, s *sshfake.Server) *host.Client {
	t.Helper()
	return session(t, host.Settings{Role: sdk.RoleDownstream, Values: map[string]any{
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
