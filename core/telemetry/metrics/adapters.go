package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/lorry-controller/lorry-controller/core"
)

// AdapterCalled counts a call of an adapter; took is negative for one that did
// not reach it.
func (m *Metrics) AdapterCalled(name, hostType string, rpc, result string, took time.Duration) {
	m.calls.WithLabelValues(name, hostType, rpc, knownResult(result)).Inc()
	for _, kind := range []core.Kind{core.KindRateLimited, core.KindUnauthenticated} {
		m.holds.WithLabelValues(name, hostType, string(kind)) // a first hold is seen as a rise from 0
	}
	if took >= 0 {
		m.callTook.WithLabelValues(hostType, rpc).Observe(took.Seconds())
	}
}

// AdapterHeld counts that a host is left alone from now on.
func (m *Metrics) AdapterHeld(name, hostType string, kind core.Kind) {
	m.holds.WithLabelValues(name, hostType, string(kind)).Inc()
}

// AdapterGone drops the series of a host that is not configured any more: those
// of hosts that come and go in CONFGIT would add up.
func (m *Metrics) AdapterGone(name string) {
	m.calls.DeletePartialMatch(prometheus.Labels{"host": name})
	m.holds.DeletePartialMatch(prometheus.Labels{"host": name})
}

// knownResult bounds what an adapter may call an error.
func knownResult(result string) string {
	switch core.Kind(result) {
	case "ok", "held", "canceled",
		core.KindInvalid, core.KindUnauthenticated, core.KindDenied, core.KindNotFound, core.KindConflict,
		core.KindRateLimited, core.KindUnavailable, core.KindReadOnly, core.KindUnsupported:
		return result
	default:
		return string(core.KindInternal)
	}
}
