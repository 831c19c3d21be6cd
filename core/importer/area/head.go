package area

import (
	"os"
	"strings"
)

// headName is a file in a Lorry's directory.
const headName = "pushed-head"

// SetHead records what this Lorry made the default branch of the repository at
// the address, or found to be it where it would have made it so.
func (a *Area) SetHead(address, ref string) error {
	return write(a.Path(headName), address+"\n"+ref+"\n", false)
}

// Head gives what SetHead recorded for the address; "" when there is nothing,
// or for another address.
func (a *Area) Head(address string) string {
	text, err := os.ReadFile(a.Path(headName))
	if err != nil {
		return ""
	}
	ref, ok := strings.CutPrefix(string(text), address+"\n")
	if !ok {
		return ""
	}
	return strings.TrimSuffix(ref, "\n")
}
