package gitanossh

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/sshfake"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

const canary = "CANARY-p4ssw0rd"

// overWeb configures the adapter for a host that is asked by its CGI.
func overWeb(t *testing.T, srv *httptest.Server, password string) *host.Client {
	t.Helper()
	protocol, address, _ := strings.Cut(srv.URL, "://")
	return configured(t, host.Settings{
		Role: sdk.RoleUpstream, SkipCertificates: protocol == "https", InsecureCredentials: true,
		Values:  map[string]any{"host": address, "protocol": protocol, "username": "lorry", "check-certificates": false},
		Secrets: map[string]sdk.Secret{"password": sdk.NewSecret(password)},
	})
}

func TestCGIOverHTTPSWithBasicAuth(t *testing.T) {
	t.Parallel()
	g := &sshfake.Gitano{CommandUser: "lorry", CommandPassword: canary}
	g.Add("gitano-admin", "RW", "refs/heads/master", "")
	g.Add("delta/foo", "R", "refs/heads/trunk", "Foo")
	g.Add("delta/writeonly", "W", "refs/heads/trunk", "")
	srv := httptest.NewTLSServer(g)
	t.Cleanup(srv.Close)

	c := overWeb(t, srv, canary)
	got, err := listing(t, c)
	if err != nil {
		t.Fatal(err)
	}
	url := srv.URL + "/git/delta/foo.git"
	if diff := cmp.Diff([]string{"delta/foo " + url}, got); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
	repo, access, err := c.Repo(t.Context(), "delta/foo")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sdk.Repo{Path: "delta/foo", CloneURL: url, Head: "refs/heads/trunk", Description: "Foo"}, repo); diff != "" {
		t.Errorf("repository (-want +got):\n%s", diff)
	}
	if access.URL != url || access.Username != "lorry" || access.Secret.Reveal() != canary {
		t.Errorf("access is %+v", access)
	}
	_, _, err = c.Repo(t.Context(), "delta/none")
	plugintest.WantFact(t, err, sdk.NotFound, "does not exist")
	if _, _, err = c.Repo(t.Context(), "delta/writeonly"); err != nil {
		t.Errorf("a configuration that is not shown: %v", err)
	}
	if _, err := c.Check(t.Context()); err != nil {
		t.Error(err)
	}
	_, err = listing(t, overWeb(t, srv, "wrong"))
	plugintest.WantFact(t, err, sdk.Unauthenticated, "401")
}

func TestCGIThatIsNoCGI(t *testing.T) {
	t.Parallel()
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, ok := r.BasicAuth(); ok {
			t.Error("the password followed a redirect to another host")
		}
		_, _ = fmt.Fprintln(w, "R stolen")
	}))
	t.Cleanup(elsewhere.Close)
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		kind    sdk.Kind
		words   string
	}{
		"one line of HTML with 200": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "<html><body>Please log in</body></html>")
		}, sdk.Unavailable, "web page"},
		"HTML that does not look so": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = fmt.Fprint(w, "R a/b\n")
		}, sdk.Unavailable, "web page"},
		"a missing CGI":         {http.NotFound, sdk.Unavailable, "no command CGI"},
		"too many requests":     {status(http.StatusTooManyRequests), sdk.RateLimited, "left alone"},
		"forbidden":             {status(http.StatusForbidden), sdk.Denied, "403"},
		"broken":                {status(http.StatusBadGateway), sdk.Unavailable, "502"},
		"a redirect to another": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere.URL, http.StatusFound) }, sdk.Invalid, "redirects"},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			_, _ = fmt.Fprint(w, "R a/b\n")
		}, sdk.Unavailable, "broke off"},
		"a refusal with 200": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprint(w, "CRIT: Ruleset denied action\n")
		}, sdk.Denied, "Ruleset denied action"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := httptest.NewServer(tc.handler)
			t.Cleanup(srv.Close)
			got, err := listing(t, overWeb(t, srv, canary))
			plugintest.WantFact(t, err, tc.kind, tc.words)
			if strings.Contains(err.Error(), canary) {
				t.Errorf("the password is in %q", err)
			}
			if name != "half an answer" && len(got) > 0 {
				t.Errorf("listed %q", got)
			}
		})
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", code) }
}

func TestPasswordStaysOffPlainHTTP(t *testing.T) {
	t.Parallel()
	c := configured(t, host.Settings{
		Role:    sdk.RoleUpstream,
		Values:  map[string]any{"host": "git.example.invalid", "protocol": "http", "username": "lorry"},
		Secrets: map[string]sdk.Secret{"password": sdk.NewSecret(canary)},
	})
	_, err := listing(t, c)
	plugintest.WantFact(t, err, sdk.Denied, "no password is sent to git.example.invalid over plain http")
}
