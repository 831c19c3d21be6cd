package gitlab

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
)

const benchProjects = 50_000

// heap samples how much more memory is in use than at the start.
type heap struct {
	start, peak uint64
	rows        int
}

func (h *heap) sample() {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if h.start == 0 {
		h.start = m.HeapAlloc
	}
	h.peak = max(h.peak, m.HeapAlloc)
}

func (h *heap) row() {
	if h.rows++; h.rows%10_000 == 0 {
		h.sample()
	}
}

func (h *heap) report(b *testing.B, fake *gitlabfake.Server) {
	b.ReportMetric(float64(h.peak-h.start)/(1<<20), "peak-MB")
	b.ReportMetric(float64(len(fake.Requests()))/float64(b.N), "requests/op")
	b.ReportMetric(float64(h.rows)/float64(b.N), "rows/op")
}

// BenchmarkListing lists 50,000 projects: by a bare loop over the pages, by
// the adapter over the real protocol, and as a group by offset.
func BenchmarkListing(b *testing.B) {
	fake, address := serve(b, gitlabfake.Options{MaxOffset: 1 << 30})
	for i := range benchProjects / 100 {
		many(fake, fmt.Sprintf("acme/sub%03d", i), 100)
	}
	b.Run("bare loop", func(b *testing.B) {
		fake.Forget()
		var h heap
		for b.Loop() {
			h.sample()
			bare(b, address, &h)
		}
		h.report(b, fake)
	})
	for name, settings := range map[string]map[string]any{"instance": nil, "group": {"group": "acme"}} {
		b.Run(name, func(b *testing.B) {
			c := session(b, sdk.RoleUpstream, with(address, settings))
			fake.Forget()
			var h heap
			for b.Loop() {
				h.sample()
				for _, err := range c.Repos(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					h.row()
				}
			}
			h.report(b, fake)
		})
	}
}

// bare is the least that reads all pages.
func bare(b *testing.B, address string, h *heap) {
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	rawQuery := "pagination=keyset&order_by=id&sort=asc&per_page=100"
	for rawQuery != "" {
		req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, address+"/api/v4/projects?"+rawQuery, nil)
		if err != nil {
			b.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+canary)
		resp, err := client.Do(req)
		if err != nil {
			b.Fatal(err)
		}
		var page []project
		if err := json.NewDecoder(resp.Body).Decode(&page); err != nil {
			b.Fatal(err)
		}
		_ = resp.Body.Close()
		for range page {
			h.row()
		}
		rawQuery = ""
		if link, _, ok := strings.Cut(resp.Header.Get("Link"), ">"); ok {
			u, err := url.Parse(link[1:])
			if err != nil {
				b.Fatal(err)
			}
			rawQuery = u.RawQuery
		}
	}
}
