package auth

import (
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/token"
)

// Caller is who makes a request. The zero value is nobody.
type Caller struct {
	// Name is for the audit and for people: a token's name and id, a
	// certificate's name, "loopback" or "anonymous"; "" for nobody.
	Name string
	// Role is that of the token; a certificate's is minion.
	Role token.Role
	// Everything is set for whoever needs no token: over loopback while there
	// is none, or because authentication is switched off.
	Everything bool
	// Proven is set when a token or a certificate says who this is.
	Proven bool
	// Inside is set for the minions inside this process.
	Inside bool
	// Certificate is the name in the client's certificate, when that is what
	// says who this is.
	Certificate string
	// From is the address that the request came from.
	From string
}

// Known reports whether it is known who calls.
func (c Caller) Known() bool { return c.Name != "" }

// May reports whether the caller gets in.
func (c Caller) May(a Access) bool {
	return a.Open() && !c.Known() || c.Everything && a.Known() || a.Allows(c.Role)
}

// IsMinion reports whether the caller has proven to be a minion.
func (c Caller) IsMinion() bool { return c.Proven && c.Role == token.Minion }

// proxyHeaders are set by proxies; one that speaks for others must not be
// taken for somebody on this machine.
func proxyHeaders() []string {
	return []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Via"}
}

// ThroughProxy reports whether a proxy says that it passed the request on.
func ThroughProxy(r *http.Request) bool {
	for _, header := range proxyHeaders() {
		if r.Header.Get(header) != "" {
			return true
		}
	}
	return false
}

// peer is the other end of the connection.
func peer(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	ip, _ := netip.ParseAddr(host) // none is no loopback
	return ip.Unmap().WithZone("")
}

// FromLoopback reports whether the request was made on this machine, and not
// passed on by a proxy here.
func FromLoopback(r *http.Request) bool { return peer(r).IsLoopback() && !ThroughProxy(r) }

// Encrypted reports whether nobody on the way can read the answer: over TLS,
// or over loopback, or through a proxy on this machine which says that it was
// asked over TLS.
func Encrypted(r *http.Request) bool {
	switch {
	case r.TLS != nil, FromLoopback(r):
		return true
	case !peer(r).IsLoopback():
		return false
	}
	return strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// client is the address that is held responsible for a request: the peer's, or
// what a proxy on this machine says last.
func client(r *http.Request) netip.Addr {
	ip := peer(r)
	if !ip.IsLoopback() {
		return ip
	}
	said := r.Header.Values("X-Forwarded-For")
	if len(said) == 0 {
		return ip
	}
	hops := strings.Split(said[len(said)-1], ",")
	if far, err := netip.ParseAddr(strings.TrimSpace(hops[len(hops)-1])); err == nil {
		return far.Unmap().WithZone("")
	}
	return ip
}

// from describes that address for people.
func from(r *http.Request) string {
	near, far := peer(r), client(r)
	switch {
	case !near.IsValid():
		return "unknown"
	case near != far:
		return far.String() + " through " + near.String()
	}
	return far.String()
}

// localName reports whether a request names this machine as people on it do. A
// web page whose own name was made to point here has another name.
func localName(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	if !strings.Contains(host, ".") || strings.HasSuffix(host, ".localhost") {
		return true
	}
	own, err := os.Hostname()
	return err == nil && strings.EqualFold(host, own)
}
