package forges

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/lorry-controller/lorry-controller/plugins/gerrit"
	"github.com/lorry-controller/lorry-controller/plugins/gitano"
	"github.com/lorry-controller/lorry-controller/plugins/gitea"
	"github.com/lorry-controller/lorry-controller/plugins/gitlab"
	"github.com/lorry-controller/lorry-controller/plugins/trove"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gerritfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/session"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// speaker is an adapter that speaks HTTP, and a host for it.
type speaker struct {
	plugin  *sdk.Plugin
	handler http.Handler
	// at gives the settings for a host at an address.
	at     func(u *url.URL) map[string]any
	secret string // the name of its credential
}

func speakers() map[string]speaker {
	gl := gitlabfake.New(gitlabfake.Options{Token: canary})
	gl.AddProject(gitlabfake.Project{Path: "a/one"})
	gt := giteafake.New(giteafake.Options{Token: canary})
	gt.AddRepo(giteafake.Repo{Path: "a/one"})
	gr := gerritfake.New()
	gr.Password = canary
	gr.Put("a/one", gerritfake.Project{})
	web := func(u *url.URL) map[string]any { return map[string]any{"host": u.Host, "http-url": u.String()} }
	host := func(u *url.URL) map[string]any {
		return map[string]any{"host": u.Host, "protocol": u.Scheme, "username": "lorry"}
	}
	return map[string]speaker{
		"gitlab": {gitlab.Plugin(), gl, web, "private-token"},
		"gitea":  {gitea.Plugin(), gt, web, "access-token"},
		"gerrit": {gerrit.Plugin(), gr, func(u *url.URL) map[string]any {
			return map[string]any{"host": u.Host, "http-url": u.String(), "username": gr.User}
		}, "password"},
		"gitano": {gitano.Plugin(), commands(), host, "password"},
		"trove":  {trove.Plugin(), commands(), host, "password"},
	}
}

// commands is a Trove's CGI, which wants the password.
func commands() http.Handler {
	g := &sshfake.Gitano{}
	g.Add("a/one", "RW", "refs/heads/master", "")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, ok := r.BasicAuth(); ok && password != canary {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		g.ServeHTTP(w, r)
	})
}

// secure serves a handler over TLS with a certificate that nobody knows, and
// gives a file with its authority.
func secure(t *testing.T, h http.Handler) (address *url.URL, authority string) {
	t.Helper()
	server := httptest.NewUnstartedServer(h)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what is tried
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	authority = filepath.Join(t.TempDir(), "ca.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(authority, block, 0o600); err != nil {
		t.Fatal(err)
	}
	address, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	return address, authority
}

// proxy is an HTTP proxy that takes every name for one server,
// and remembers what it was asked for.
type proxy struct {
	to       string
	password bool // one is wanted
	mu       sync.Mutex
	seen     []string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.seen = append(p.seen, r.Method+" "+r.Host)
	p.mu.Unlock()
	if p.password && r.Header.Get("Proxy-Authorization") != "Basic "+base64.StdEncoding.EncodeToString([]byte("me:proxy-CANARY")) {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if r.Method != http.MethodConnect {
		r.Header.Del("Proxy-Authorization")
		r.RequestURI, r.URL.Host = "", p.to
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer func() { _ = resp.Body.Close() }()
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
		return
	}
	there, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	here, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		_ = there.Close()
		return
	}
	_, _ = io.WriteString(here, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		_, _ = io.Copy(there, here)
		_ = there.Close()
	}()
	_, _ = io.Copy(here, there)
	_ = here.Close()
}

