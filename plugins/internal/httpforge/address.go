package httpforge

import (
	"net/url"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Address is where a forge is. The settings of every forge have the same four
// keys for it.
type Address struct {
	Host     string // of a section of CONFGIT: NAME or NAME:PORT
	Protocol string // ssh, https, http, or "" to leave it open
	HTTPURL  *url.URL
	SSHURL   string
}

// Site is an Address worked out.
type Site struct {
	Web *url.URL // root of the web interface, without a trailing slash
	SSH *url.URL // nil when it is not known
	// Protocol is what git uses: ssh, https or http.
	Protocol string
	// Unverified says that the connection proves nothing about the host, so
	// that git may not have the credential either.
	Unverified bool
}

// Validate tells what is wrong with the address.
func (a Address) Validate() []sdk.Diagnostic {
	var diags []sdk.Diagnostic
	complain := func(severity sdk.Severity, path, summary, detail string) {
		diags = append(diags, sdk.Diagnostic{Severity: severity, Path: path, Summary: summary, Detail: detail})
	}
	if a.Host == "" && a.HTTPURL == nil {
		complain(sdk.SeverityError, "http-url", "neither host nor http-url is given", "give the address of the forge's web interface, such as https://git.example.com")
		return diags
	}
	if u := a.HTTPURL; u != nil && (u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.RawQuery != "" || u.Fragment != "") {
		complain(sdk.SeverityError, "http-url", "http-url is not the address of a web interface", "write it like https://git.example.com or https://example.com/git")
		return diags
	}
	if a.HTTPURL == nil && (strings.ContainsAny(a.Host, "/@ ?#") || webOf(a.Host, "https") == nil) {
		complain(sdk.SeverityError, "host", "host is not the name of a host", "write it like git.example.com; an address with a path goes into http-url")
		return diags
	}
	if a.SSHURL != "" {
		if _, err := ParseSSH(a.SSHURL); err != nil {
			complain(sdk.SeverityError, "ssh-url", "ssh-url "+err.Error(), "write it like ssh://git@git.example.com")
			return diags
		}
	}
	if site := a.Site(sdk.RoleUnknown); site.Web.Scheme == "http" && !Loopback(site.Web) {
		complain(sdk.SeverityWarning, "http-url", "the forge is asked over plain http, which anybody on the way can read", "use https; a token is sent only if insecure-credentials is set")
	}
	return diags
}

// Site works the address out; it must be valid. Git uses the protocol that was
// chosen; else ssh for a downstream whose ssh-url is known (as the original
// did), else that of the web interface.
func (a Address) Site(role sdk.Role) Site {
	s := Site{Web: a.HTTPURL, Protocol: a.Protocol}
	if s.Web == nil {
		scheme := "https"
		if a.Protocol == "http" {
			scheme = "http"
		}
		s.Web = webOf(a.Host, scheme)
	}
	web := *s.Web
	web.Path, web.RawPath = strings.TrimRight(web.Path, "/"), ""
	s.Web = &web
	if ssh, err := ParseSSH(a.SSHURL); err == nil && !leftover(ssh, s.Web) {
		s.SSH = ssh
	}
	switch {
	case s.Protocol != "":
	case s.SSH != nil && role != sdk.RoleUpstream:
		s.Protocol = "ssh"
	default:
		s.Protocol = s.Web.Scheme
	}
	return s
}

// leftover reports whether an ssh-url is just the original's default,
// ssh://git@localhost, beside a forge that is somewhere else.
func leftover(ssh, web *url.URL) bool {
	return ssh.Host == "localhost" && !Loopback(web)
}

func webOf(host, scheme string) *url.URL {
	u, err := url.Parse(scheme + "://" + host)
	if err != nil || u.Host == "" {
		return nil
	}
	return u
}

// API gives the root of an API below the web interface.
func (s Site) API(path ...string) *url.URL { return s.Web.JoinPath(path...) }

// CloneURL gives the URL for git of a repository. Over HTTP it is built from
// the configured address, never from what the forge says about itself: the
// token would follow it. reported is the forge's own ssh address, which is used
// when no ssh-url is set.
func (s Site) CloneURL(path, reported string) (string, error) {
	if s.Protocol != "ssh" {
		u := *s.Web
		u.Scheme = s.Protocol
		return u.JoinPath(path + ".git").String(), nil
	}
	if s.SSH != nil {
		return s.SSH.JoinPath(path + ".git").String(), nil
	}
	if reported == "" {
		return (&url.URL{Scheme: "ssh", User: url.User("git"), Host: s.Web.Hostname(), Path: "/" + path + ".git"}).String(), nil
	}
	u, err := ParseSSH(reported)
	if err != nil {
		return "", sdk.WithHint(sdk.Errorf(sdk.Internal, "the forge's ssh address of %q %w", path, err), "set ssh-url")
	}
	return u.String(), nil
}

// Access gives how git reaches a repository: with a password or token over HTTP,
// where any name goes with a token, and with a key that is not ours by ssh.
func (s Site) Access(cloneURL, username string, secret sdk.Secret) sdk.Access {
	access := sdk.Access{URL: cloneURL}
	if s.Protocol == "ssh" || s.Unverified || secret.Empty() {
		return access
	}
	access.Username, access.Secret = "oauth2", secret
	if username != "" {
		access.Username = username
	}
	return access
}

// sshError says what is wrong with an address; it reads on after its name.
type sshError string

// Error implements error.
func (e sshError) Error() string { return string(e) }

// ParseSSH reads an address for ssh, as a URL or as USER@HOST:PATH.
func ParseSSH(raw string) (*url.URL, error) {
	if strings.ContainsAny(raw, " \t\r\n") {
		return nil, sshError("has white space in it")
	}
	if !strings.Contains(raw, "://") {
		if host, path, ok := cutScp(raw); ok {
			raw = "ssh://" + host + "/" + strings.TrimPrefix(path, "/")
		}
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "ssh" || u.Hostname() == "":
		return nil, sshError("is not an address for ssh")
	case strings.HasPrefix(u.Hostname(), "-") || strings.HasPrefix(u.User.Username(), "-"):
		return nil, sshError("has a host or user that starts with a dash")
	}
	if _, has := u.User.Password(); has {
		return nil, sshError("must not have a password in it")
	}
	u.RawQuery, u.Fragment = "", ""
	return u, nil
}

// cutScp splits USER@HOST:PATH, where HOST may be an address in brackets.
func cutScp(raw string) (host, path string, ok bool) {
	from := 0
	if i := strings.IndexByte(raw, ']'); i >= 0 {
		from = i
	}
	i := strings.IndexByte(raw[from:], ':')
	if i < 0 || strings.Contains(raw[:from+i], "/") {
		return "", "", false
	}
	return raw[:from+i], raw[from+i+1:], true
}
