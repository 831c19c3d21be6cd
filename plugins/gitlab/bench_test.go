package gitlab

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// BenchmarkListing lists 50,000 projects: by a bare loop over the pages, by
// the adapter as an instance by keyset, and as a group by offset.
func BenchmarkListing(b *testing.B) {
	fake, address := serve(b, gitlabfake.Options{MaxOffset: 1 << 30})
	for i := range plugintest.Many / 100 {
		many(fake, fmt.Sprintf("acme/sub%03d", i), 100)
	}
	way := func(settings map[string]any) func() *host.Client {
		return func() *host.Client { return session(b, sdk.RoleUpstream, with(address, settings)) }
	}
	plugintest.BenchListing(b, fake, func(b *testing.B, row func()) { bare(b, address, row) },
		map[string]func() *host.Client{"instance": way(nil), "group": way(map[string]any{"group": "acme"})})
}

// bare is the least that reads all pages.
func bare(b *testing.B, address string, row func()) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	login := func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+canary) }
	for rawQuery := "pagination=keyset&order_by=id&sort=asc&per_page=100"; rawQuery != ""; {
		var page []project
		header := plugintest.Page(b, client, address+"/api/v4/projects?"+rawQuery, login, 0, &page)
		for range page {
			row()
		}
		rawQuery = ""
		if link, _, ok := strings.Cut(header.Get("Link"), ">"); ok {
			u, err := url.Parse(link[1:])
			if err != nil {
				b.Fatal(err)
			}
			rawQuery = u.RawQuery
		}
	}
}
