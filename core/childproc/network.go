package childproc

import (
	"crypto/sha256"
	"encoding/pem"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
)

// authorities writes the system's certificates and those of a file into one
// file in the private home, as the programs want it. "" is the system's alone.
func authorities(home, file string) (string, error) {
	if file == "" {
		return "", nil
	}
	own, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("the authorities' certificates cannot be read: %w", err)
	}
	if block, _ := pem.Decode(own); block == nil {
		return "", core.Errorf(core.KindInvalid, "%s holds no certificate in PEM form", file)
	}
	path := filepath.Join(home, "authorities.pem")
	if err := writeFile(path, append(systemAuthorities(), own...)); err != nil {
		return "", fmt.Errorf("home of git: %w", err)
	}
	return path, nil
}

// systemAuthorities are the certificates that the machine trusts: git takes one
// file for all.
func systemAuthorities() []byte {
	for _, path := range []string{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"} {
		if system, err := os.ReadFile(path); err == nil {
			return append(system, '\n')
		}
	}
	return nil
}

// hostAuthorities writes what is trusted for the host of one access into the
// private home and gives its name there, which follows from what it holds.
func (g *Git) hostAuthorities(a *core.Access) (string, error) {
	if block, _ := pem.Decode([]byte(a.Authorities)); block == nil {
		return "", core.Errorf(core.KindInvalid, "the host's ca-file holds no certificate in PEM form")
	}
	all := systemAuthorities()
	if g.caFile != "" {
		own, err := os.ReadFile(g.caFile) // has the system's
		if err != nil {
			return "", fmt.Errorf("the authorities' certificates cannot be read: %w", err)
		}
		all = append(own, '\n')
	}
	all = append(all, a.Authorities...)
	path := filepath.Join(g.opts.Home, fmt.Sprintf("authorities-%.16x.pem", sha256.Sum256(all)))
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	if err := writeFile(path, all); err != nil {
		return "", fmt.Errorf("home of git: %w", err)
	}
	return path, nil
}

// AuthorityFile is a file with the certificates of all authorities that are
// trusted for an access, the system's among them; "" when these alone are.
func (g *Git) AuthorityFile(a *core.Access) (string, error) {
	if a.Authorities == "" {
		return g.caFile, nil
	}
	return g.hostAuthorities(a)
}

// nowhere is a proxy that nobody is: what git sends there reaches no network.
const nowhere = "http://127.0.0.1:0"

// ownHostAlone lets git reach no other host over HTTP than that of an access: a
// server can name further addresses for a part of the objects (packfile-uris),
// and git goes to them although nobody asked for such.
func (g *Git) ownHostAlone(a *core.Access) []Setting {
	if a == nil {
		return nil
	}
	u, err := url.Parse(a.URL)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return []Setting{{"http.proxy", nowhere}}
	}
	return []Setting{{"http.proxy", nowhere}, {"http." + u.Scheme + "://" + u.Host + "/.proxy", g.via.Proxy}}
}

// networkConfig says to git how it reaches the network.
func (g *Git) networkConfig() []Setting {
	var settings []Setting
	if g.via.Proxy != "" {
		settings = append(settings, Setting{"http.proxy", g.via.Proxy}, Setting{"http.proxyAuthMethod", "basic"})
	}
	if g.caFile != "" {
		settings = append(settings, Setting{"http.sslCAInfo", g.caFile})
	}
	return settings
}

// networkEnv says the same to other programs.
func (g *Git) networkEnv() []string {
	var env []string
	if p := g.via.Proxy; p != "" {
		env = append(env, "http_proxy="+p, "https_proxy="+p, "HTTPS_PROXY="+p, "all_proxy="+p, "ALL_PROXY="+p)
	}
	if g.caFile != "" {
		env = append(env, "SSL_CERT_FILE="+g.caFile)
	}
	return env
}

// networkSecrets are the texts of the proxy that must not be told.
func (g *Git) networkSecrets() []string {
	u, err := url.Parse(g.via.Proxy)
	if err != nil || u.User == nil {
		return nil
	}
	token, _ := u.User.Password()
	return []string{token, u.User.Username() + ":" + token}
}

// sshHost gives the host and port of an address that ssh is used for.
func sshHost(a *core.Access) (host, port string) {
	if a == nil {
		return "", ""
	}
	scheme, rest, ok := strings.Cut(a.URL, "://")
	if !ok {
		authority, _, _ := strings.Cut(a.URL, ":")
		return authority[strings.LastIndexByte(authority, '@')+1:], ""
	}
	if !strings.Contains(scheme, "ssh") {
		return "", ""
	}
	authority, _, _ := strings.Cut(rest, "/")
	authority = authority[strings.LastIndexByte(authority, '@')+1:]
	if host, port, err := net.SplitHostPort(authority); err == nil {
		return host, port
	}
	return strings.Trim(authority, "[]"), ""
}

// hostOptions are what was set for the host of an access alone.
func (g *Git) hostOptions(a *core.Access) []string {
	host, port := sshHost(a)
	if host == "" {
		return nil
	}
	var words []string
	if address := g.via.SSHAddress[host]; address != "" {
		// The name that was looked up goes on to be the one whose key is known.
		alias := host
		if port != "" && port != "22" {
			alias = "[" + host + "]:" + port
		}
		words = append(words, "-oHostName="+address, "-oHostKeyAlias="+alias, "-oCheckHostIP=no", "-oProxyCommand=none", "-oProxyJump=none")
	}
	if file := g.opts.SSHIdentities[host]; file != "" {
		words = append(words, sshFile("IdentityFile", file), "-oIdentitiesOnly=yes")
	}
	if file := g.opts.SSHKnownHosts[host]; file != "" && a.KnownHosts == "" {
		words = append(words, sshFile("UserKnownHostsFile", file), "-oGlobalKnownHostsFile=/dev/null")
	}
	return words
}
