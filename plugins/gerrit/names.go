package gerrit

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// builtIn reports whether a project is Gerrit's own.
func builtIn(name string) bool { return name == "All-Projects" || name == "All-Users" }

// CheckPath implements sdk.PathChecker. Gerrit keeps projects in directories of
// their names, so upper and lower case differ wherever they do on its disk.
func (a *Adapter) CheckPath(path string) (normal string, err error) { return path, checkName(path) }

// checkName refuses what Gerrit does not take as the name of a project, and
// what git or ssh could take for something else.
func checkName(name string) error {
	fault := func(why string) error {
		return &sdk.Error{
			Kind: sdk.Invalid, Fact: "the name " + why, Subject: name, Hint: "choose another path for the Lorry, or another prefix for the host",
		}
	}
	switch {
	case name == "" || len(name) > 1024:
		return fault("is empty or too long")
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return fault("has control characters or broken UTF-8")
	case strings.ContainsAny(name, `\?%*:<>|$~"'`) || strings.Contains(name, "/+"):
		return fault("has characters that Gerrit does not take")
	case builtIn(name):
		return fault("is that of one of Gerrit's own projects")
	}
	for part := range strings.SplitSeq(name, "/") {
		switch {
		case part == "" || part == "." || part == ".." || part[0] == '-' || part[0] == '.':
			return fault("has an empty part, or one that starts with a dot or a dash")
		case strings.TrimSpace(part) != part:
			return fault("has a part that starts or ends with a space")
		case strings.HasSuffix(strings.ToLower(part), ".git"):
			return fault("has a part that ends in .git, which Gerrit cuts off")
		}
	}
	return nil
}

// validHead reports whether head is the full ref of a branch.
func validHead(head string) bool {
	name, ok := strings.CutPrefix(head, "refs/heads/")
	if !ok || name == "" || len(head) > 1024 || !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl) ||
		strings.ContainsAny(name, " ~^:?*[\\") || strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasSuffix(name, ".") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || part[0] == '-' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}
