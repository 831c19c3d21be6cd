package gerrit

import (
	"context"
	"maps"
	"net"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	plugin "github.com/lorry-controller/lorry-controller/plugins/gerrit"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// Session configures the adapter over the real protocol, in this process. more
// adds to the settings.
func Session(t testing.TB, role sdk.Role, account Account, more map[string]any) *host.Client {
	t.Helper()
	values := maps.Clone(account.Settings)
	maps.Copy(values, more)
	if role == sdk.RoleUpstream {
		if _, ok := values["host"]; !ok {
			values["host"] = "gerrit.example.com" // http-url and ssh-url come first
		}
	} else {
		delete(values, "host")
	}
	s := host.Settings{Instance: "gerrit", Role: role, Values: values, Secrets: map[string]sdk.Secret{}}
	if account.Password != "" {
		s.Secrets["password"] = sdk.NewSecret(account.Password)
	}
	c := client(t)
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

func client(t testing.TB) *host.Client {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	server := grpc.NewServer(sdk.ServerOptions(hclog.NewNullLogger())...)
	sdk.Serve(plugin.Plugin(), server, hclog.NewNullLogger())
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
	return host.NewClient(conn, host.Deadlines{})
}
