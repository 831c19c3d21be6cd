package gitanossh

import (
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

func TestMain(m *testing.M) {
	sshfake.Relay()
	goleak.VerifyTestMain(m)
}

// configured speaks to the adapter over the real protocol, in this process.
func configured(t *testing.T, s host.Settings) *host.Client {
	t.Helper()
	return sdktest.Open(t, sdk.Define("gitano", Open), s)
}

func upstream(t *testing.T, s *sshfake.Server) *host.Client {
	t.Helper()
	return configured(t, host.Settings{Role: sdk.RoleUpstream, Values: plugintest.GitanoUpstream(s)})
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
