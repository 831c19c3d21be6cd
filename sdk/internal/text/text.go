// Package text makes strings from strangers safe: text for people is cleaned,
// text for machines is refused when it is not clean. It does no I/O.
package text

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean gives s as one line of valid UTF-8 without control characters and
// without the marks that reorder text on a screen, at most limit bytes long.
func Clean(s string, limit int) string {
	if len(s) > 4*limit {
		s = s[:4*limit]
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t' || r == '\r':
			return ' '
		case unicode.IsControl(r) || Reorders(r):
			return -1
		default:
			return r
		}
	}, strings.ToValidUTF8(s, "\uFFFD"))
	s = strings.TrimSpace(s)
	if len(s) <= limit {
		return s
	}
	cut := max(limit-len("…"), 0)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}

// Plain reports whether s is valid UTF-8 without anything that Clean takes out.
func Plain(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if unicode.IsControl(r) || Reorders(r) {
			return false
		}
	}
	return true
}

// Reorders reports whether r changes the order in which a line is shown.
func Reorders(r rune) bool {
	return r >= 0x202A && r <= 0x202E || r >= 0x2066 && r <= 0x2069 || r == 0x200E || r == 0x200F
}
