package httpforge

import (
	"net/http"
	"net/url"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Transport is what a forge's settings say of the connection to it.
type Transport struct {
	// CAFile has certificates of authorities, in PEM, that are trusted beside
	// the system's; "" is none.
	CAFile string
	// Proxy is used instead of the one that the environment names.
	Proxy *url.URL
	// ProxyUsername and ProxyPassword log in there.
	ProxyUsername string
	ProxyPassword sdk.Secret
	// CheckCertificates false switches verification off, as the core can too.
	CheckCertificates bool
	// InsecureCredentials allows credentials on unverified connections.
	InsecureCredentials bool
}

// Unverified reports whether no credential may be sent to the forge with this
// web interface: anybody on the way could take it.
func (t Transport) Unverified(env sdk.Env, web *url.URL) bool {
	skip := env.SkipCertificates || !t.CheckCertificates
	plain := web.Scheme == "http" && !Loopback(web)
	return (skip || plain) && !t.InsecureCredentials && !env.InsecureCredentials
}

// Client gives the client for a forge.
func (t Transport) Client(env sdk.Env) (*http.Client, error) {
	return env.Client(sdk.HTTPOptions{
		CAFile: t.CAFile, Proxy: t.Proxy, ProxyUsername: t.ProxyUsername, ProxyPassword: t.ProxyPassword,
		SkipCertificates: !t.CheckCertificates, InsecureCredentials: t.InsecureCredentials,
	})
}

// Connection is what an adapter reaches its forge with.
type Connection struct {
	Role sdk.Role
	Site Site
	API  *Client
}

// Connect makes the connection to a forge with valid settings. scheme goes
// before the token, path leads from the web interface to the root of the API.
func (t Transport) Connect(env sdk.Env, a Address, scheme string, token sdk.Secret, path ...string) (Connection, error) {
	client, err := t.Client(env)
	if err != nil {
		return Connection{}, err
	}
	role := env.Role
	if role == sdk.RoleUnknown && a.Host != "" {
		role = sdk.RoleUpstream
	}
	site := a.Site(role)
	site.Unverified = t.Unverified(env, site.Web)
	api := New(Options{Base: site.API(path...), HTTP: client, Scheme: scheme, Token: token, Unverified: site.Unverified})
	return Connection{Role: role, Site: site, API: api}, nil
}
