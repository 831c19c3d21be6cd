package daemon

import (
	"context"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// adapterDesk shows the adapters to the API and the page, and restarts them.
type adapterDesk struct {
	manager *adapter.Manager
	holder  hostHolder
}

// Adapters implements api.Adapters.
func (d adapterDesk) Adapters() []protocol.Adapter {
	list := []protocol.Adapter{}
	for _, s := range d.manager.States() {
		doubts := []protocol.Doubt{}
		for _, d := range s.Doubts {
			doubts = append(doubts, protocol.Doubt(d))
		}
		list = append(list, protocol.Adapter{
			Name: s.Name, Type: s.Type, Role: s.Role, State: string(s.Phase), Detail: s.Reason, Hint: s.Hint,
			Since: seconds(s.Since), NextStart: seconds(s.NextStart), Program: s.Path, Checksum: s.Checksum,
			Version: s.Version, SDKVersion: s.SDKVersion, Protocol: s.Protocol, PID: s.PID,
			Starts: s.Starts, Faults: s.Faults, Calls: s.Calls, Waiting: s.Waiting,
			HeldUntil: seconds(s.HeldUntil), HeldKind: s.HeldKind, CheckError: s.CheckError, ServerVersion: s.ServerVersion,
			Doubts: doubts, Warnings: append([]string{}, s.Warnings...), ExpiresAt: seconds(s.ExpiresAt), SkipCertificates: s.SkipCertificates,
		})
	}
	return list
}

// RestartAdapter implements api.Adapters.
func (d adapterDesk) RestartAdapter(ctx context.Context, name string) error {
	err := d.manager.Restart(ctx, name)
	if liftErr := liftHolds(ctx, d.holder, d.manager.States(), name); err == nil && liftErr != nil {
		return fmt.Errorf("the adapter runs anew, but its host's Lorries stay held: %w", liftErr)
	}
	return err
}

func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
