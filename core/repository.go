package core

import (
	"net/url"
	"regexp"
	"strings"
)

// scpAddress is git's short form for ssh, [USER@]HOST:PATH.
var scpAddress = regexp.MustCompile(`^(?:[^@/:\s]+@)?(\[[0-9A-Fa-f:.]+\]|[^@/:\[\]\s]+):(.+)$`)

// RepositoryName gives what all addresses of one repository have in common,
// HOST/PATH in lower case: scheme, user, port, query, a ".git" at the end and
// superfluous slashes are left out, so that what a forge calls a repository can
// be found among the URLs that CONFGIT has. Two repositories of which only the
// case differs have the same name. It is "" for an address without a host.
func RepositoryName(address string) string {
	host, path := "", ""
	if u, err := url.Parse(address); err == nil && u.Scheme != "" && strings.Contains(address, "://") {
		host, path = u.Hostname(), u.Path
	} else if m := scpAddress.FindStringSubmatch(address); m != nil && !strings.Contains(address, "://") {
		host, path = strings.Trim(m[1], "[]"), m[2]
	}
	host = strings.TrimSuffix(host, ".")
	path = RepositoryPath(path)
	if host == "" || path == "" {
		return ""
	}
	return strings.ToLower(host) + "/" + strings.ToLower(path)
}

// RepositoryPath gives a repository's path on its host without slashes around
// it, superfluous ones in it, and ".git" at its end.
func RepositoryPath(path string) string {
	parts := strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
	return strings.TrimSuffix(strings.Join(parts, "/"), ".git")
}
