package gitea

import (
	"bytes"
	"context"
	"maps"
	"net"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is the token of every test; it must show up nowhere.
const canary = "gta-CANARY+/0123456789"

// connect serves the adapter over the real protocol in memory.
func connect(context.Context) (*suite.Conn, error) {
	logs := &logBuffer{}
	log := hclog.New(&hclog.LoggerOptions{Output: logs, Level: hclog.Trace})
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(sdk.ServerOptions(log)...)
	sdk.Serve(Plugin(), server, log)
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(listener) })
	conn, err := grpc.NewClient("passthrough:adapter", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }))
	if err != nil {
		return nil, err
	}
	stop := func() error {
		err := conn.Close()
		server.Stop()
		serving.Wait()
		return err
	}
	return &suite.Conn{Client: host.NewClient(conn, host.Deadlines{}), Logs: logs.String, Stop: stop}, nil
}

// session configures the adapter as the core does, and looks at the end whether
// its log has the canary.
func session(t testing.TB, role sdk.Role, settings map[string]any) *host.Client {
	t.Helper()
	conn, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := conn.Client
	t.Cleanup(func() {
		if err := client.Close(context.Background()); err != nil {
			t.Errorf("closing: %v", err)
		}
		if err := conn.Stop(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		if strings.Contains(conn.Logs(), canary) {
			t.Error("the token is in the log")
		}
	})
	s := host.Settings{Instance: "test", Role: role, Values: settings, Secrets: map[string]sdk.Secret{}}
	if token, ok := settings["access-token"].(string); ok {
		s.Values = maps.Clone(settings)
		delete(s.Values, "access-token")
		if token != "" {
			s.Secrets["access-token"] = sdk.NewSecret(token)
		}
	} else {
		s.Secrets["access-token"] = sdk.NewSecret(canary)
	}
	diags, err := client.Configure(t.Context(), s)
	if err != nil {
		t.Fatalf("configuring: %v", err)
	}
	for _, d := range diags {
		if d.Severity == sdk.SeverityError {
			t.Fatalf("the settings are refused: %v", diags)
		}
	}
	return client
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// serve starts a fake. Unless told otherwise it takes itself for a host that
// does not exist, so that whoever follows its links gets lost.
func serve(t testing.TB, opts giteafake.Options) (fake *giteafake.Server, address string) {
	t.Helper()
	if opts.ExternalURL == "" {
		opts.ExternalURL = "https://wrong.invalid"
	}
	if opts.Token == "" {
		opts.Token = canary
	}
	fake = giteafake.New(opts)
	server := httptest.NewServer(fake)
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		for _, r := range fake.Requests() {
			if strings.Contains(r, "CANARY") {
				t.Errorf("the token is in the URL of %q", r)
			}
		}
	})
	return fake, server.URL
}

// with adds settings to those that reach a server.
func with(address string, more map[string]any) map[string]any {
	s := map[string]any{"http-url": address}
	maps.Copy(s, more)
	return s
}

func upstream(t *testing.T, address string, more map[string]any) *host.Client {
	t.Helper()
	return session(t, sdk.RoleUpstream, with(address, more))
}

func downstream(t *testing.T, address string, more map[string]any) *host.Client {
	t.Helper()
	return session(t, sdk.RoleDownstream, with(address, more))
}

// list gives the sorted paths of a listing.
func list(t *testing.T, c *host.Client) []string {
	t.Helper()
	var paths []string
	for r, err := range c.Repos(t.Context()) {
		if err != nil {
			t.Fatalf("listing: %v", err)
		}
		paths = append(paths, r.Path)
	}
	slices.Sort(paths)
	return paths
}

func listError(t *testing.T, c *host.Client) error {
	t.Helper()
	for _, err := range c.Repos(t.Context()) {
		if err != nil {
			return err
		}
	}
	t.Fatal("the listing ends without an error")
	return nil
}
