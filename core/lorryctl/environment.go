package lorryctl

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
)

// defaultAddr is where a controller listens unless it is told otherwise.
const defaultAddr = "http://127.0.0.1:12765"

// environment is what the LORRY_* variables and those about colours say.
type environment struct {
	addr      string
	token     core.Secret
	tokenFile string
	// Files in PEM: the authorities to trust, and what is shown of oneself.
	caFile, certificate, key string
	colours                  bool // nothing speaks against them
}

// readEnvironment reads variables in the form of os.Environ. A LORRY_* variable
// that means nothing is an error, since it is mistyped or meant for another
// program.
func readEnvironment(env []string) (environment, error) {
	e := environment{colours: true}
	lines := slices.Clone(env)
	slices.Sort(lines)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, "=")
		switch {
		case name == "LORRY_ADDR":
			e.addr = value
		case name == "LORRY_TOKEN":
			e.token = core.NewSecret(value)
		case name == "LORRY_TOKEN_FILE":
			e.tokenFile = value
		case name == "LORRY_CA_FILE":
			e.caFile = value
		case name == "LORRY_CLIENT_CERTIFICATE":
			e.certificate = value
		case name == "LORRY_CLIENT_KEY":
			e.key = value
		case strings.HasPrefix(name, "LORRY_TEST_"):
		case strings.HasPrefix(name, "LORRY_"):
			return e, usagef("environment variable %s is no setting of lorryctl: it knows LORRY_ADDR, LORRY_TOKEN, LORRY_TOKEN_FILE, LORRY_CA_FILE, LORRY_CLIENT_CERTIFICATE and LORRY_CLIENT_KEY", name)
		case name == "NO_COLOR" && value != "", name == "TERM" && value == "dumb":
			e.colours = false
		}
	}
	if !e.token.Empty() && e.tokenFile != "" {
		return e, usagef("LORRY_TOKEN and LORRY_TOKEN_FILE are both set: keep one of them")
	}
	return e, nil
}

// controllerURL makes a URL of what an admin writes: a URL, or HOST:PORT.
func controllerURL(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return nil, usagef("the controller's address must be HOST:PORT or a URL such as https://lorry.example.com")
	}
	if u.User != nil {
		return nil, usagef("the controller's address must have no user name or password in it: use LORRY_TOKEN_FILE")
	}
	return u, nil
}

// token gives the bearer token, or an empty one. --token-file wins.
func (a *app) token() (core.Secret, error) {
	file := a.tokenFile
	if file == "" {
		if file = a.env.tokenFile; file == "" {
			return a.env.token, nil
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return core.Secret{}, usagef("the token can't be read: %v", err)
	}
	token := strings.TrimSpace(string(text))
	if token == "" {
		return core.Secret{}, usagef("the token file %s is empty", file)
	}
	return core.NewSecret(token), nil
}

// warnOfPlainToken tells an admin whose token can be read on the way.
func (a *app) warnOfPlainToken(u *url.URL, token core.Secret) {
	if token.Empty() || u.Scheme == "https" || core.Loopback(u.Hostname()) {
		return
	}
	fmt.Fprintf(a.stderr, "WARNING: the token goes to %s without encryption; use https://\n", cell(u.Host))
}
