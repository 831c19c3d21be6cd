package gitea

import (
	"maps"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// canary is the token of every test; it must show up nowhere.
const canary = "gta-CANARY+/0123456789"

// session configures the adapter, with the canary for a token unless the
// settings have another one.
func session(t testing.TB, role sdk.Role, settings map[string]any) *host.Client {
	t.Helper()
	return plugintest.Session(t, Plugin(), role, "access-token", canary, settings)
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
	return fake, plugintest.Serve(t, fake)
}

// with adds settings to those that reach a server.
func with(address string, more map[string]any) map[string]any {
	s := map[string]any{"http-url": address}
	maps.Copy(s, more)
	return s
}

func upstream(t testing.TB, address string, more map[string]any) *host.Client {
	t.Helper()
	return session(t, sdk.RoleUpstream, with(address, more))
}

func downstream(t *testing.T, address string, more map[string]any) *host.Client {
	t.Helper()
	return session(t, sdk.RoleDownstream, with(address, more))
}
