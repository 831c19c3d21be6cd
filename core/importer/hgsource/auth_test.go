package hgsource

import (
	"bufio"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// TestPassword serves a repository by hg serve, behind a server that wants a
// password and has a certificate that nobody signed.
func TestPassword(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	m.ordinary()
	serve := exec.Command("hg", "serve", "-R", m.dir, "-a", "127.0.0.1", "-p", "0", "--print-url")
	serve.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "HGRCPATH=", "HGPLAIN=1", "PYTHONUNBUFFERED=1"}
	stdout, err := serve.StdoutPipe()
	if err == nil {
		err = serve.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = serve.Process.Kill()
		_ = serve.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	behind, err := url.Parse(strings.TrimSpace(line))
	if err != nil {
		t.Fatal(err)
	}
	behind.Host = "127.0.0.1:" + behind.Port()
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
