package gitea

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

const (
	maxOwner = 40
	maxRepo  = 100
)

// reservedOwners cannot be the name of an organisation. The list of the forge
// grows; this is a help for people, and the server has the last word.
func reservedOwners() []string {
	return []string{
		".", "..", "-", ".well-known", "admin", "api", "assets", "attachments", "avatar", "avatars", "captcha", "commits",
		"debug", "error", "explore", "favicon.ico", "ghost", "install", "issues", "login", "manifest.json", "metrics",
		"milestones", "new", "notifications", "org", "pulls", "raw", "repo", "repo-avatars", "robots.txt", "search",
		"serviceworker.js", "ssh_info", "swagger.v1.json", "user", "v2", "gitea-actions",
	}
}

// CheckPath implements sdk.PathChecker. The forge takes paths that differ in
// upper and lower case alone for the same.
func (a *Adapter) CheckPath(path string) (normal string, err error) {
	return strings.ToLower(path), checkName(path)
}

// checkName refuses a path that the forge cannot have, before anything is asked.
func checkName(path string) error {
	fault := func(why, hint string) error {
		return sdk.WithHint(&sdk.Error{Kind: sdk.Invalid, Fact: fmt.Sprintf("Gitea can't have the path %q: %s", path, why), Subject: path}, hint)
	}
	const rename = "choose another path for the Lorry, or another prefix for the host"
	parts := strings.Split(path, "/")
	if len(parts) != 2 {
		return fault(fmt.Sprintf("it has %d components, but Gitea has exactly ORGANISATION/REPOSITORY", len(parts)),
			"map the host with a prefix such that two components result, or name the Lorry so")
	}
	if why := partFault(parts[0], maxOwner); why != "" {
		return fault(why, rename)
	}
	if slices.Contains(reservedOwners(), strings.ToLower(parts[0])) {
		return fault(fmt.Sprintf("%q is reserved", parts[0]), rename)
	}
	if strings.ContainsAny(parts[0][:1]+parts[0][len(parts[0])-1:], "-._") || hasPair(parts[0]) {
		return fault(fmt.Sprintf("the organisation %q starts or ends with \"-\", \".\" or \"_\", or has two of them in a row", parts[0]), rename)
	}
	if why := partFault(parts[1], maxRepo); why != "" {
		return fault(why, rename)
	}
	for _, end := range []string{".git", ".wiki", ".rss", ".atom"} {
		if strings.HasSuffix(strings.ToLower(parts[1]), end) {
			return fault(fmt.Sprintf("%q ends in %s", parts[1], end), rename)
		}
	}
	return nil
}

// partFault says what is wrong with one component of a path, or "".
func partFault(part string, limit int) string {
	switch {
	case part == "" || part == "." || part == ".." || part == "-":
		return "a component is empty, \".\", \"..\" or \"-\""
	case len(part) > limit:
		return fmt.Sprintf("%q has more than %d characters", part, limit)
	case strings.Contains(part, ".."):
		return fmt.Sprintf("%q has two dots in a row", part)
	}
	for _, r := range part {
		if (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("_-.", r) {
			return fmt.Sprintf("%q has %q; letters, digits, \"_\", \"-\" and \".\" are allowed", part, r)
		}
	}
	return ""
}

// hasPair reports whether two separators follow each other.
func hasPair(s string) bool {
	for i := 1; i < len(s); i++ {
		if strings.IndexByte("-._", s[i]) >= 0 && strings.IndexByte("-._", s[i-1]) >= 0 {
			return true
		}
	}
	return false
}
