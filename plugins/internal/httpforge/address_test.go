package httpforge

import (
	"net/url"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestSites(t *testing.T) {
	t.Parallel()
	u := func(raw string) *url.URL {
		parsed, err := url.Parse(raw)
		if err != nil {
			t.Fatal(err)
		}
		return parsed
	}
	for _, tc := range []struct {
		name       string
		address    Address
		role       sdk.Role
		api, clone string
	}{
		{"upstream by name", Address{Host: "git.example.com", Protocol: "https"}, sdk.RoleUpstream, "https://git.example.com/api", "https://git.example.com/a/b.git"},
		{"upstream by ssh", Address{Host: "git.example.com:8443", Protocol: "ssh"}, sdk.RoleUpstream, "https://git.example.com:8443/api", "ssh://git@git.example.com/a/b.git"},
		{"upstream over http", Address{Host: "git.example.com", Protocol: "http"}, sdk.RoleUpstream, "http://git.example.com/api", "http://git.example.com/a/b.git"},
		{"upstream without a choice", Address{Host: "git.example.com", SSHURL: "git@git.example.com:"}, sdk.RoleUpstream, "https://git.example.com/api", "https://git.example.com/a/b.git"},
		{"below a path", Address{HTTPURL: u("https://example.com/forge/")}, sdk.RoleDownstream, "https://example.com/forge/api", "https://example.com/forge/a/b.git"},
		{"the original's keys", Address{HTTPURL: u("https://git.example.com/"), SSHURL: "ssh://git@git.example.com"}, sdk.RoleDownstream, "https://git.example.com/api", "ssh://git@git.example.com/a/b.git"},
		{"the original's default", Address{HTTPURL: u("https://git.example.com/"), SSHURL: "ssh://git@localhost"}, sdk.RoleDownstream, "https://git.example.com/api", "https://git.example.com/a/b.git"},
		{"all on this machine", Address{HTTPURL: u("http://localhost/"), SSHURL: "ssh://git@localhost"}, sdk.RoleDownstream, "http://localhost/api", "ssh://git@localhost/a/b.git"},
		{"https chosen", Address{HTTPURL: u("https://git.example.com/"), SSHURL: "ssh://git@git.example.com", Protocol: "https"}, sdk.RoleDownstream, "https://git.example.com/api", "https://git.example.com/a/b.git"},
	} {
		for _, d := range tc.address.Validate() {
			if d.Severity == sdk.SeverityError {
				t.Errorf("%s: %v", tc.name, d)
			}
		}
		site := tc.address.Site(tc.role)
		clone, err := site.CloneURL("a/b", "")
		if err != nil || clone != tc.clone || site.API("api").String() != tc.api {
			t.Errorf("%s: want %s and %s, got %s and %s, %v", tc.name, tc.api, tc.clone, site.API("api"), clone, err)
		}
	}
}

func FuzzParseSSH(f *testing.F) {
	for _, seed := range []string{"git@git.example.com:a/b.git", "ssh://git@[::1]:2222/a", "git@[::1]:a", "-oProxyCommand=x", "ssh://-x@y/z", "ssh://u:p@h/x", "://"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := ParseSSH(raw)
		if err != nil {
			return
		}
		if _, has := u.User.Password(); has || u.Scheme != "ssh" || u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-") {
			t.Errorf("%q gives %q", raw, u)
		}
	})
}

func TestFilterKeepsEverythingUnlessTold(t *testing.T) {
	t.Parallel()
	if r := (sdk.Repo{Archived: true, Fork: true, Empty: true}); !(Filter{}).Keep(r, nil) {
		t.Error("a repository is left out by no filter")
	}
}
