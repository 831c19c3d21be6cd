package gerrit

import (
	"bytes"
	"io"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestWordsOfRefusalsHaveTheirKind(t *testing.T) {
	t.Parallel()
	// All but the last are what Gerrit 3.9.1 printed.
	for words, want := range map[string]sdk.Kind{
		"fatal: Project already exists": sdk.Conflict,
		"fatal: Cannot create a because the name is already occupied by another project.": sdk.Conflict,
		"fatal: Ref Not Found: refs/heads/zz":                                             sdk.NotFound,
		"fatal: project a/nope not found":                                                 sdk.NotFound,
		"create project not permitted":                                                    sdk.Denied,
		"fatal: write refs/meta/config not permitted":                                     sdk.Denied,
		"fatal: internal server error":                                                    sdk.Unavailable,
		"fatal: something else":                                                           sdk.Internal,
	} {
		if got := kindOf(words); got != want {
			t.Errorf("%q is %s, want %s", words, got, want)
		}
	}
}

func address2(t *testing.T, raw string) *url.URL {
	t.Helper()
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestHowGerritIsReached(t *testing.T) {
	t.Parallel()
	web := address2(t, "https://gerrit.example.com/r/")
	for name, tc := range map[string]struct {
		settings  Settings
		transport string
		bySSH     bool
	}{
		"upstream":                        {Settings{Host: "gerrit.example.com"}, "https", false},
		"upstream by ssh":                 {Settings{Host: "gerrit.example.com", Protocol: "ssh"}, "ssh", true},
		"upstream by http":                {Settings{Host: "gerrit.example.com", Protocol: "http"}, "http", false},
		"upstream, git by ssh alone":      {Settings{Host: "gerrit.example.com", Protocol: "ssh", API: "rest"}, "ssh", false},
		"downstream as the original":      {Settings{SSHURL: "ssh://lorry@gerrit.example.com:29418", HTTPURL: web}, "ssh", true},
		"downstream by REST":              {Settings{HTTPURL: web}, "https", false},
		"the original's default ssh-url":  {Settings{SSHURL: "ssh://git@localhost", HTTPURL: web}, "https", false},
		"a Gerrit on this machine":        {Settings{SSHURL: "ssh://lorry@localhost:29418", HTTPURL: address2(t, "http://localhost:8080/")}, "ssh", true},
		"downstream, REST with ssh pushs": {Settings{SSHURL: "ssh://lorry@gerrit.example.com:29418", HTTPURL: web, API: "rest"}, "ssh", false},
	} {
		if got := tc.settings.transport(); got != tc.transport {
			t.Errorf("%s: git uses %q, want %q", name, got, tc.transport)
		}
		if got := tc.settings.bySSH(); got != tc.bySSH {
			t.Errorf("%s: asked by ssh: %v, want %v", name, got, tc.bySSH)
		}
		if diags := tc.settings.Validate(); len(diags) > 0 {
			t.Errorf("%s: %+v", name, diags)
		}
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]Settings{
		"nothing":                {},
		"an option as host":      {Host: "-oProxyCommand=x"},
		"an address as host":     {Host: "https://gerrit.example.com/r"},
		"a password in ssh-url":  {SSHURL: "ssh://lorry:word@gerrit.example.com"},
		"an http-url for ssh":    {HTTPURL: address2(t, "ssh://gerrit.example.com/")},
		"a password for nobody":  {Host: "gerrit.example.com", Password: sdk.NewSecret("x")},
		"a parent as an option":  {SSHURL: "ssh://gerrit.example.com", ParentProject: "--help"},
		"a relative known_hosts": {SSHURL: "ssh://gerrit.example.com", SSHKnownHosts: "known_hosts"},
	} {
		if diags := s.Validate(); len(diags) == 0 || diags[0].Severity != sdk.SeverityError {
			t.Errorf("%s was taken: %+v", name, diags)
		}
	}
	for _, parent := range []string{"All-Projects", "Public-Mirrors", "acl/mirrors"} {
		if diags := (&Settings{SSHURL: "ssh://gerrit.example.com", ParentProject: parent}).Validate(); len(diags) > 0 {
			t.Errorf("the parent %q was refused: %+v", parent, diags)
		}
	}
}

func TestCloneURLs(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		settings  Settings
		want      string
		hasSecret bool
	}{
		"https for a user":  {Settings{Host: "gerrit.example.com", Username: "u", Password: sdk.NewSecret("p")}, "https://gerrit.example.com/a/x/y%20z", true},
		"https for anybody": {Settings{Host: "gerrit.example.com"}, "https://gerrit.example.com/x/y%20z", false},
		"below a path":      {Settings{HTTPURL: address2(t, "https://example.com/r/"), Username: "u", Password: sdk.NewSecret("p")}, "https://example.com/r/a/x/y%20z", true},
		"ssh of a host":     {Settings{Host: "gerrit.example.com:8443", Protocol: "ssh", Username: "u", Password: sdk.NewSecret("p")}, "ssh://u@gerrit.example.com:29418/x/y%20z", false},
		"ssh of an address": {Settings{SSHURL: "ssh://lorry@gerrit.example.com:2222"}, "ssh://lorry@gerrit.example.com:2222/x/y%20z", false},
		"http when told so": {Settings{Host: "gerrit.example.com", Protocol: "http"}, "http://gerrit.example.com/x/y%20z", false},
	} {
		a, err := open(t.Context(), sdk.Env{}, tc.settings)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		access, err := a.access("x/y z")
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(tc.want, access.URL); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got := !access.Secret.Empty(); got != tc.hasSecret {
			t.Errorf("%s: has a secret: %v", name, got)
		}
	}
}

func FuzzProjects(f *testing.F) {
	for _, seed := range []string{
		")]}'\n{\"a/b\":{\"id\":\"a%2Fb\",\"state\":\"ACTIVE\",\"branches\":{\"HEAD\":\"d4\"},\"_more_projects\":true}}", ")]}'\n{}", ")]}'\n[]", ")]}'", "<html>",
		"{}", ")]}'\n{\"a\":1}", ")]}'\n{\"a\":{", ")]}'\n{\"a\":{}}{\"b\":{}}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, ok := unguarded(bytes.NewReader(raw))
		if !ok {
			return
		}
		rest, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		list, err := decodeProjectsOf(rest)
		if err != nil {
			if kind := sdk.KindOf(err); kind != sdk.Internal && kind != sdk.Unavailable {
				t.Fatalf("error is %s: %v", kind, err)
			}
			return
		}
		if len(list) > bytes.Count(rest, []byte(":")) {
			t.Fatalf("%d projects in %q", len(list), rest)
		}
	})
}

func FuzzName(f *testing.F) {
	for _, seed := range []string{"a/b", "-x", "a/../b", "a b", "a.git"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if checkName(name) == nil && (strings.HasPrefix(name, "-") || strings.HasPrefix(name, "/") || strings.Contains(name, "..") && strings.Contains("/"+name+"/", "/../") || strings.ContainsAny(name, "\n\x00")) {
			t.Fatalf("%q was taken", name)
		}
	})
}
