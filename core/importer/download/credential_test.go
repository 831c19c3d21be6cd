package download

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

const canary = "c4n4ry+/1"

// asked keeps what servers were asked.
type asked struct {
	mu   sync.Mutex
	list []string
}

func (a *asked) add(name string, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.list = append(a.list, name+" "+r.URL.RequestURI()+r.Header.Get("Authorization")+r.Header.Get("Referer"))
}

func (a *asked) taken() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	list := a.list
	a.list = nil
	return list
}

// TestTokenInTheQuery: the own host is asked with it at the end of what else is
// asked, also after a redirect there; what a server sends us to elsewhere is not,
// and neither is the same host by another scheme.
func TestTokenInTheQuery(t *testing.T) {
	t.Parallel()
	seen := &asked{}
	foreign := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen.add("foreign", r) }))
	defer foreign.Close()
	var target string // where /to leads
	own := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.add("own", r)
		if r.URL.Path == "/to" {
			http.Redirect(w, r, target, http.StatusFound)
			return
		}
		w.Header().Set("ETag", `"x"`)
		_, _ = io.WriteString(w, "contents")
	}))
	defer own.Close()
	// The foreign host is one that we may go to.
	r := route.Route{Allow: "127.0.0.1"}
	token := "private_token=" + url.QueryEscape(canary)
	secure := "https" + strings.TrimPrefix(own.URL, "http")
	for _, test := range []struct {
		name, path, target string
		want               []string
		kind               core.FailureKind
	}{
		{"alone", "/a", "", []string{"own /a?" + token}, core.FailNone},
		{"beside others", "/a?x=%2f+&y", "", []string{"own /a?x=%2f+&y&" + token}, core.FailNone},
		{"own host", "/to", "/b?z=1", []string{"own /to?" + token, "own /b?z=1&" + token}, core.FailNone},
		{"own host, which repeats it", "/to", "/b?z=1&" + token, []string{"own /to?" + token, "own /b?z=1&" + token}, core.FailNone},
		{"same place", "/to?x=1", "/b?x=1&" + token + "#end", []string{"own /to?x=1&" + token, "own /b?x=1&" + token}, core.FailNone},
		{"foreign", "/to", foreign.URL + "/b?z=1", []string{"own /to?" + token, "foreign /b?z=1"}, core.FailNone},
		{"foreign, and it is repeated", "/to", foreign.URL + "/b?" + token + "&z=1", []string{"own /to?" + token, "foreign /b?z=1"}, core.FailNone},
		{"foreign, and it is in the path", "/to", foreign.URL + "/" + url.PathEscape(canary), []string{"own /to?" + token}, core.FailGone},
		{"foreign, to log in", "/to", foreign.URL + "/?to=" + url.QueryEscape(own.URL+"/to?"+token), []string{"own /to?" + token}, core.FailGone},
		{"another scheme, and it is repeated", "/to", secure + "/b?" + token, []string{"own /to?" + token}, core.FailTLS},
	} {
		target = test.target
		for _, method := range []string{http.MethodHead, http.MethodGet} {
			c := New(core.Access{URL: own.URL + test.path, Secret: core.NewSecret(canary), SecretIn: "private_token"}, r)
			var facts Facts
			var err error
			if method == http.MethodHead {
				facts, err = c.Look(t.Context())
			} else {
				facts, err = c.Get(t.Context(), &bytes.Buffer{}, 1<<20)
			}
			c.Close()
			kind := core.FailNone
			if err != nil {
				kind = gitfail.From(err, gitfail.Upstream).Kind
				if strings.Contains(err.Error(), "c4n4ry") {
					t.Errorf("%s: %v", test.name, err)
				}
			}
			if kind != test.kind || strings.Contains(facts.URL, "c4n4ry") {
				t.Errorf("%s, %s: want %q, got %q: %v, %v", test.name, method, test.kind, kind, err, facts)
			}
			if diff := cmp.Diff(test.want, seen.taken()); diff != "" {
				t.Errorf("%s, %s: %s", test.name, method, diff)
			}
		}
	}
}

// TestErrorsTellNoToken: nor does any error on the way.
func TestErrorsTellNoToken(t *testing.T) {
	t.Parallel()
	codes := []int{301, 304, 400, 401, 403, 404, 407, 410, 429, 500, 503}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		i := slices.IndexFunc(codes, func(code int) bool { return strings.HasSuffix(r.URL.Path, "/"+http.StatusText(code)) })
		switch {
		case i >= 0:
			w.WriteHeader(codes[i])
		case r.URL.Path == "/bad":
			w.Header().Set("Location", "http://%zz/?"+r.URL.RawQuery)
			w.WriteHeader(http.StatusFound)
		case r.URL.Path == "/page":
			w.Header().Set("Content-Type", "text/html")
		default:
			panic(http.ErrAbortHandler)
		}
	}))
	defer s.Close()
	addresses := []string{s.URL + "/broken", s.URL + "/bad", s.URL + "/page", "http://127.0.0.1:1/refused", "https://" + strings.TrimPrefix(s.URL, "http://") + "/tls", "http://nowhere.invalid/x"}
	for _, code := range codes {
		addresses = append(addresses, s.URL+"/"+url.PathEscape(http.StatusText(code)))
	}
	for _, address := range addresses {
		c := New(core.Access{URL: address, Secret: core.NewSecret(canary), SecretIn: "token"}, route.Route{Resolver: nobody{}})
		_, err := c.Get(t.Context(), io.Discard, 100)
		if err == nil || strings.Contains(err.Error(), "c4n4ry") || strings.Contains(err.Error(), "token=") {
			t.Errorf("%s: %v", address, err)
		}
		c.Close()
	}
}

// nobody knows no name.
type nobody struct{}

// LookupNetIP implements route.Resolver.
func (nobody) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}
