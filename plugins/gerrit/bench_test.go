package gerrit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	integration "github.com/lorry-controller/lorry-controller/integration/gerrit"
	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// BenchmarkListing lists 50,000 projects: by a bare loop over the pages, and by
// the adapter, which asks thrice for each page, or twice without hints.
func BenchmarkListing(b *testing.B) {
	g := fake(plugintest.Many)
	srv := httptest.NewServer(g)
	b.Cleanup(srv.Close)
	account := integration.Account{Password: canary, Settings: map[string]any{"http-url": srv.URL, "username": "lorry"}}
	way := func(more map[string]any) func() *host.Client {
		return func() *host.Client { return integration.Session(b, sdk.RoleUpstream, account, more) }
	}
	bare := func(b *testing.B, row func()) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		login := func(r *http.Request) { r.SetBasicAuth("lorry", canary) }
		for start, rows := 0, 1; rows > 0; start += rows {
			var page map[string]struct {
				Description, State string
			}
			plugintest.Page(b, client, fmt.Sprintf("%s/a/projects/?all&type=ALL&d&n=500&S=%d", srv.URL, start), login, len(")]}'\n"), &page)
			for range page {
				row()
			}
			rows = len(page)
		}
	}
	plugintest.BenchListing(b, g, bare, map[string]func() *host.Client{"with hints": way(nil), "without": way(map[string]any{"hint-branches": []any{}})})
}
