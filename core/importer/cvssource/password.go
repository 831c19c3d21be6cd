package cvssource

import (
	"fmt"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
)

// passwordLine is the line of a file of passwords for a CVSROOT of pserver; ""
// for others. Without a password it is the empty one, which anonymous has.
func passwordLine(a core.Access, send bool) (string, error) {
	root, ok := strings.CutPrefix(a.URL, ":pserver:")
	if !ok {
		return "", nil
	}
	host, path, _ := strings.Cut(root, ":")
	port, directory := path, ""
	if i := strings.IndexByte(path, '/'); i >= 0 {
		port, directory = path[:i], path[i:]
	}
	if port == "" {
		port = "2401"
	}
	secret := ""
	if send {
		secret = a.Secret.Reveal()
	}
	hidden, err := scramble(secret)
	return fmt.Sprintf("/1 :pserver:%s:%s%s %s\n", host, port, directory, hidden), err
}

// scramble writes a password as the protocol does: a substitution that hides it
// from a glance and from nobody else (cvsclient.info, "Password scrambling
// algorithm").
func scramble(password string) (string, error) {
	// What the characters from " " to "~" become.
	codes := [...]byte{
		114, 120, 53, 79, 96, 109, 72, 108, 70, 64, 76, 67, 116, 74, 68, 87, 111, 52, 75, 119, 49, 34, 82, 81, 95, 65, 112, 86, 118, 110, 122, 105,
		41, 57, 83, 43, 46, 102, 40, 89, 38, 103, 45, 50, 42, 123, 91, 35, 125, 55, 54, 66, 124, 126, 59, 47, 92, 71, 115, 78, 88, 107, 106, 56,
		36, 121, 117, 104, 101, 100, 69, 73, 99, 63, 94, 93, 39, 37, 61, 48, 58, 113, 32, 90, 44, 98, 60, 51, 33, 97, 62, 77, 84, 80, 85,
	}
	var b strings.Builder
	b.WriteByte('A')
	for _, c := range []byte(password) {
		if c < ' ' || c > '~' {
			return "", fmt.Errorf("it holds a character that pserver does not take")
		}
		b.WriteByte(codes[c-' '])
	}
	return b.String(), nil
}
