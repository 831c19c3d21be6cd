package httpforge

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestLinkNext(t *testing.T) {
	t.Parallel()
	query := url.Values{"per_page": {"100"}, "archived": {"false"}}
	for _, tc := range []struct {
		name  string
		links []string
		want  string // "" is none
	}{
		{"none", nil, ""},
		{"last page", []string{`<https://x.invalid/p?page=1>; rel="first", <https://x.invalid/p?page=2>; rel="prev"`}, ""},
		{"another host", []string{`<http://evil.invalid/other?page=2&per_page=50>; rel="next"`}, "archived=false&page=2&per_page=50"},
		{"second of three", []string{`<?page=1>; rel="first", <?page=2>; rel=next, <?page=9>; rel="last"`}, "archived=false&page=2&per_page=100"},
		{"several relations", []string{`<?page=2>; title="a"; REL="last next"`}, "archived=false&page=2&per_page=100"},
		{"two headers", []string{`<?page=1>; rel="prev"`, `<?id_after=7>; rel="next"`}, "archived=false&id_after=7&per_page=100"},
		{"no query", []string{`<https://x.invalid/p>; rel="next"`}, ""},
		{"broken", []string{`<https://x.invalid/p?page=2; rel="next"`, `rel="next"`, `<`}, ""},
	} {
		got := LinkNext(http.Header{"Link": tc.links}, query)
		if diff := cmp.Diff(tc.want, got.Encode()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	if diff := cmp.Diff("archived=false&per_page=100", query.Encode()); diff != "" {
		t.Errorf("the query at hand was changed: %s", diff)
	}
}

func follow(h http.Header, _ []int, q url.Values) (url.Values, error) { return LinkNext(h, q), nil }

func TestPagesThatLeadToThemselvesEnd(t *testing.T) {
	t.Parallel()
	c := forge(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Link", `<?page=2>; rel="next"`)
		_, _ = w.Write([]byte("[1]"))
	})
	pages := 0
	for _, err := range Pages(t.Context(), c, Request{What: "it"}, follow) {
		if err != nil {
			check(t, err, sdk.Unavailable, "followed by itself")
			break
		}
		if pages++; pages > 5 {
			t.Fatal("the list goes on and on")
		}
	}
}

func TestPagesEndWithTheFirstError(t *testing.T) {
	t.Parallel()
	c := forge(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("page") == "2" {
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		w.Header().Set("Link", `<?page=2>; rel="next"`)
		_, _ = w.Write([]byte("[1,2]"))
	})
	var got []int
	var last error
	for page, err := range Pages(t.Context(), c, Request{What: "it"}, follow) {
		got, last = append(got, page...), err
	}
	if diff := cmp.Diff([]int{1, 2}, got); diff != "" {
		t.Error(diff)
	}
	check(t, last, sdk.RateLimited, "")
}

func FuzzLinkNext(f *testing.F) {
	for _, seed := range []string{`<https://x.invalid/p?page=2>; rel="next"`, `<`, `<>;rel=next`, `<a?b>;rel="prev next",<c?d=e>;rel=next`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		got := LinkNext(http.Header{"Link": {header}}, url.Values{"a": {"b"}})
		if got != nil && len(got) == 0 {
			t.Errorf("%q gives an empty query", header)
		}
	})
}

func FuzzMessage(f *testing.F) {
	for _, seed := range []string{`{"message":{"a":["b",{"c":1}]}}`, `{"error":"x","errors":["y"]}`, "plain", "<html>", `[[[[[[["x"]]]]]]]`} {
		f.Add([]byte(seed))
	}
	c := New(Options{Base: &url.URL{}, HTTP: &http.Client{}, Token: sdk.NewSecret(canary)})
	f.Fuzz(func(t *testing.T, raw []byte) {
		got := c.Redact(message(raw))
		if len([]rune(got)) > maxMessage+1 {
			t.Errorf("%d runes of %q", len([]rune(got)), raw)
		}
	})
}

// BenchmarkPages reads 500 pages of nothing much, for comparison.
func BenchmarkPages(b *testing.B) {
	const pages = 500
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("page"), &n)
		if n < pages {
			w.Header().Set("Link", fmt.Sprintf(`<?page=%d>; rel="next"`, n+1))
		}
		_, _ = w.Write([]byte("[1]"))
	}))
	defer server.Close()
	base, _ := url.Parse(server.URL)
	c := New(Options{Base: base, HTTP: &http.Client{}})
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range Pages(b.Context(), c, Request{What: "it"}, follow) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
