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
	// CheckCertificates false switches verification off, as the core can too.
	CheckCertificates bool
	// InsecureCredentials allows credentials on unverified connections.
	InsecureCredentials bool
}

// Unverified reports whether no credential may be sent.
func (t Transport) Unverified(env sdk.Env) bool {
	skip := env.SkipCertificates || !t.CheckCertificates
	return skip && !t.InsecureCredentials && !env.InsecureCredentials
}

// Client gives the client for a forge.
func (t Transport) Client(env sdk.Env) (*http.Client, error) {
	return env.Client(sdk.HTTPOptions{
		CAFile: t.CAFile, Proxy: t.Proxy, SkipCertificates: !t.CheckCertificates, InsecureCredentials: t.InsecureCredentials,
	})
}