// listed asks an adapter for its listing with settings.
func listed(t *testing.T, s speaker, at *url.URL, credential bool, more map[string]any) error {
	t.Helper()
	values := s.at(at)
	maps.Copy(values, more)
	settings := host.Settings{Instance: "test", Role: sdk.RoleUpstream, Values: values, Secrets: map[string]sdk.Secret{}}
	if credential {
		settings.Secrets[s.secret] = sdk.NewSecret(canary)
	} else {
		delete(values, "username")
	}
	c, err := session.Open(t.Context(), s.plugin, settings)
	if err != nil {
		return err
	}
	defer func() { _ = c.End() }()
	defer func() { _ = c.Close(t.Context()) }()
	n := 0
	for r, err := range c.Repos(t.Context()) {
		if err != nil {
			return err
		}
		if n++; r.Path != "a/one" {
			t.Errorf("listed %q", r.Path)
		}
	}
	if n != 1 {
		t.Errorf("%d repositories, want 1", n)
	}
	return nil
}

// Every adapter that speaks HTTP takes authorities, unchecked certificates and
// a proxy in the same way, over real TLS.
func TestConnections(t *testing.T) {
	t.Parallel()
	for kind, s := range speakers() {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			at, authority := secure(t, s.handler)
			for _, tc := range []struct {
				what       string
				credential bool
				more       map[string]any
				kind       sdk.Kind // "" is success
			}{
				{"an unknown authority", true, nil, sdk.Unavailable},
				{"an own authority", true, map[string]any{"ca-file": authority}, ""},
				{"a file that is no authority", true, map[string]any{"ca-file": "/etc/hostname"}, sdk.Invalid},
				{"unchecked, without a credential", false, map[string]any{"check-certificates": false}, ""},
				{"unchecked, with a credential", true, map[string]any{"check-certificates": false}, sdk.Denied},
				{"unchecked, with a credential all the same", true, map[string]any{"check-certificates": false, "insecure-credentials": true}, ""},
			} {
				err := listed(t, s, at, tc.credential, tc.more)
				if tc.kind == "" && err != nil || tc.kind != "" && (err == nil || sdk.KindOf(err) != tc.kind) {
					t.Errorf("%s: want kind %q, got %v", tc.what, tc.kind, err)
				}
				if err != nil && strings.Contains(err.Error(), "CANARY") {
					t.Errorf("%s: the credential is told: %v", tc.what, err)
				}
			}
			proxied(t, s, at, authority)
		})
	}
}

// proxied reaches the host by a name that only the proxy knows, over HTTPS and
// HTTP.
func proxied(t *testing.T, s speaker, at *url.URL, authority string) {
	t.Helper()
	for _, scheme := range []string{"https", "http"} {
		to := at
		if scheme == "http" {
			plain, err := url.Parse(serve(t, s.handler))
			if err != nil {
				t.Fatal(err)
			}
			to = plain
		}
		p := &proxy{to: to.Host}
		u, err := url.Parse(serve(t, p))
		if err != nil {
			t.Fatal(err)
		}
		named := &url.URL{Scheme: scheme, Host: "example.com"} // the name of httptest's certificate
		more := map[string]any{"ca-file": authority, "proxy": u.String(), "insecure-credentials": true}
		if err := listed(t, s, named, true, more); err != nil {
			t.Errorf("%s by the proxy: %v", scheme, err)
		}
		p.mu.Lock()
		if len(p.seen) == 0 || !strings.Contains(fmt.Sprint(p.seen), "example.com") {
			t.Errorf("%s: the proxy saw %q", scheme, p.seen)
		}
		p.mu.Unlock()
	}
}

