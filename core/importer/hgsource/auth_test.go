package hgsource

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestPassword serves a repository by hg serve, behind a server that wants a
// password and has a certificate that nobody signed.
func TestPassword(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.ordinary()
	behind := &url.URL{Scheme: "http", Host: gittest.ServeHg(t, m.dir)}
	proxy := httputil.NewSingleHostReverseProxy(behind)
	transport := &http.Transport{DisableKeepAlives: true}
	proxy.Transport = transport
	front := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if name, secret, _ := r.BasicAuth(); name != "ali" || secret != "open % sesame" {
			w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	m.source.Access.URL = front.URL
	want := func(kind core.FailureKind) {
		t.Helper()
		_, err := m.source.List(t.Context())
		if err == nil || gitfail.From(err, gitfail.Upstream).Kind != kind || strings.Contains(err.Error(), "sesame") {
			t.Errorf("want %s, got %v", kind, err)
		}
	}
	want(core.FailTLS)
	m.source.Access.SkipCertificates = true
	want(core.FailAuth)
	m.source.Access.Username, m.source.Access.Secret = "ali", core.NewSecret("not sesame")
	want(core.FailAuth)
	m.source.Access.Secret = core.NewSecret("open % sesame")
	if res := m.mustUpdate(m.source); res.Changed != 4 {
		t.Errorf("got %+v", res)
	}
	kept, _ := exec.Command("grep", "-r", "sesame", m.source.Area.Dir, m.source.Repo.Git.Home()).Output()
	if len(kept) > 0 || strings.Contains(m.out.String(), "sesame") {
		t.Errorf("the password was kept: %s", kept)
	}
}
