package gitanossh

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// adminRepo holds the server's own configuration and is never mirrored.
const adminRepo = "gitano-admin"

// entry is one line of a listing.
type entry struct {
	path     string
	readable bool
}

// parseEntry reads a line such as "RW delta/foo". Older servers mix lines of
// their log into the output: those are not entries.
func parseEntry(line string) (entry, bool) {
	fields := strings.Fields(line)
	if len(fields) < 2 {
		return entry{}, false
	}
	switch fields[0] {
	case "R", "W", "RW":
	default:
		return entry{}, false
	}
	return entry{path: strings.TrimSuffix(fields[1], ".git"), readable: fields[0][0] == 'R'}, true
}

// config is what is used of a repository's configuration.
type config struct {
	head        string // a full ref, or ""
	description string
}

// parseConfig reads "key: value" lines.
func parseConfig(out string) config {
	var c config
	for line := range strings.Lines(out) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
		if !ok {
			continue
		}
		value = strings.TrimSpace(value)
		switch strings.TrimSpace(key) {
		case "project.head":
			c.head = fullRef(value)
		case "project.description":
			c.description = value
		}
	}
	return c
}

// fullRef makes a branch's full ref of what an old configuration may have.
func fullRef(head string) string {
	if head != "" && !strings.HasPrefix(head, "refs/") {
		head = "refs/heads/" + head
	}
	if !validHead(head) {
		return ""
	}
	return head
}

// validHead reports whether head is the full ref of a branch.
func validHead(head string) bool {
	name, ok := strings.CutPrefix(head, "refs/heads/")
	if !ok || name == "" || len(head) > 1024 || !plain(name) || strings.ContainsAny(name, " ~^:?*[\\") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") || strings.HasSuffix(name, ".") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || part[0] == '-' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}

func plain(s string) bool { return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) }

// CheckPath implements sdk.PathChecker.
func (a *Adapter) CheckPath(path string) (normal string, err error) {
	if path == adminRepo {
		return path, &sdk.Error{Kind: sdk.Invalid, Fact: "this is the server's own repository", Subject: path, Hint: otherPath}
	}
	return path, checkPath(path)
}

const otherPath = "choose another path for the Lorry, or another prefix for the host"

// checkPath refuses what Gitano, git or ssh could take for something else.
func checkPath(path string) error {
	fault := func(why string) error {
		return &sdk.Error{Kind: sdk.Invalid, Fact: "the path " + why, Subject: path, Hint: otherPath}
	}
	switch {
	case path == "" || len(path) > 1024:
		return fault("is empty or too long")
	case !plain(path) || strings.ContainsFunc(path, unicode.IsSpace) || strings.ContainsAny(path, "\\'\"`$&|;<>()*?!~#"):
		return fault("has spaces or characters that Gitano does not take")
	}
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "" || part[0] == '.' || part[0] == '-':
			return fault("has an empty part, or one that starts with a dot or a dash")
		case strings.HasSuffix(strings.ToLower(part), ".git") || strings.HasSuffix(part, ".lock"):
			return fault("has a part that ends in .git or .lock")
		}
	}
	return nil
}
