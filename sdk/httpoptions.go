package sdk

import (
	"crypto/x509"
	"net/http"
	"net/url"
	"os"
)

// HTTPOptions are what a host's own settings say of the connection to it.
type HTTPOptions struct {
	// CAFile has certificates of authorities, in PEM, that are trusted beside
	// the system's; "" is none.
	CAFile string
	// Proxy is used instead of the one that the environment names; nil leaves
	// that alone.
	Proxy *url.URL
	// ProxyUsername and ProxyPassword log in at Proxy: no URL holds a password.
	ProxyUsername string
	ProxyPassword Secret
	// SkipCertificates and InsecureCredentials are added to those of Env.
	SkipCertificates, InsecureCredentials bool
}

// Client gives a client like Env.HTTP that does what the options say: Env.HTTP
// itself where they say nothing. Whoever made another one closes its idle
// connections when the adapter ends. A file that can't be used is Invalid.
func (e Env) Client(o HTTPOptions) (*http.Client, error) {
	env := e
	env.SkipCertificates = e.SkipCertificates || o.SkipCertificates
	env.InsecureCredentials = e.InsecureCredentials || o.InsecureCredentials
	same := env.SkipCertificates == e.SkipCertificates && env.InsecureCredentials == e.InsecureCredentials
	if o.Proxy == nil && (o.ProxyUsername != "" || !o.ProxyPassword.Empty()) {
		return nil, WithHint(Errorf(Invalid, "there is a login for a proxy, but no proxy"), "set proxy as well")
	}
	if o.CAFile == "" && o.Proxy == nil && same && e.HTTP != nil {
		return e.HTTP, nil
	}
	pool, err := authorities(o.CAFile)
	if err != nil {
		return nil, err
	}
	proxy := http.ProxyFromEnvironment
	if o.Proxy != nil {
		through := *o.Proxy
		if o.ProxyUsername != "" {
			through.User = url.UserPassword(o.ProxyUsername, o.ProxyPassword.Reveal())
		}
		proxy = http.ProxyURL(&through)
	}
	return politeClient(e.agent(), env, proxy, pool), nil
}

// agent is how the adapter names itself.
func (e Env) agent() string {
	if e.HTTP != nil {
		if t, ok := e.HTTP.Transport.(*politeTransport); ok {
			return t.agent
		}
	}
	return "lorry-adapter"
}

// authorities gives the system's certificates and those of a file.
func authorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // nil stands for the system's
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, Errorf(Invalid, "can't read ca-file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, WithHint(Errorf(Invalid, "ca-file %q has no certificate in PEM", file),
			"it must have lines BEGIN CERTIFICATE and END CERTIFICATE")
	}
	return pool, nil
}
