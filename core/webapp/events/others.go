package events

import (
	"context"
	"maps"
	"reflect"
	"slices"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// differ tells of the members of a set that came, changed or went, in the order
// of their names.
func differ[T any](before, now map[string]T, kind string, gone func(T) T, changes *[]change) {
	for _, name := range slices.Sorted(maps.Keys(now)) {
		if old, known := before[name]; !known || !reflect.DeepEqual(old, now[name]) {
			*changes = append(*changes, change{kind, now[name]})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if _, there := now[name]; !there {
			*changes = append(*changes, change{kind, gone(before[name])})
		}
	}
}

func (s *snapshot) lookHosts(ctx context.Context, o Options, before *snapshot, changes *[]change) error {
	hosts, err := o.Source.Hosts(ctx)
	if err != nil {
		return err
	}
	for _, h := range hosts {
		e := protocol.HostEvent{
			Host: h.Name, State: "ok", Listed: h.Listed, LsLastRun: seconds(h.LsLast), LsDue: seconds(h.LsDue), LsError: h.LsError, Purge: h.Purge,
		}
		if h.LsError != "" {
			e.State = "failing"
		}
		s.hosts[h.Name] = e
	}
	differ(before.hosts, s.hosts, protocol.EventHost, func(e protocol.HostEvent) protocol.HostEvent {
		return protocol.HostEvent{Host: e.Host, State: "gone"}
	}, changes)
	holds, err := o.Source.HostHolds(ctx)
	if err != nil {
		return err
	}
	for name, hold := range holds {
		s.holds[name] = protocol.HoldEvent{Host: name, Reason: hold.Reason, Until: seconds(hold.Until)}
	}
	differ(before.holds, s.holds, protocol.EventHold, func(e protocol.HoldEvent) protocol.HoldEvent {
		return protocol.HoldEvent{Host: e.Host}
	}, changes)
	return nil
}

func (s *snapshot) lookRewrites(ctx context.Context, o Options, before *snapshot, changes *[]change) error {
	held, err := o.Source.FindHeld(ctx, queue.HeldSearch{Limit: most})
	if err != nil {
		return err
	}
	for _, r := range held {
		e := protocol.RewriteEvent{Path: r.Path, Ref: r.Ref, Old: r.Old, New: r.New, State: "held"}
		if r.Approved {
			e.State = "approved"
		}
		s.rewrites[r.Path+"\x00"+r.Ref] = e
	}
	differ(before.rewrites, s.rewrites, protocol.EventRewrite, func(e protocol.RewriteEvent) protocol.RewriteEvent {
		e.State = "gone"
		return e
	}, changes)
	return nil
}

// lookOthers looks at the adapters of this core, the minions and CONFGIT.
func (s *snapshot) lookOthers(ctx context.Context, o Options, before *snapshot, changes *[]change) error {
	if o.Adapters != nil {
		for _, a := range o.Adapters.Adapters() {
			s.adapters[a.Name] = protocol.AdapterEvent{Name: a.Name, Type: a.Type, State: a.State, Detail: a.Detail}
		}
	}
	differ(before.adapters, s.adapters, protocol.EventAdapter, func(e protocol.AdapterEvent) protocol.AdapterEvent {
		return protocol.AdapterEvent{Name: e.Name, Type: e.Type, State: "gone"}
	}, changes)
	minions, err := o.Source.Minions(ctx)
	if err != nil {
		return err
	}
	for _, m := range minions {
		s.minions[m.Name] = protocol.MinionEvent{Name: m.Name, Draining: m.Drain, Labels: append([]string{}, m.Labels...), State: "known"}
	}
	differ(before.minions, s.minions, protocol.EventMinion, func(e protocol.MinionEvent) protocol.MinionEvent {
		e.State = "gone"
		return e
	}, changes)
	commit, err := o.Source.ConfigCommit(ctx)
	if err != nil {
		return err
	}
	problems, err := o.Source.Problems(ctx)
	if err != nil {
		return err
	}
	s.config = protocol.ConfigEvent{Commit: commit, Problems: len(problems)}
	if s.config != before.config {
		*changes = append(*changes, change{protocol.EventConfig, s.config})
	}
	return nil
}
