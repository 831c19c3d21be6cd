package sshforge

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// Target is where and as whom commands are run.
type Target struct {
	User string // "" leaves it to ssh
	Host string // without brackets
	Port int    // 0 leaves it to ssh
	// Base is put before every repository's path in URL; "" or "/a/b".
	Base string
}

// ParseURL reads a URL such as ssh://git@git.example.com:2222/. It must not
// have a password.
func ParseURL(raw string) (Target, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || u.Scheme != "ssh" || u.Host == "" || u.Opaque != "":
		return Target{}, fmt.Errorf("it is not a URL such as ssh://git@git.example.com/")
	case u.RawQuery != "" || u.Fragment != "":
		return Target{}, fmt.Errorf("it must not have a query or a fragment")
	}
	if _, has := u.User.Password(); has {
		return Target{}, fmt.Errorf("it must not have a password; ssh uses keys")
	}
	t := Target{User: u.User.Username(), Host: u.Hostname(), Base: strings.TrimRight(u.Path, "/")}
	if p := u.Port(); p != "" {
		if t.Port, err = strconv.Atoi(p); err != nil {
			return Target{}, fmt.Errorf("%q is no port", p)
		}
	}
	return t, t.check()
}

// ParseHost reads HOST or HOST:PORT as CONFGIT has it.
func ParseHost(name, user string, port int) (Target, error) {
	t := Target{User: user, Host: strings.Trim(name, "[]"), Port: port}
	if host, p, err := net.SplitHostPort(name); err == nil {
		n, err := strconv.Atoi(p)
		if err != nil {
			return Target{}, fmt.Errorf("%q is no port", p)
		}
		t.Host, t.Port = host, n
	}
	return t, t.check()
}

// check refuses what ssh could take for an option or expand.
func (t Target) check() error {
	if _, err := netip.ParseAddr(t.Host); err == nil && !strings.Contains(t.Host, "%") {
		return t.checkRest()
	}
	if t.Host == "" || t.Host[0] == '-' || strings.ContainsFunc(t.Host, func(r rune) bool { return !nameRune(r) }) {
		return fmt.Errorf("%q is no name of a host", t.Host)
	}
	return t.checkRest()
}

func (t Target) checkRest() error {
	switch {
	case strings.HasPrefix(t.User, "-") || strings.ContainsFunc(t.User, func(r rune) bool { return !nameRune(r) }):
		return fmt.Errorf("%q is no name of a user", t.User)
	case t.Port < 0 || t.Port > 65535:
		return fmt.Errorf("%d is no port", t.Port)
	}
	return nil
}

func nameRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)
}

// URL gives the ssh URL of a repository.
func (t Target) URL(path string) string {
	u := url.URL{Scheme: "ssh", Host: t.Host, Path: t.Base + "/" + path}
	if strings.Contains(t.Host, ":") {
		u.Host = "[" + t.Host + "]"
	}
	if t.Port != 0 {
		u.Host = net.JoinHostPort(t.Host, strconv.Itoa(t.Port))
	}
	if t.User != "" {
		u.User = url.User(t.User)
	}
	return u.String()
}

// knownAs is the name under which ssh looks for the host's key.
func (t Target) knownAs() string {
	if t.Port == 0 || t.Port == 22 {
		return strings.ToLower(t.Host)
	}
	return fmt.Sprintf("[%s]:%d", strings.ToLower(t.Host), t.Port)
}
