package gerrit

import (
	"maps"
	"testing"

	plugin "github.com/lorry-controller/lorry-controller/plugins/gerrit"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
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
	return sdktest.Open(t, plugin.Plugin(), s)
}