// The proxy of proxy.conf, with its password, is how the adapters of the whole
// system reach their hosts, and its password is found nowhere.
func TestProxyOfProxyConfIsUsed(t *testing.T) {
	t.Parallel()
	fake := giteafake.New(giteafake.Options{})
	fake.AddRepo(giteafake.Repo{Path: "acme/one"})
	behind, err := url.Parse(serve(t, fake))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{to: behind.Host, password: true}
	u, err := url.Parse(serve(t, p))
	if err != nil {
		t.Fatal(err)
	}
	look := watchProcesses(t)
	s := start(t, []string{"downstream-host-type = local", "local-base-directory = " + t.TempDir()}, []map[string]any{{
		"type": "gitea", "host": "forge.example.com", "protocol": "http", "organization": []string{"acme"},
		"prefixmap": map[string]string{"acme": "mirrors"}, "ls-interval": "1d", "interval": "1d",
	}}, map[string]string{
		"proxy.conf": fmt.Sprintf(`{"hostname": "127.0.0.1", "port": %s, "username": "me", "password": "proxy-CANARY"}`, u.Port()),
	})
	await(t, "the listing by the proxy", func() bool {
		_, there := s.lorries(t)["mirrors/one"]
		return there
	})
	p.mu.Lock()
	if len(p.seen) == 0 || !strings.Contains(p.seen[0], "forge.example.com") {
		t.Errorf("the proxy saw %q", p.seen)
	}
	p.mu.Unlock()
	found := map[string]string{"argv": look(), "log": s.out.String(), "adapters": s.text(t, "/1.0/adapters"), "status": s.text(t, "/1.0/status-html")}
	files(t, filepath.Join(s.dir, "data"), found)
	for where, text := range found {
		if strings.Contains(text, "CANARY") {
			t.Errorf("the proxy's password is in %s", where)
		}
	}
}

// Where certificates are not checked, for one host or for all, the API and the
// pages say so.
func TestUncheckedCertificatesAreMarked(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		what           string
		webapp         []string
		section        map[string]any
		up, downstream bool
	}{
		{"checked", nil, nil, false, false},
		{"a host", nil, map[string]any{"check-certificates": false}, true, false},
		{"the downstream", []string{"downstream-setting = protocol=https, check-certificates=no"}, nil, false, true},
		{"all", []string{"check-certificates = no"}, nil, true, true},
	} {
		t.Run(tc.what, func(t *testing.T) {
			t.Parallel()
			fake := giteafake.New(giteafake.Options{Token: canary})
			fake.AddRepo(giteafake.Repo{Path: "acme/one"})
			at, _ := secure(t, fake)
			section := map[string]any{
				"type": "gitea", "host": at.Host, "protocol": "https", "organization": []string{"acme"},
				"prefixmap": map[string]string{"acme": "mirrors"}, "ls-interval": "1d", "interval": "1d",
			}
			maps.Copy(section, tc.section)
			token := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(token, []byte(canary), 0o600); err != nil {
				t.Fatal(err)
			}
			webapp := append([]string{"downstream-host-type = gitea", "downstream-http-url = " + at.String(), "gitea-access-token-file = " + token}, tc.webapp...)
			s := start(t, webapp, []map[string]any{section}, nil)
			marks := map[string]bool{}
			await(t, "both adapters", func() bool {
				var list struct {
					Adapters []struct {
						Name string `json:"name"`
						Skip bool   `json:"skip_certificates"`
					} `json:"adapters"`
				}
				s.get(t, "/1.0/adapters", &list)
				for _, a := range list.Adapters {
					marks[a.Name] = a.Skip
				}
				return len(marks) == 2
			})
			if marks[at.Host] != tc.up || marks["downstream"] != tc.downstream {
				t.Errorf("want %v and %v, got %v", tc.up, tc.downstream, marks)
			}
			page := strings.Count(s.text(t, "/1.0/status-html"), "certificates are not checked")
			if (page > 0) != (tc.up || tc.downstream) {
				t.Errorf("the page says so %d times", page)
			}
			await(t, "the host", func() bool {
				var list struct{ Hosts []struct{} }
				s.get(t, "/1.0/hosts", &list)
				return len(list.Hosts) == 1
			})
			// Without checks the listing goes on, but no credential goes along.
			s.post(t, "/1.0/force-ls-troves")
			if _, there := s.lorries(t)["mirrors/one"]; there != tc.up {
				t.Errorf("listed: %v", there)
			}
			// That it is asked for without checks, too, and with no token.
			if n := len(fake.Requests()); (n > 0) != tc.up {
				t.Errorf("%d requests", n)
			}
		})
	}
}
