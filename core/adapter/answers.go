package adapter

import (
	"hash/maphash"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// Limits of what an answer may hold, in bytes.
const (
	maxPath       = 1024
	maxURL        = 4096
	maxName       = 1024
	maxHint       = 256
	maxSecret     = 64 << 10
	maxKnownHosts = 64 << 10
)

// seen remembers paths as numbers, so that a listing of any length takes little
// room. Two paths with the same number are as good as impossible.
type seen struct {
	seed maphash.Seed
	set  map[uint64]struct{}
}

func newSeen() *seen { return &seen{maphash.MakeSeed(), map[uint64]struct{}{}} }

// add reports whether the path is new.
func (s *seen) add(path string) bool {
	n := maphash.String(s.seed, path)
	_, known := s.set[n]
	s.set[n] = struct{}{}
	return !known
}

// plain reports whether a text for machines is valid and holds nothing that
// could end a line, a field or a message early.
func plain(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// checkRepo takes over a repository from an answer. What is wrong with it is
// the adapter's fault.
func checkRepo(r sdk.Repo) (core.Repo, error) {
	if fact := pathFault(r.Path); fact != "" {
		return core.Repo{}, sdk.Errorf(sdk.Internal, "the answer has the repository path %q: %s", core.Clip(r.Path, mostQuoted), fact)
	}
	if fact := urlFault(r.CloneURL); fact != "" && (!r.Disabled || r.CloneURL != "") {
		return core.Repo{}, sdk.Errorf(sdk.Internal, "the clone URL of %q %s", r.Path, fact)
	}
	if r.Head != "" && !isBranch(r.Head) {
		return core.Repo{}, sdk.Errorf(sdk.Internal, "the default branch of %q is %q, not a full ref", r.Path, core.Clip(r.Head, mostQuoted))
	}
	if !plain(r.ID, maxName) || !plain(r.ChangeHint, maxHint) {
		return core.Repo{}, sdk.Errorf(sdk.Internal, "the identity or change hint of %q is too long or not plain text", r.Path)
	}
	return core.Repo{
		ID: r.ID, Path: r.Path, CloneURL: r.CloneURL, Head: r.Head, Description: r.Description,
		Visibility: string(r.Visibility), Archived: r.Archived, Empty: r.Empty, Fork: r.Fork,
		Disabled: r.Disabled, ChangeHint: r.ChangeHint,
	}, nil
}

// isBranch reports whether ref is the full name of a branch.
func isBranch(ref string) bool {
	return strings.HasPrefix(ref, "refs/heads/") && plain(ref, maxPath) && !strings.ContainsAny(ref, " ~^:?*[\\")
}

// pathFault says what is wrong with a repository's path, or "".
func pathFault(path string) string {
	switch {
	case path == "":
		return "it is empty"
	case !plain(path, maxPath):
		return "it is too long or not plain text"
	case strings.HasSuffix(path, ".git"):
		return "it ends in .git"
	}
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == "." || part == ".." {
			return "it has an empty, \".\" or \"..\" part"
		}
	}
	return ""
}

// urlFault says what is wrong with a URL for git, or "".
func urlFault(raw string) string {
	if raw == "" {
		return "is missing"
	}
	if !plain(raw, maxURL) {
		return "is too long or not plain text"
	}
	u, err := url.Parse(raw)
	if err != nil {
		return "is not a URL"
	}
	_, password := u.User.Password()
	switch u.Scheme {
	case "https", "http", "git":
		if u.User != nil {
			return "has a user or password in it"
		}
	case "ssh":
		if password {
			return "has a password in it"
		}
		if strings.HasPrefix(u.User.Username(), "-") {
			return "has a user that starts with a dash"
		}
	case "file":
		if u.Host != "" || !strings.HasPrefix(u.Path, "/") || u.User != nil {
			return "is not file:///PATH"
		}
		return ""
	default:
		return "has none of the schemes https, http, ssh, git, file"
	}
	if u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-") {
		return "has no host"
	}
	return ""
}

// checkAccess takes over how to reach a repository. A secret that would go over
// a connection that nobody verifies is kept back, unless an admin allows it.
func (s *supervisor) checkAccess(a sdk.Access) (core.Access, error) {
	if fact := urlFault(a.URL); fact != "" {
		return core.Access{}, sdk.Errorf(sdk.Internal, "the URL of the access %s", fact)
	}
	secret := a.Secret.Reveal()
	if !plain(a.Username, maxName) || len(secret) > maxSecret || strings.ContainsAny(secret, "\x00\r\n") {
		return core.Access{}, sdk.Errorf(sdk.Internal, "the user name or secret of the access has more than one line")
	}
	if len(a.KnownHosts) > maxKnownHosts || !utf8.ValidString(a.KnownHosts) || strings.ContainsRune(a.KnownHosts, 0) {
		return core.Access{}, sdk.Errorf(sdk.Internal, "the known hosts of the access are too long or not text")
	}
	s.mu.Lock()
	inst := s.inst
	s.mu.Unlock()
	authorities, err := inst.authorities()
	if err != nil {
		return core.Access{}, err
	}
	access := core.Access{
		Authorities: authorities,
		URL:         a.URL, Username: a.Username, Secret: core.NewSecret(secret), ExpiresAt: a.ExpiresAt,
		KnownHosts: a.KnownHosts, SkipCertificates: inst.SkipCertificates,
	}
	if secret != "" && !inst.InsecureCredentials && unverified(a.URL, inst.SkipCertificates) {
		s.log.Warn("credential kept back, the connection is not verified", "hint", "use https with a certificate, or set insecure-credentials for the host")
		access.Secret = core.Secret{}
	}
	return access, nil
}

// unverified reports whether nobody proves who is at the other end.
func unverified(raw string, skipCertificates bool) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return true
	}
	switch u.Scheme {
	case "https":
		return skipCertificates
	case "http", "git":
		return !core.Loopback(u.Hostname())
	default:
		return false
	}
}

// mostQuoted is how much of an answer is repeated, in characters.
const mostQuoted = 100
