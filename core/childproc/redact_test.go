package childproc

import (
	"bytes"
	"encoding/base64"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/iotest"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestRedact(t *testing.T) {
	t.Parallel()
	const secret = "s3cr/t+x"
	for _, test := range []struct{ name, in, want string }{
		{"plain", "fetching\n", "fetching\n"},
		{"secret", "a s3cr/t+x b", "a [secret] b"},
		{"query escaped", "p=" + url.QueryEscape(secret), "p=[secret]"},
		{"base64", "v " + base64.StdEncoding.EncodeToString([]byte(secret)), "v [secret]"},
		{"userinfo", "to https://me:pw@example.com/x.git", "to https://[secret]@example.com/x.git"},
		{"token as user", "to https://tok@example.com/x.git", "to https://[secret]@example.com/x.git"},
		{"ssh login", "ssh://git@example.com/x", "ssh://git@example.com/x"},
		{"ssh password", "ssh://git:pw@example.com/x", "ssh://[secret]@example.com/x"},
		{"header", "Authorization: Basic abcdef", "Authorization: [secret]"},
		{"token in a query", "moved to https://example.com/x?a=b&private_token=abc", "moved to https://example.com/x?a=b&private_token=[secret]"},
		{"signature with a control character", "at /x?X-Amz-Signa\x1bture=a\x07bc'", "at /x?X-Amz-Signature=[secret]'"},
		{"name of a branch", "new branch refs/heads/token", "new branch refs/heads/token"},
		{"escape sequences", "a\x1b]0;t\x07b\x1b[2Jc\u202e", "a]0;tb[2Jc"},
		{"control inside secret", "a s3cr\x1b/t+x b", "a [secret] b"},
		{"progress", "10%\r20%\rdone\n", "10%\r20%\rdone\n"},
		{"not utf-8", "caf\xe9", "caf\uFFFD"},
		{"scp form", "git@example.com:foo.git", "git@example.com:foo.git"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, Redact(test.in, secret)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRedactorSeesSecretSplitOverWrites(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := NewRedactor(&out, "topsecret")
	if _, err := io.Copy(r, iotest.OneByteReader(strings.NewReader("a topsecret b\ntopsecret"))); err != nil {
		t.Fatal(err)
	}
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("a [secret] b\n[secret]\n", out.String()); diff != "" {
		t.Error(diff)
	}
}

func TestRedactorCutsLongLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	r := NewRedactor(&out, "topsecret")
	line := strings.Repeat("x", MaxLine-4) + "topsecret" + strings.Repeat("y", 1<<20)
	_, _ = io.WriteString(r, line+"\nnext\n")
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 3 || lines[1] != "next" || len(lines[0]) > MaxLine+8 || strings.Contains(lines[0], "tops") {
		t.Errorf("got %d lines, first of %d bytes ending %q", len(lines), len(lines[0]), lines[0][len(lines[0])-20:])
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("fatal: https://me:pw@example.com hunter22\r\n\x1b[2J", "hunter22")
	f.Fuzz(func(t *testing.T, text, secret string) {
		got := Redact(text, secret)
		if !utf8.ValidString(got) || strings.ContainsAny(got, "\x1b\x00\x7f") {
			t.Errorf("unprintable: %q", got)
		}
		if len(secret) >= 4 && !strings.Contains(hidden, secret) && !strings.ContainsAny(secret, "\r\n[]") &&
			strings.Contains(got, secret) && !strings.Contains(strings.ReplaceAll(got, hidden, ""), hidden) &&
			strings.Contains(strings.ReplaceAll(got, hidden, "\n"), secret) {
			t.Errorf("secret %q still in %q", secret, got)
		}
	})
}
