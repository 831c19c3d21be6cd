package httpforge

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Transport is how a forge is reached when the ready client of sdk.Env does not
// do.
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

// Client gives the client for a forge: that of env where it does, else one of
// its own with the same limits on time.
func (t Transport) Client(env sdk.Env) (*http.Client, error) {
	skip := env.SkipCertificates || !t.CheckCertificates
	if t.CAFile == "" && t.Proxy == nil && skip == env.SkipCertificates && (!skip || t.InsecureCredentials == env.InsecureCredentials) {
		return env.HTTP, nil
	}
	pool, err := t.authorities()
	if err != nil {
		return nil, err
	}
	proxy := http.ProxyFromEnvironment
	if t.Proxy != nil {
		proxy = http.ProxyURL(t.Proxy)
	}
	return &http.Client{Transport: &agent{name: "lorry-adapter", next: &http.Transport{
		Proxy:                 proxy,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: pool, InsecureSkipVerify: skip}, //nolint:gosec // an admin's choice
	}}}, nil
}

// authorities gives the system's certificates and those of CAFile.
func (t Transport) authorities() (*x509.CertPool, error) {
	if t.CAFile == "" {
		return nil, nil //nolint:nilnil // nil stands for the system's
	}
	pem, err := os.ReadFile(t.CAFile)
	if err != nil {
		return nil, sdk.Errorf(sdk.Invalid, "can't read ca-file: %w", err)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, sdk.WithHint(sdk.Errorf(sdk.Invalid, "ca-file %q has no certificate in PEM", t.CAFile),
			"it must have lines BEGIN CERTIFICATE and END CERTIFICATE")
	}
	return pool, nil
}

// agent names the program in every request.
type agent struct {
	name string
	next *http.Transport
}

// CloseIdleConnections lets http.Client pass the wish on.
func (a *agent) CloseIdleConnections() { a.next.CloseIdleConnections() }

// RoundTrip implements http.RoundTripper.
func (a *agent) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	req.Header.Set("User-Agent", a.name)
	return a.next.RoundTrip(req)
}
