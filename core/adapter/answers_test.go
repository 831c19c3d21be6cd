package adapter

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestURLsOfAnswers(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://git.example.com/a.git":            "",
		"http://git.example.com:8080/a":            "",
		"ssh://git@git.example.com/a":              "",
		"git://git.example.com/a":                  "",
		"file:///srv/git/a%20b.git":                "",
		"":                                         "is missing",
		"git@git.example.com:a":                    "is not a URL",
		"a/b":                                      "has none of the schemes",
		"ext::sh -c id":                            "has none of the schemes",
		"https://user@git.example.com/a":           "has a user",
		"ssh://git:pw@git.example.com/a":           "has a password",
		"ssh://-oProxyCommand=id/a":                "has no host",
		"ssh://-x@git.example.com/a":               "starts with a dash",
		"https:///a":                               "has no host",
		"file://server/share":                      "is not file:///PATH",
		"https://git.example.com/a\nb":             "not plain text",
		"https://git.example.com/\xff":             "not plain text",
		"https://e.com/" + string(make([]byte, 1)): "not plain text",
		"https://git.example.com/" + strings.Repeat("a", maxURL): "too long",
	} {
		got := urlFault(raw)
		if want == "" && got != "" || want != "" && !strings.Contains(got, want) {
			t.Errorf("%.60q: want %q, got %q", raw, want, got)
		}
	}
}

func TestPathsOfAnswers(t *testing.T) {
	t.Parallel()
	for p, good := range map[string]bool{
		"a": true, "a/b/c": true, "with space": true, "ünï": true, "a.b": true, "-a": true,
		"": false, "/a": false, "a/": false, "a//b": false, "../a": false, "a/..": false, "./a": false, "a.git": false, "a\nb": false, "a\x00": false, "\xff": false,
		strings.Repeat("a", maxPath+1): false,
	} {
		if got := pathFault(p); (got == "") != good {
			t.Errorf("%.40q: %q", p, got)
		}
	}
}

func TestCredentialsAreKeptBackFromUnverifiedConnections(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		url            string
		skip, insecure bool
		sent           bool
	}{
		{"https://git.example.com/a", false, false, true},
		{"https://git.example.com/a", true, false, false},
		{"https://git.example.com/a", true, true, true},
		{"http://git.example.com/a", false, false, false},
		{"http://git.example.com/a", false, true, true},
		{"http://127.0.0.1:3000/a", false, false, true},
		{"ssh://git@git.example.com/a", true, false, true},
	} {
		s := &supervisor{log: hclog.NewNullLogger(), inst: Instance{SkipCertificates: tc.skip, InsecureCredentials: tc.insecure}}
		access, err := s.checkAccess(sdk.Access{URL: tc.url, Username: "u", Secret: sdk.NewSecret("hush")})
		if err != nil || access.Secret.Empty() == tc.sent || access.SkipCertificates != tc.skip {
			t.Errorf("%+v: %+v, %v", tc, access, err)
		}
	}
	s := &supervisor{log: hclog.NewNullLogger()}
	for _, a := range []sdk.Access{
		{URL: "https://git.example.com/a", Secret: sdk.NewSecret("two\nlines")},
		{URL: "https://git.example.com/a", Username: "two\nlines"},
		{URL: "https://git.example.com/a", KnownHosts: "a\x00"},
		{},
	} {
		if _, err := s.checkAccess(a); err == nil || sdk.KindOf(err) != sdk.Internal {
			t.Errorf("%+v is taken: %v", a, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add("a/b", "https://git.example.com/a", "refs/heads/main", "id", "hint")
	f.Add("../a", "ext::x", "HEAD", "\x00", "\xff")
	f.Fuzz(func(t *testing.T, p, raw, head, id, hint string) {
		r, err := checkRepo(sdk.Repo{Path: p, CloneURL: raw, Head: head, ID: id, ChangeHint: hint})
		if err != nil {
			return
		}
		if path.Clean("/"+r.Path) != "/"+r.Path || strings.ContainsAny(r.Path+r.CloneURL+r.Head+r.ID+r.ChangeHint, "\x00\n\r") {
			t.Errorf("taken: %+v", r)
		}
		u, err := url.Parse(r.CloneURL)
		if err != nil {
			t.Fatal(err)
		}
		if _, has := u.User.Password(); has {
			t.Errorf("taken: %q", r.CloneURL)
		}
	})
}

func TestErrorNamesTheInstanceAndKeepsItsKind(t *testing.T) {
	t.Parallel()
	inst := Instance{Name: "git.example.com", Type: "gitlab"}
	err := errorOf(inst, sdk.WithHint(&sdk.Error{Kind: sdk.Denied, Fact: "not yours", Subject: "a/b"}, "ask"))
	var e *core.Error
	if !asCore(err, &e) || e.Kind != core.KindDenied || e.Hint != "ask" || e.Fact != `gitlab adapter of "git.example.com": not yours (a/b)` {
		t.Errorf("got %#v", err)
	}
}

func asCore(err error, target **core.Error) bool {
	e, ok := err.(*core.Error) //nolint:errorlint // it must be one itself
	*target = e
	return ok
}
