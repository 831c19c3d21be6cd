package route

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Resolver looks names up; *net.Resolver is one.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Route is one way to the network. The zero value goes directly anywhere. It
// can be compared and used as a key.
type Route struct {
	// HTTPProxy and HTTPSProxy are the proxies for http:// and https:// URLs,
	// such as "http://proxy.example.com:3128", without a credential; "" is none.
	HTTPProxy, HTTPSProxy string
	// NoProxy names hosts that are reached without a proxy, as the variable
	// no_proxy does. Loopback always is.
	NoProxy string
	// Username and Password are for the proxy.
	Username string
	Password core.Secret
	// DenyPrivate refuses addresses that are not public.
	DenyPrivate bool
	// Allow names hosts, addresses and networks that DenyPrivate lets through,
	// written like NoProxy.
	Allow string
	// CAFile holds certificates, as PEM, of authorities that are trusted beside
	// the system's.
	CAFile string
	// Authorities are further ones, in PEM.
	Authorities string
	// Resolver is nil for the system's. It must be comparable.
	Resolver Resolver
}

// ErrDenied is found by errors.Is in the error of a connection that may not be
// made.
var ErrDenied = errors.New("the address is not public")

// ErrProxyAuth is found by errors.Is when the proxy wants another credential.
var ErrProxyAuth = errors.New("the proxy refuses the credential")

const dialTimeout = 30 * time.Second

// Direct reports whether nothing stands between a program and the network.
func (r Route) Direct() bool { return r.HTTPProxy == "" && r.HTTPSProxy == "" && !r.DenyPrivate }

// Secrets are texts that must not be told to anybody.
func (r Route) Secrets() []string {
	if r.Password.Empty() {
		return nil
	}
	return []string{r.Password.Reveal()}
}

// proxyFor gives the proxy for an address, or nil.
func (r Route) proxyFor(scheme, host, port string) (*url.URL, error) {
	text := r.HTTPProxy
	if scheme == "https" {
		text = r.HTTPSProxy
	}
	if text == "" || isLoopback(host) || listed(r.NoProxy, host, port) {
		return nil, nil
	}
	u, err := ParseProxy(text)
	if err != nil {
		return nil, err
	}
	if r.Username != "" {
		u.User = url.UserPassword(r.Username, r.Password.Reveal())
	}
	return u, nil
}

// ParseProxy reads a proxy's address: a URL of the scheme http or https, or
// HOST:PORT alone. A credential in it is an error that does not repeat it.
func ParseProxy(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || strings.Trim(u.Path, "/") != "" {
		return nil, core.Errorf(core.KindInvalid, "the proxy's address is not of the form http://HOST:PORT")
	}
	if u.User != nil {
		return nil, core.Errorf(core.KindInvalid, "the proxy's address must not hold its credential")
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

// Proxy is for http.Transport: it gives the proxy of a request. A name that
// leads to a private address is refused here too; one that only the proxy
// knows is the proxy's to judge.
func (r Route) Proxy(req *http.Request) (*url.URL, error) {
	port := portOf(req.URL)
	u, err := r.proxyFor(req.URL.Scheme, req.URL.Hostname(), port)
	if u == nil || err != nil {
		return nil, err
	}
	if _, err := r.Lookup(req.Context(), req.URL.Hostname(), port); errors.Is(err, ErrDenied) {
		return nil, err
	}
	return u, nil
}

func portOf(u *url.URL) string {
	if port := u.Port(); port != "" {
		return port
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}

// Lookup gives the addresses of a host, all of them checked. An error that is
// ErrDenied says which address is refused.
func (r Route) Lookup(ctx context.Context, host, port string) ([]netip.Addr, error) {
	var (
		addrs    []netip.Addr
		resolver Resolver = net.DefaultResolver
	)
	if r.Resolver != nil {
		resolver = r.Resolver
	}
	if ip, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		addrs = []netip.Addr{ip.Unmap()}
	} else if addrs, err = resolver.LookupNetIP(ctx, "ip", host); err != nil {
		return nil, fmt.Errorf("could not resolve host: %w", err)
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("could not resolve host: %q has no address", host)
	}
	for i, a := range addrs {
		addrs[i] = a.Unmap().WithZone("")
		if r.DenyPrivate && !Public(a) && !listed(r.Allow, host, port) && !listed(r.Allow, addrs[i].String(), port) {
			return nil, fmt.Errorf("%q leads to %s: %w", host, addrs[i], ErrDenied)
		}
	}
	return addrs, nil
}

// DialContext connects to host:port, looked up once and checked.
func (r Route) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}
	if !r.DenyPrivate && r.Resolver == nil || r.isProxy(address) {
		return d.DialContext(ctx, network, address)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := r.Lookup(ctx, host, port)
	if err != nil {
		return nil, err
	}
	var last error
	for _, a := range addrs {
		conn, err := d.DialContext(ctx, network, net.JoinHostPort(a.String(), port))
		if err == nil {
			return conn, nil
		}
		last = err
	}
	return nil, last
}

// isProxy reports whether an address is that of a proxy, which the operator
// chose and which may be anywhere.
func (r Route) isProxy(address string) bool {
	for _, text := range []string{r.HTTPProxy, r.HTTPSProxy} {
		if u, err := ParseProxy(text); text != "" && err == nil && net.JoinHostPort(u.Hostname(), portOf(u)) == address {
			return true
		}
	}
	return false
}

// Transport makes HTTP connections by this route. skip switches the
// verification of certificates off. The caller closes idle connections.
func (r Route) Transport(skip bool) *http.Transport {
	roots, err := r.roots()
	proxy := r.Proxy
	if err != nil {
		// Check says so before; a file that vanished since fails every request.
		proxy = func(*http.Request) (*url.URL, error) { return nil, err }
	}
	return &http.Transport{
		Proxy: proxy, DialContext: r.DialContext,
		TLSHandshakeTimeout: 30 * time.Second, ResponseHeaderTimeout: 2 * time.Minute,
		IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 32, ForceAttemptHTTP2: true,
		// check-certificates = no: asked for by the operator, for this host.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: skip, MinVersion: tls.VersionTLS12, RootCAs: roots},
		OnProxyConnectResponse: func(_ context.Context, _ *url.URL, _ *http.Request, resp *http.Response) error {
			if resp.StatusCode == http.StatusProxyAuthRequired {
				return ErrProxyAuth
			}
			return nil
		},
	}
}

// Check says what is wrong with a route's settings.
func (r Route) Check() error {
	for _, text := range []string{r.HTTPProxy, r.HTTPSProxy} {
		if text == "" {
			continue
		}
		if _, err := ParseProxy(text); err != nil {
			return err
		}
	}
	_, err := r.roots()
	return err
}

// roots are the trusted authorities; nil means the system's.
func (r Route) roots() (*x509.CertPool, error) {
	if r.CAFile == "" && r.Authorities == "" {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if r.Authorities != "" && !pool.AppendCertsFromPEM([]byte(r.Authorities)) {
		return nil, core.Errorf(core.KindInvalid, "the host's ca-file holds no certificate in PEM form")
	}
	if r.CAFile == "" {
		return pool, nil
	}
	pem, err := os.ReadFile(r.CAFile)
	if err != nil {
		return nil, fmt.Errorf("the authorities' certificates cannot be read: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, core.Errorf(core.KindInvalid, "%s holds no certificate in PEM form", r.CAFile)
	}
	return pool, nil
}
