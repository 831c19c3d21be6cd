package core

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHideParameters(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"to https://h.example.com/a?private_token=abc&b=c":         "to https://h.example.com/a?private_token=[secret]&b=c",
		"<a href='/x?b&amp;Job-Token=abc'>":                        "<a href='/x?b&amp;Job-Token=[secret]'>",
		`{"url":"https://h.example.com/a?b=c\u0026apikey=abc"}`:    `{"url":"https://h.example.com/a?b=c\u0026apikey=[secret]"}`,
		"/login?to=https%3A%2F%2Fh%2Fa%3Foauth%5Ftoken%3Dabc&b":    "/login?to=https%3A%2F%2Fh%2Fa%3Foauth%5Ftoken%3D[secret]&b",
		"?X-Amz-Credential=k%2F1&X-Amz-Date=1&X-Amz-Signature=abc": "?X-Amz-Credential=[secret]&X-Amz-Date=1&X-Amz-Signature=[secret]",
		"?X-Amz-Security-Token=abc&x-goog-signature=abc":           "?X-Amz-Security-Token=[secret]&x-goog-signature=[secret]",
		"https://h.example.com/a?sv=1&sig=a%2Bb%3D, and more":      "https://h.example.com/a?sv=1&sig=[secret] and more",
		"a#access_token=abc": "a#access_token=[secret]",
		// None of these is one.
		"refs/heads/token":                               "refs/heads/token",
		"refs/heads/token=1":                             "refs/heads/token=1",
		"https://h.example.com/a?token=&sig":             "https://h.example.com/a?token=&sig",
		"https://h.example.com/a?mytoken=a&sigh=b&key=c": "https://h.example.com/a?mytoken=a&sigh=b&key=c",
		"Receiving objects: 12% (1/8)":                   "Receiving objects: 12% (1/8)",
	} {
		if diff := cmp.Diff(want, HideParameters(text)); diff != "" {
			t.Errorf("%s: %s", text, diff)
		}
	}
}

// FuzzHideParameters compares with a slow search for the same.
func FuzzHideParameters(f *testing.F) {
	f.Add("https://h.example.com/a?private_token=abc&b=c")
	f.Add("%3f__token%3Dx&%26Ap%2DiKey=\xff'")
	f.Add("?token%3fsig=y\\u0026sig=;token=?token=1")
	const between = `(?:_|-|%5[fF]|%2[dD])*`
	var names []string
	for _, name := range []string{
		"privatetoken", "jobtoken", "accesstoken", "authtoken", "oauthtoken", "token", "apikey",
		"sig", "signature", "xamzsignature", "xamzcredential", "xamzsecuritytoken", "xgoogsignature", "xgoogcredential",
	} {
		pattern := between
		for _, letter := range name { // not (?i), which takes U+212A and U+017F for k and s
			pattern += "[" + string(letter) + strings.ToUpper(string(letter)) + "]" + between
		}
		names = append(names, pattern)
	}
	slow := regexp.MustCompile(`((?:[?&;#]|%3[fF]|%26|%3[bB]|%23|\\u0026)(?:` + strings.Join(names, "|") + `)(?:=|%3[dD]))[^&;#\s'"<>\\]+`)
	f.Add("?to\u212aen=a&\u017fig=b&sig=c")
	f.Fuzz(func(t *testing.T, text string) {
		got := HideParameters(text)
		if want := slow.ReplaceAllString(text, "${1}"+redacted); got != want {
			t.Errorf("%q: want %q, got %q", text, want, got)
		}
		if again := HideParameters(got); again != got {
			t.Errorf("%q becomes %q, and then %q", text, got, again)
		}
	})
}
