package spec

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestTokensInQueries(t *testing.T) {
	t.Parallel()
	const at = "https://forge.example.com/a.tar.gz"
	for _, test := range []struct {
		typ                Type
		in, url, name, tok string
	}{
		{Tarball, at + "?private_token=T0K", at, "private_token", "T0K"},
		{Zip, at + "?a=1&private_token=T0K&b=%2f+", at + "?a=1&b=%2f+", "private_token", "T0K"},
		{Gzip, at + "?job_token=T0K&&a", at + "?&a", "job_token", "T0K"},
		{RawFile, at + "?a=1&Access_Token=T0K", at + "?a=1", "Access_Token", "T0K"},
		{RawFile, at + "?a;token=T0K;b", at + "?a;b", "token", "T0K"},
		{RawFile, at + "?%74oken=T0K&", at, "token", "T0K"},
		{RawFile, at + "?api-key=p%40s%2Bs+x", at, "api-key", "p@s+s x"},
		{RawFile, at + "?oauth%5Ftoken=a=b", at, "oauth_token", "a=b"},
		{RawFile, at + "?apikey=T0K#part", at + "#part", "apikey", "T0K"},
		{RawFile, "www.example.org/x?auth_token=T0K", "http://www.example.org/x", "auth_token", "T0K"},
		{RawFile, "HTTPS://forge.example.com/x?token=T0K", "https://forge.example.com/x", "token", "T0K"},
		{RawFile, "https://forge.example.com?token=T0K", "https://forge.example.com", "token", "T0K"},
		// None of these is a credential.
		{Tarball, at + "?", at + "?", "", ""},
		{Tarball, at + "?token=", at + "?token=", "", ""},
		{Tarball, at + "?token", at + "?token", "", ""},
		{Tarball, at + "?sha=1&mytoken=x&tokens=2&[token]=3", at + "?sha=1&mytoken=x&tokens=2&[token]=3", "", ""},
		{Tarball, at + "?X-Amz-Signature=x&sig=y", at + "?X-Amz-Signature=x&sig=y", "", ""},
		{Tarball, "https://forge.example.com/token=x", "https://forge.example.com/token=x", "", ""},
		{Tarball, "/srv/a?token=x", "/srv/a?token=x", "", ""},
		{Git, "https://forge.example.com/a.git?x=y", "https://forge.example.com/a.git?x=y", "", ""},
	} {
		t.Run(test.in, func(t *testing.T) {
			t.Parallel()
			got, err := ParseAddress(test.typ, test.in)
			if err != nil {
				t.Fatal(err)
			}
			want := core.Access{URL: test.url, Secret: core.NewSecret(test.tok), SecretIn: test.name}
			if diff := cmp.Diff(want, got, sameSecrets); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTokensInQueriesThatCannotBe(t *testing.T) {
	t.Parallel()
	const at, canary = "https://forge.example.com/a", "c4n4ry"
	for _, test := range []struct {
		typ      Type
		in, want string
	}{
		{Git, at + "?private_token=c4n4ry", "https://TOKEN@host/"},
		{Hg, at + "?access_token=c4n4ry", "https://TOKEN@host/"},
		{Svn, "http://forge.example.com/a?token=c4n4ry", "https://TOKEN@host/"},
		{Bzr, at + "?token=c4n4ry", "https://TOKEN@host/"},
		{Git, "https://c4n4ry@forge.example.com/a?private_token=c4n4ry2", "https://TOKEN@host/"},
		{Tarball, "https://c4n4ry@forge.example.com/a?private_token=c4n4ry2", "before the name of its host"},
		{RawFile, "https://me:c4n4ry@forge.example.com/a?private_token=c4n4ry2", "before the name of its host"},
		{RawFile, at + "?token=c4n4ry&private_token=c4n4ry2", "two tokens"},
		{RawFile, at + "?token=c4n4ry;token=c4n4ry", "two tokens"},
		{Zip, at + "?token=%zzc4n4ry", "percent-encoded"},
		{Zip, at + "#access_token=c4n4ry", "which no server gets to see"},
	} {
		got, err := ParseAddress(test.typ, test.in)
		if err == nil {
			t.Errorf("%s %s was accepted as %s", test.typ, test.in, got.URL)
			continue
		}
		if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s %s: %v", test.typ, test.in, err)
		}
		_, problems := Parse("f.lorry", []byte(`{"a": {"type": "`+string(test.typ)+`", "url": "`+test.in+`"}}`))
		if len(problems) == 0 || strings.Contains(text(problems), canary) {
			t.Errorf("%s %s: %s", test.typ, test.in, text(problems))
		}
	}
}

// TestTextHasNoToken: what is written down has no token, and reads back.
func TestTextHasNoToken(t *testing.T) {
	t.Parallel()
	for _, in := range []string{
		`{"a": {"type": "tarball", "url": "https://forge.example.com/a.tar?x=1&private_token=c4n4ry"}}`,
		`{"a": {"type": "raw-file", "urls": [{"url": "https://forge.example.com/a?token=c4n4ry", "destination": "d"}, {"url": "https://forge.example.com/b?token=c4n4ry"}]}}`,
		`{"a": {"type": "raw-file", "url": "https://forge.example.com/a?job_token=c4n4ry"}}`,
	} {
		specs, problems := Parse("f", []byte(in))
		if len(specs) != 1 || len(problems) > 0 {
			t.Fatalf("%s: %s", in, text(problems))
		}
		for _, a := range specs[0].Remotes() {
			if a.Secret.Reveal() != "c4n4ry" {
				t.Errorf("%s has the secret %q", a.URL, a.Secret.Reveal())
			}
		}
		written := specs[0].Text("a")
		again, problems := Parse("f", []byte(written))
		if len(again) != 1 || again[0].Text("a") != written || strings.Contains(written, "c4n4ry") {
			t.Errorf("%s does not read back: %s", written, text(problems))
		}
	}
}

// tokenLeft finds a token in the query of a URL, as servers would.
func tokenLeft(address string) string {
	if !strings.HasPrefix(address, "http://") && !strings.HasPrefix(address, "https://") {
		return ""
	}
	address, fragment, _ := strings.Cut(address, "#")
	_, query, _ := strings.Cut(address, "?")
	for _, part := range strings.FieldsFunc(query+"&"+fragment, func(c rune) bool { return c == '&' || c == ';' }) {
		name, value, _ := strings.Cut(part, "=")
		plain, err := url.QueryUnescape(name)
		if err != nil {
			plain = name
		}
		switch strings.ToLower(strings.NewReplacer("-", "_").Replace(plain)) {
		case "private_token", "job_token", "access_token", "auth_token", "oauth_token", "token", "api_key", "apikey":
			if value != "" {
				return part
			}
		}
	}
	return ""
}
