package download

import (
	"net/http"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

// Transports are the two ways to the hosts of one address. Close must follow.
type Transports struct {
	// Own goes to the host of the address; Foreign, for where that host sends
	// us, verifies every certificate and refuses addresses that are not public:
	// nobody shall make this machine ask services that he cannot reach himself.
	Own, Foreign *http.Transport
}

// NewTransports makes the ways for one access.
func NewTransports(a core.Access, r route.Route) Transports {
	own := r.Transport(a.SkipCertificates)
	r.DenyPrivate = true
	foreign := r.Transport(false)
	// The bytes as they lie there.
	own.DisableCompression, foreign.DisableCompression = true, true
	return Transports{Own: own, Foreign: foreign}
}

// Close ends what is kept open.
func (t Transports) Close() {
	t.Own.CloseIdleConnections()
	t.Foreign.CloseIdleConnections()
}
