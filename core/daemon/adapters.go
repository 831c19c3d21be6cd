package daemon

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// adapterDesk shows the adapters to the API and the page, and restarts them.
type adapterDesk struct{ manager *adapter.Manager }

// Adapters implements api.Adapters.
func (d adapterDesk) Adapters() []protocol.Adapter {
	list := []protocol.Adapter{}
	for _, s := range d.manager.States() {
		list = append(list, protocol.Adapter{
			Name: s.Name, Type: s.Type, Role: s.Role, State: string(s.Phase), Detail: s.Reason, Hint: s.Hint,
			Since: seconds(s.Since), NextStart: seconds(s.NextStart), Program: s.Path, Checksum: s.Checksum,
			Version: s.Version, SDKVersion: s.SDKVersion, Protocol: s.Protocol, PID: s.PID,
			Starts: s.Starts, Faults: s.Faults, Calls: s.Calls, Waiting: s.Waiting,
			HeldUntil: seconds(s.HeldUntil), CheckError: s.CheckError, ServerVersion: s.ServerVersion,
			SkipCertificates: s.SkipCertificates,
		})
	}
	return list
}

// RestartAdapter implements api.Adapters.
func (d adapterDesk) RestartAdapter(ctx context.Context, name string) error {
	return d.manager.Restart(ctx, name)
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
