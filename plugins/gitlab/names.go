package gitlab

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

const (
	maxLevels  = 20 // levels of groups
	maxSegment = 255
)

// reservedTop cannot be the name of a top-level group, reservedBelow not that
// of a subgroup or project. GitLab's list grows; this is a help for people, and
// the server has the last word.
func reservedTop() []string {
	return []string{
		"-", ".well-known", "404.html", "422.html", "500.html", "502.html", "503.html", "admin", "api", "apple-touch-icon.png",
		"assets", "dashboard", "deploy.html", "explore", "favicon.ico", "favicon.png", "files", "groups", "health_check",
		"help", "import", "jwt", "login", "oauth", "profile", "projects", "public", "robots.txt", "s", "search", "sitemap",
		"sitemap.xml", "sitemap.xml.gz", "slash-command-logo.png", "snippets", "unsubscribes", "uploads", "users", "v2",
	}
}

func reservedBelow() []string {
	return []string{
		"-", "badges", "blame", "blob", "builds", "commits", "create", "create_dir", "edit", "files", "find_file", "new",
		"preview", "raw", "refs", "tree", "update", "wikis",
	}
}

// CheckPath implements sdk.PathChecker. GitLab takes paths that differ in upper
// and lower case alone for the same.
func (a *Adapter) CheckPath(path string) (normal string, err error) {
	return strings.ToLower(path), checkName(path)
}

// checkName refuses a path that GitLab cannot have, before anything is asked.
func checkName(path string) error {
	fault := func(why, hint string) error {
		return sdk.WithHint(&sdk.Error{Kind: sdk.Invalid, Fact: fmt.Sprintf("GitLab can't have the path %q: %s", path, why), Subject: path}, hint)
	}
	const rename = "choose another path for the Lorry, or another prefix for the host"
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return fault("a project must be in a group, so two components are needed", "put a prefix such as mirrors/ before it")
	}
	if len(parts) > maxLevels+1 {
		return fault(fmt.Sprintf("it has more than %d levels of groups", maxLevels), rename)
	}
	for i, part := range parts {
		if why := segmentFault(part, i == len(parts)-1); why != "" {
			return fault(why, rename)
		}
		reserved := reservedBelow()
		if i == 0 {
			reserved = reservedTop()
		}
		if slices.Contains(reserved, strings.ToLower(part)) {
			return fault(fmt.Sprintf("%q is reserved", part), rename)
		}
	}
	return nil
}

// segmentFault says what is wrong with one component of a path, or "".
func segmentFault(part string, project bool) string {
	lower := strings.ToLower(part)
	switch {
	case part == "" || part == "." || part == "..":
		return "a component is empty, \".\" or \"..\""
	case len(part) > maxSegment:
		return fmt.Sprintf("a component has more than %d bytes", maxSegment)
	case part[0] == '-':
		return fmt.Sprintf("%q starts with a dash", part)
	case strings.HasSuffix(lower, ".git") || strings.HasSuffix(lower, ".atom"):
		return fmt.Sprintf("%q ends in .git or .atom", part)
	case !project && strings.HasSuffix(part, "."):
		return fmt.Sprintf("%q ends in a dot", part)
	}
	for _, r := range part {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.", r) {
			return fmt.Sprintf("%q has %q; letters, digits, \"_\", \"-\" and \".\" are allowed", part, r)
		}
	}
	return ""
}

// displayName gives the name of a group or project for its path. It equals the
// path: another name could be taken by a neighbour. A name can't start with a
// dot though.
func displayName(part string) string {
	if strings.HasPrefix(part, ".") {
		return "dot" + part
	}
	return part
}
