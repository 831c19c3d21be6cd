package download

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Transports are the two ways to the hosts of one address. Close must follow.
type Transports struct {
	// Own goes to the host of the address; Foreign, for where that host sends
	// us, verifies every certificate and refuses addresses that are not public.
	Own, Foreign *http.Transport
}

// NewTransports makes the ways for one access.
func NewTransports(a core.Access) Transports {
	return Transports{Own: transport(a, nil), Foreign: transport(a, publicOnly)}
}

// Close ends what is kept open.
func (t Transports) Close() {
	t.Own.CloseIdleConnections()
	t.Foreign.CloseIdleConnections()
}

func transport(a core.Access, control func(network, address string, c syscall.RawConn) error) *http.Transport {
	return &http.Transport{
		DialContext:           (&net.Dialer{Timeout: 30 * time.Second, Control: control}).DialContext,
		TLSHandshakeTimeout:   30 * time.Second,
		ResponseHeaderTimeout: 2 * time.Minute,
		DisableCompression:    true, // the bytes as they lie there
		ForceAttemptHTTP2:     true,
		// check-certificates = no: asked for by the operator, for this host.
		TLSClientConfig: &tls.Config{InsecureSkipVerify: a.SkipCertificates && control == nil, MinVersion: tls.VersionTLS12},
	}
}

// Public reports whether an address is one that everybody can reach.
func Public(ip netip.Addr) bool {
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && publicRange(ip)
}

// publicOnly lets a redirect lead to public addresses alone: it must not make
// this machine ask services that its sender cannot reach.
func publicOnly(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !Public(ap.Addr()) {
		return fmt.Errorf("the server leads to the address %s, which is not public", ap.Addr().Unmap())
	}
	return nil
}

// publicRange leaves out what is neither private by name nor reachable for
// everybody: shared, benchmark and translated addresses.
func publicRange(ip netip.Addr) bool {
	for _, text := range []string{"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16"} {
		if netip.MustParsePrefix(text).Contains(ip) {
			return false
		}
	}
	return true
}
