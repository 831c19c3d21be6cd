package pages

import (
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

func TestTexts(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	got := []string{
		span(7200), span(86400 * 3), span(90), span(60), span(0),
		ago(now, 0), ago(now, now.Unix()), ago(now, now.Unix()-3700), ago(now, now.Unix()+60),
		short("0123456789abcdef"), short("abc"), short(""),
		lastLine("a\n b \n\n"), lastLine("10%\r20%\r"), lastLine(" \n"), lastLine(strings.Repeat("ä", 200)),
		pathLink{Path: "a b/c?d/é"}.URL(),
	}
	want := []string{
		"2 h", "3 d", "1 min 30 s", "1 min", "0 s",
		"never", "just now", "1 h 1 min ago", "just now",
		"0123456789ab", "abc", "–",
		"b", "20%", "", strings.Repeat("ä", 160) + "…",
		"a%20b/c%3Fd/%C3%A9",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAsOnTerminal(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a\r\nb\r\n":              "a\nb\n",
		"1%\r2%\r3%\ndone\n":      "3%\ndone\n",
		"1%\r2%\r":                "2%",
		"plain":                   "plain",
		"left\r\nmiddle\rright\n": "left\nright\n",
	} {
		if diff := cmp.Diff(want, asOnTerminal(in)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", in, diff)
		}
	}
}

func FuzzVisible(f *testing.F) {
	f.Add("a\x1b[31m\u202eb\u200b\x00\xff\u0085\n\t")
	f.Fuzz(func(t *testing.T, text string) {
		for _, r := range visible(text) {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("%q lets %U through", text, r)
			}
		}
	})
}
