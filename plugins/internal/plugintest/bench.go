package plugintest

import (
	"encoding/json"
	"net/http"
	"runtime"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// Many is how many repositories a listing is measured with.
const Many = 50_000

// Counted is a Fake whose record can be emptied.
type Counted interface {
	Fake
	Forget()
}

// heap samples how much more memory is in use than at the start, in this whole
// process: the fake, the adapter and the core's side of it.
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

// BenchListing measures a bare loop over all pages, which calls row for each
// repository, and listings by the adapter over the real protocol. Each tells
// its requests, its rows, and how much more memory was in use at most.
func BenchListing(b *testing.B, fake Counted, bare func(b *testing.B, row func()), ways map[string]func() *host.Client) {
	measure := func(b *testing.B, list func(row func())) {
		fake.Forget()
		var h heap
		for b.Loop() {
			h.sample()
			list(h.row)
		}
		b.ReportMetric(float64(h.peak-h.start)/(1<<20), "peak-MB")
		b.ReportMetric(float64(len(fake.Requests()))/float64(b.N), "requests/op")
		b.ReportMetric(float64(h.rows)/float64(b.N), "rows/op")
	}
	b.Run("bare loop", func(b *testing.B) { measure(b, func(row func()) { bare(b, row) }) })
	for name, open := range ways {
		b.Run(name, func(b *testing.B) {
			c := open()
			measure(b, func(row func()) {
				for _, err := range c.Repos(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
					row()
				}
			})
		})
	}
}

// Page reads one page of a bare loop into out, and gives its header. login
// makes the request one of the account's.
func Page(b *testing.B, client *http.Client, address string, login func(*http.Request), skip int, out any) http.Header {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, address, nil)
	if err != nil {
		b.Fatal(err)
	}
	login(req)
	resp, err := client.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := resp.Body.Read(make([]byte, skip)); skip > 0 && err != nil {
		b.Fatal(err)
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		b.Fatal(err)
	}
	return resp.Header
}
