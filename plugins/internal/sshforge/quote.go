package sshforge

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Quote makes one command line of words, for servers that split it as a shell
// does and for those that do so by a parser of their own. Only backslashes
// outside of quotes mean the same to all of them. A word with control
// characters is refused, because no server agrees with another on those.
func Quote(words ...string) (string, error) {
	var b strings.Builder
	for i, w := range words {
		if !utf8.ValidString(w) || strings.ContainsFunc(w, unicode.IsControl) {
			return "", sdk.Errorf(sdk.Invalid, "%q has control characters or broken UTF-8 and can't be part of an ssh command", w)
		}
		if i > 0 {
			b.WriteByte(' ')
		}
		if w == "" {
			b.WriteString("''")
		}
		for _, r := range w {
			if r < utf8.RuneSelf && !plainRune(r) {
				b.WriteByte('\\')
			}
			b.WriteRune(r)
		}
	}
	return b.String(), nil
}

func plainRune(r rune) bool { return nameRune(r) || strings.ContainsRune("/:@%+=,", r) }

// OneLine makes one line of a text without control characters, for values
// such as a description.
func OneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}
