package gitlab

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/plugins/internal/plugintest"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

func TestCheckTellsOfTheToken(t *testing.T) {
	t.Parallel()
	soon := time.Now().Add(5 * 24 * time.Hour).Format(time.DateOnly)
	for _, tc := range []struct {
		name     string
		opts     gitlabfake.Options
		role     sdk.Role
		settings map[string]any
		want     []string
	}{
		{"good", gitlabfake.Options{Expires: "2999-01-01"}, sdk.RoleDownstream, nil, nil},
		{"expires soon", gitlabfake.Options{Expires: soon}, sdk.RoleDownstream, nil, []string{`warning: the token "mirror" expires on ` + soon}},
		{"reads only", gitlabfake.Options{Scopes: []string{"read_api", "read_repository"}}, sdk.RoleDownstream, nil, []string{"error: the token has the scopes read_api, read_repository, which can't make projects"}},
		{"reads enough", gitlabfake.Options{Scopes: []string{"read_api", "read_repository"}}, sdk.RoleUpstream, nil, nil},
		{"can't clone", gitlabfake.Options{Scopes: []string{"read_api"}}, sdk.RoleUpstream, nil, []string{"error: the token has the scopes read_api, which can't read repositories"}},
		{"clones by ssh", gitlabfake.Options{Scopes: []string{"read_api"}}, sdk.RoleUpstream, map[string]any{"protocol": "ssh"}, nil},
		{"revoked", gitlabfake.Options{Revoked: true}, sdk.RoleDownstream, nil, []string{`error: the token "mirror" is revoked or has expired`}},
		{"tells too little", gitlabfake.Options{SelfStatus: 403}, sdk.RoleDownstream, nil, []string{"warning: the token may not read its own end, so that nobody is warned of it"}},
		{"is no access token", gitlabfake.Options{SelfStatus: 401}, sdk.RoleDownstream, nil, []string{"warning: GitLab does not tell when this kind of token ends, so that nobody is warned of it"}},
		{"is hidden", gitlabfake.Options{SelfStatus: 404}, sdk.RoleDownstream, nil, []string{"warning: GitLab does not tell when the token ends, so that nobody is warned of it"}},
		{"is of an old GitLab", gitlabfake.Options{SelfStatus: 404, Version: "15.4.6-ee"}, sdk.RoleDownstream, nil, nil},
		{"no groups", gitlabfake.Options{NoTopGroups: true}, sdk.RoleDownstream, nil, []string{`warning: the token's account "lorry" can't make top-level groups`}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, address := serve(t, tc.opts)
			report, err := session(t, tc.role, with(address, tc.settings)).Check(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range report.Diagnostics {
				got = append(got, string(d.Severity)+": "+d.Summary)
			}
			if told := !report.ExpiresAt.IsZero(); told != (tc.opts.Expires != "") || told && report.ExpiresAt.Format(time.DateOnly) != tc.opts.Expires {
				t.Errorf("the token ends at %v, want %q", report.ExpiresAt, tc.opts.Expires)
			}
			version := "18.5.0"
			if tc.opts.Version != "" {
				version = tc.opts.Version
			}
			if diff := cmp.Diff(tc.want, got); diff != "" || report.ServerVersion != "GitLab "+version {
				t.Errorf("%s (-want +got):\n%s", report.ServerVersion, diff)
			}
		})
	}
}

func TestCheckWithAWrongToken(t *testing.T) {
	t.Parallel()
	_, address := serve(t, gitlabfake.Options{})
	_, err := downstream(t, address, map[string]any{"private-token": "glpat-another-CANARY"}).Check(t.Context())
	plugintest.WantTold(t, err, sdk.Unauthenticated, "has it not expired")
	plugintest.WantTold(t, err, sdk.Unauthenticated, "deploy token")
}

// A settings error is found by what is wrong, before anything is asked.
func TestSettingsAreValidated(t *testing.T) {
	t.Parallel()
	token := sdk.NewSecret(canary)
	for _, tc := range []struct {
		name     string
		settings Settings
		want     []string
	}{
		{"nothing", Settings{Token: token}, []string{"neither host nor http-url is given"}},
		{"host with a path", Settings{Host: "git.example.com/x"}, []string{"host is not the name of a host"}},
		{"no token downstream", Settings{HTTPURL: site(t, "https://git.example.com")}, []string{`"private-token" is missing`}},
		{"bad ssh", Settings{Host: "git.example.com", SSHURL: "ssh://git:pw@git.example.com"}, []string{"ssh-url must not have a password in it"}},
		{"plain http", Settings{Host: "git.example.com", Protocol: "http"}, []string{"the forge is asked over plain http, which anybody on the way can read"}},
		{"empty group", Settings{Host: "git.example.com", Groups: []string{"/"}}, []string{"group has an empty item"}},
		{"membership", Settings{Host: "git.example.com", Membership: true}, []string{"membership needs a token"}},
		{"deploy token", Settings{Host: "git.example.com", Token: sdk.NewSecret("gldt-" + canary)}, []string{"private-token is a deploy token, with which GitLab's API can't be asked"}},
		{"user alone", Settings{Host: "git.example.com", Username: "me"}, []string{"username is given without a password and is not used"}},
		{"good", Settings{Host: "git.example.com:8443", SSHURL: "git@git.example.com:"}, nil},
	} {
		var got []string
		for _, d := range tc.settings.Validate() {
			got = append(got, d.Summary)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// The errors are looked at without the core's own redaction.
func TestTokenIsInNoError(t *testing.T) {
	t.Parallel()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"message":"bad header ` + r.Header.Get("Authorization") + ` at https://oauth2:` + canary + `@` + r.Host + `/"}`))
	}))
	t.Cleanup(echo.Close)
	log := hclog.New(&hclog.LoggerOptions{Output: &suite.Log{}})
	s := Settings{HTTPURL: site(t, echo.URL), Token: sdk.NewSecret(canary), Visibility: "private", CheckCertificates: true}
	a, err := open(t.Context(), sdk.Env{HTTP: &http.Client{}, Log: log, Role: sdk.RoleDownstream}, s)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	_, err = a.Ensure(t.Context(), sdk.Want{Path: "mirrors/p"})
	plugintest.WantTold(t, err, sdk.Invalid, "[secret]")
	if strings.Contains(err.Error(), "oauth2") {
		t.Errorf("a URL keeps its user: %v", err)
	}
}

func FuzzCheckName(f *testing.F) {
	for _, seed := range []string{"a/b", "", "/", "a/b.git", "-/x", "mirrors/gtk+", strings.Repeat("a/", 30)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		if checkName(path) != nil {
			return
		}
		// What is taken must be safe in a URL and a path.
		if strings.ContainsAny(path, " ?#%\\:@\x00\n") || strings.Contains(path, "//") || strings.Contains("/"+path+"/", "/../") {
			t.Errorf("%q is taken", path)
		}
	})
}
