package spec

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"github.com/lorry-controller/lorry-controller/core"
)

// schemes lists what may stand before "://" for each type.
func schemes(t Type) []string {
	switch t {
	case Git:
		return []string{"https", "http", "git", "ssh", "git+ssh", "ssh+git", "file"}
	case Hg:
		return []string{"https", "http", "ssh", "file"}
	case Svn:
		return []string{"https", "http", "svn", "svn+ssh", "file"}
	case Bzr:
		return []string{"https", "http", "bzr", "bzr+ssh", "sftp", "file"}
	case Cvs:
		return nil
	}
	return []string{"https", "http", "ftp", "file"}
}

var (
	schemeForm  = regexp.MustCompile(`^([A-Za-z][A-Za-z0-9+.-]*)://`)
	helperForm  = regexp.MustCompile(`^[A-Za-z0-9+.-]*::`)
	scpForm     = regexp.MustCompile(`^(?:([^@:/\s]+)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*):([^\s].*)$`)
	hostForm    = regexp.MustCompile(`^(\[[0-9A-Fa-f:.%]+\]|[\pL\pN_][\pL\pN_.-]*)(:[0-9]{0,5})?$`)
	bareForm    = regexp.MustCompile(`^[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*\.[A-Za-z]{2,}/`)
	cvsUserForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	cvsPathForm = regexp.MustCompile(`^/[A-Za-z0-9_./+@%~,=-]*$`)
	moduleForm  = regexp.MustCompile(`^[A-Za-z0-9_.+@%~,=][A-Za-z0-9_./+@%~,=-]*$`)
	pserverForm = regexp.MustCompile(`^:([a-z]+)(;[^:]*)?:(?:([^@/]*)@)?([A-Za-z0-9_][A-Za-z0-9_.-]*):([0-9]*)(/.*)$`)
)

// ParseAddress checks the address of a source of the given type and splits a
// credential off it. No error quotes a part that may hold one.
func ParseAddress(t Type, address string) (core.Access, error) {
	if err := checkAddressText(address); err != nil {
		return core.Access{}, err
	}
	switch {
	case t == Cvs:
		return cvsAddress(address)
	case t == Bzr && strings.HasPrefix(address, "lp:") && len(address) > 3:
		return core.Access{URL: address}, nil
	case helperForm.MatchString(address):
		return core.Access{}, fmt.Errorf("the form %q runs a helper program and is not allowed", before(address, "::")+"::")
	}
	if m := schemeForm.FindStringSubmatch(address); m != nil {
		return urlAddress(t, strings.ToLower(m[1]), address[len(m[0]):])
	}
	if strings.HasPrefix(address, "/") {
		return core.Access{URL: address}, nil
	}
	if t == Git {
		if m := scpForm.FindStringSubmatch(address); m != nil && !strings.HasPrefix(m[1], "-") && !strings.HasPrefix(m[3], "-") {
			return core.Access{URL: address}, nil
		}
	}
	if t.Downloads() && bareForm.MatchString(address) {
		// As programs that download take it.
		return urlAddress(t, "http", address)
	}
	return core.Access{}, fmt.Errorf("the url is neither a URL (allowed: %s) nor an absolute path", strings.Join(schemes(t), ", "))
}

func checkAddressText(address string) error {
	switch {
	case address == "":
		return fmt.Errorf("the url is empty")
	case len(address) > 4096:
		return fmt.Errorf("the url is longer than 4096 bytes")
	case strings.HasPrefix(address, "-"):
		return fmt.Errorf("the url starts with %q, which a program would take for an option", "-")
	case strings.ContainsFunc(address, func(c rune) bool {
		return unicode.IsControl(c) || unicode.IsSpace(c) || c == unicode.ReplacementChar
	}):
		return errors.New("the url holds a space or a control character; a space is written %20, that of a path as in file:///one%20place")
	}
	return nil
}

func urlAddress(t Type, scheme, rest string) (core.Access, error) {
	if !slices.Contains(schemes(t), scheme) {
		return core.Access{}, fmt.Errorf("the scheme %q is not allowed for type %q (allowed: %s)", scheme, t, strings.Join(schemes(t), ", "))
	}
	if scheme == "git+ssh" || scheme == "ssh+git" {
		scheme = "ssh"
	}
	authority, path := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, path = rest[:i], rest[i:]
	}
	if scheme == "file" {
		if authority != "" && authority != "localhost" || !strings.HasPrefix(path, "/") {
			return core.Access{}, fmt.Errorf("a file URL must be file:// and an absolute path")
		}
		return core.Access{URL: "file://" + path}, nil
	}
	user, host := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		user, host = authority[:i], authority[i+1:]
	}
	if !hostForm.MatchString(host) {
		// The text is not quoted: it may be a part of a password.
		return core.Access{}, fmt.Errorf("the url has no usable host name (special characters in a password must be percent-encoded)")
	}
	if _, err := url.Parse(scheme + "://" + host + path); err != nil {
		return core.Access{}, fmt.Errorf("the url cannot be read: its path or port is not well-formed")
	}
	if strings.Contains(scheme, "ssh") || scheme == "sftp" {
		return sshAddress(scheme, user, host, path)
	}
	access := core.Access{URL: scheme + "://" + host + path}
	name, secret, has := strings.Cut(user, ":")
	switch name, secret = unescape(name), unescape(secret); {
	case has && secret != "":
		access.Username, access.Secret = name, core.NewSecret(secret)
	case name != "":
		// A lone user name over HTTP is an access token as hosts hand them out.
		access.Secret = core.NewSecret(name)
	}
	if scheme == "http" || scheme == "https" {
		return inQuery(t, access)
	}
	return access, nil
}

