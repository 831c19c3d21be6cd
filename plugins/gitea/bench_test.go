package gitea

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// BenchmarkListing lists 50,000 repositories: by a bare loop over the pages, by
// the adapter as an instance and as an organisation.
func BenchmarkListing(b *testing.B) {
	fake, address := serve(b, giteafake.Options{})
	fake.AddOrg("acme", "public")
	many(fake, "acme", plugintest.Many)
	way := func(settings map[string]any) func() *host.Client {
		return func() *host.Client { return upstream(b, address, settings) }
	}
	bare := func(b *testing.B, row func()) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		login := func(r *http.Request) { r.Header.Set("Authorization", "token "+canary) }
		for number, rows := 1, 1; rows > 0; number++ {
			var page repoPage
			plugintest.Page(b, client, fmt.Sprintf("%s/api/v1/repos/search?sort=id&order=asc&limit=50&page=%d", address, number), login, 0, &page)
			for range page {
				row()
			}
			rows = len(page)
		}
	}
	plugintest.BenchListing(b, fake, bare, map[string]func() *host.Client{
		"instance": way(nil), "organisation": way(map[string]any{"organization": "acme"}),
	})
}
