package policy

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Told is a ref as reports and approvals name it. They are JSON, which has UTF-8
// alone, while git takes any bytes: of a name that is no UTF-8, each byte that is
// not ASCII is told as %XX, and so is %.
func Told(name string) string {
	if utf8.ValidString(name) {
		return name
	}
	var b strings.Builder
	for _, c := range []byte(name) {
		if c >= utf8.RuneSelf || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