// sshAddress keeps the login name, which is no secret; a password is of no use
// to ssh, which is never allowed to ask for one.
func sshAddress(scheme, user, host, path string) (core.Access, error) {
	name, _, _ := strings.Cut(user, ":")
	if strings.HasPrefix(name, "-") {
		return core.Access{}, fmt.Errorf("the user name of the url starts with %q", "-")
	}
	if strings.HasPrefix(path, "/-") && scheme == "ssh" && len(path) > 2 {
		return core.Access{}, fmt.Errorf("the path of the url starts with %q", "-")
	}
	if name != "" {
		host = name + "@" + host
	}
	return core.Access{URL: scheme + "://" + host + path}, nil
}

// cvsAddress checks a CVSROOT. The programs that get it put it into the command
// line of a shell here and there, so that only plain characters are taken.
func cvsAddress(address string) (core.Access, error) {
	for _, method := range []string{":local:", ":fork:"} {
		if path, ok := strings.CutPrefix(address, method); ok {
			address = path
			break
		}
	}
	access, path := core.Access{}, address
	if m := pserverForm.FindStringSubmatch(address); m != nil {
		if !slices.Contains([]string{"pserver", "ext"}, m[1]) || m[2] != "" {
			return core.Access{}, fmt.Errorf("the access method %q of the CVSROOT is not allowed (allowed: pserver, ext, local, fork)", m[1])
		}
		name, secret, _ := strings.Cut(m[3], ":")
		if name != "" && !cvsUserForm.MatchString(name) {
			return core.Access{}, fmt.Errorf("the user name of the CVSROOT starts with %q or holds more than letters, digits and %q", "-", "_.-")
		}
		at := ""
		if name != "" {
			at = name + "@"
		}
		access.URL, path = ":"+m[1]+":"+at+m[4]+":"+m[5]+m[6], m[6]
		if secret != "" && m[1] == "pserver" {
			access.Username, access.Secret = name, core.NewSecret(secret)
		}
	} else if m := scpForm.FindStringSubmatch(address); m != nil && strings.HasPrefix(m[3], "/") && (m[1] == "" || cvsUserForm.MatchString(m[1])) && !strings.HasPrefix(m[2], "[") {
		access.URL, path = address, m[3]
	} else if strings.HasPrefix(address, "/") {
		access.URL = address
	} else {
		return core.Access{}, fmt.Errorf("the url is not a CVSROOT such as :pserver:anonymous@cvs.example.org:/cvsroot/name")
	}
	if !cvsPathForm.MatchString(path) {
		return core.Access{}, fmt.Errorf("the path of the CVSROOT holds more than letters, digits and %q", "/_.+@%~,=-")
	}
	return access, nil
}

func unescape(s string) string {
	if plain, err := url.PathUnescape(s); err == nil {
		return plain
	}
	return s
}

func before(s, sep string) string {
	head, _, _ := strings.Cut(s, sep)
	return head
}

// Site is what a credential is for: the scheme, host and port of a URL; all of an
// address that names no host that way.
func Site(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return address
	}
	return strings.ToLower(u.Scheme + "://" + u.Host)
}

// hostOf gives the host of an address that ParseAddress has passed.
func hostOf(t Type, address string) string {
	if strings.HasPrefix(address, "/") {
		return ""
	}
	if t == Bzr && strings.HasPrefix(address, "lp:") {
		return "bazaar.launchpad.net"
	}
	host := ""
	if u, err := url.Parse(address); err == nil && schemeForm.MatchString(address) {
		host = u.Hostname()
	} else if m := pserverForm.FindStringSubmatch(address); m != nil {
		host = m[4]
	} else if m := scpForm.FindStringSubmatch(address); m != nil {
		host = strings.Trim(m[2], "[]")
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// CheckPath checks the path of a repository downstream, or the name of an
// entry in a .lorry file. The error says what is wrong with it.
func CheckPath(path string) error {
	switch {
	case path == "":
		return fmt.Errorf("the name is empty")
	case len(path) > 1024:
		return fmt.Errorf("the name is longer than 1024 bytes")
	case strings.ContainsFunc(path, func(c rune) bool { return unicode.IsControl(c) || c == unicode.ReplacementChar }):
		return fmt.Errorf("the name %q holds a control character or is not UTF-8", path)
	case strings.HasPrefix(path, "/"), strings.HasPrefix(path, "-"), strings.HasPrefix(path, "."):
		return fmt.Errorf("the name %q starts with %q", path, path[:1])
	}
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "":
			return fmt.Errorf("the name %q has an empty part between slashes", path)
		case part == "." || part == "..":
			return fmt.Errorf("the name %q has a part %q", path, part)
		case strings.HasPrefix(part, "-"):
			return fmt.Errorf("the name %q has a part that starts with %q", path, "-")
		case strings.HasSuffix(part, ".lock"), strings.HasSuffix(part, ".git"):
			return fmt.Errorf("the name %q has a part that ends in %q", path, part[strings.LastIndexByte(part, '.'):])
		case len(part) > 255:
			return fmt.Errorf("the name %q has a part longer than 255 bytes", path[:32]+"…")
		}
	}
	return nil
}
