package sshfake

import (
	"fmt"
	"strings"
)

// Split splits a command line as a shell, Gitano and Gerrit do: at spaces,
// with backslashes, single and double quotes. Shell operators are no words.
func Split(command string) ([]string, error) {
	var words []string
	var word strings.Builder
	started, escaped := false, false
	quote := rune(0)
	for _, r := range command {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			started, escaped = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '\'' || r == '"':
			started, quote = true, r
		case r == ' ' || r == '\t' || r == '\n':
			if started {
				words = append(words, word.String())
			}
			started = false
			word.Reset()
		case strings.ContainsRune(";&|<>`$()", r):
			return nil, fmt.Errorf("a shell would act on %q in %q", r, command)
		default:
			started = true
			word.WriteRune(r)
		}
	}
	if quote != 0 || escaped {
		return nil, fmt.Errorf("%q ends within a quotation", command)
	}
	if started {
		words = append(words, word.String())
	}
	return words, nil
}
