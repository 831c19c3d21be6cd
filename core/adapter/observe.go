package adapter

import (
	"context"
	"errors"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// RPC is what a call asks of an adapter.
type RPC string

// The calls. RPCCheck is a look at the host, which the core makes by itself.
const (
	RPCList       RPC = "list"
	RPCRepo       RPC = "repo"
	RPCEnsure     RPC = "ensure"
	RPCAfterPush  RPC = "after-push"
	RPCRetire     RPC = "retire"
	RPCCheck      RPC = "check"
	RPCCheckPaths RPC = "check-paths"
)

// Observer is told of what happens, as metrics want it. It must not wait, nor
// call the Manager.
type Observer interface {
	// AdapterCalled tells that a call has ended: result is "ok", "held" when the
	// host is left alone, "canceled" when the caller had no time left, else the
	// core.Kind of the error. took is negative for a call that did not reach an
	// adapter; that of a listing includes the caller's part.
	AdapterCalled(name, hostType, rpc, result string, took time.Duration)
	// AdapterHeld tells that a host is left alone from now on, and why:
	// core.KindRateLimited or core.KindUnauthenticated.
	AdapterHeld(name, hostType string, kind core.Kind)
	// AdapterGone tells that a host is not configured any more.
	AdapterGone(name string)
}

// observe tells of a call that has ended; began is zero when it did not reach
// the adapter.
func (s *supervisor) observe(rpc RPC, err error, began time.Time) {
	o := s.opts.Observer
	if o == nil {
		return
	}
	took := time.Duration(-1)
	if !began.IsZero() {
		took = max(s.opts.Clock().Sub(began), 0)
	}
	s.mu.Lock()
	hostType := s.inst.Type
	s.mu.Unlock()
	o.AdapterCalled(s.name, hostType, string(rpc), resultOf(err), took)
}

// resultOf names how a call has ended.
func resultOf(err error) string {
	switch {
	case err == nil, errors.Is(err, errLeft):
		return "ok"
	case errors.Is(err, ErrHeld):
		return "held"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "canceled"
	default:
		return string(core.KindOf(err))
	}
}

// forget tells of instances that are not known any more, unless they have come
// back meanwhile.
func (m *Manager) forget(gone []*supervisor) {
	if m.opts.Observer == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range gone {
		if _, back := m.known[s.name]; !back {
			m.opts.Observer.AdapterGone(s.name)
		}
	}
}
