package reconcile

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

// gives reports whether the section could give a path, if the host had the
// repository.
func (m mapper) gives(path string) bool {
	for _, rule := range m.rules {
		rest := path
		if rule.To != "" {
			var below bool
			if rest, below = strings.CutPrefix(path, rule.To+"/"); !below {
				continue
			}
		}
		if rule.From != "" {
			rest = rule.From + "/" + rest
		}
		if mapped, ok := m.path(rest); ok && mapped == path {
			return true
		}
	}
	return false
}

// keeps reports whether a Lorry of the host's section may be one of it still, as
// far as that needs no listing.
func (m mapper) keeps(l core.Lorry) bool {
	if handedOver(l) {
		return m.gives(l.Path)
	}
	path, ok := m.path(l.HostPath)
	return ok && path == l.Path
}

// handedOver tells of a Lorry of a host's section that no listing of the host has
// given yet.
func handedOver(l core.Lorry) bool { return l.Host == "" }

// tuned gives a Lorry what its host's section says. One that was handed over is
// still mirrored from elsewhere: no more may be done with its refs than before.
func tuned(l core.Lorry, h core.Host) core.Lorry {
	l.Interval, l.Timeout = h.Interval, h.Timeout
	if !handedOver(l) || h.Rewrites == core.RewriteHold || h.Rewrites == core.RewriteRefuse {
		l.Rewrites = h.Rewrites
	}
	return l
}

// leavers are Lorries that their sections don't give any more. One that a host may
// give is handed over to it, and its next complete listing decides: the mirror of
// what the host has is not to be archived. So as not to go round in a circle, a host
// hands over only to those before it in CONFGIT, whose listings yield to its own.
type leavers struct {
	hosts  []core.Host
	maps   []mapper
	handed []core.Lorry
	gone   []string
	asked  map[string]bool // hosts that are to be listed
}

func newLeavers(hosts []core.Host) (*leavers, error) {
	v := &leavers{hosts: hosts, asked: map[string]bool{}}
	for _, h := range hosts {
		m, err := newMapper(h)
		if err != nil {
			return nil, fmt.Errorf("host %q: %w", h.Name, err)
		}
		v.maps = append(v.maps, m)
	}
	return v, nil
}

// before is how many of the hosts come before one of that name: all, if it is none
// of them.
func (v *leavers) before(host string) int {
	if i := slices.IndexFunc(v.hosts, func(h core.Host) bool { return h.Name == host }); i >= 0 {
		return i
	}
	return len(v.hosts)
}

// heir gives the Lorry as it is handed over to one of the first hosts, and false if
// none of them can give it. What it is mirrored from stays until the listing.
func (v *leavers) heir(l core.Lorry, first int) (core.Lorry, bool) {
	for i := first - 1; i >= 0; i-- {
		if h := v.hosts[i]; v.maps[i].gives(l.Path) {
			l.Section, l.Host, l.HostPath = confgit.HostSection(h.Name), "", ""
			return tuned(l, h), true
		}
	}
	return l, false
}

func (v *leavers) add(l core.Lorry, first int) {
	if heir, ok := v.heir(l, first); ok {
		v.handed = append(v.handed, heir)
		return
	}
	v.gone = append(v.gone, l.Path)
}

// leave hands over and removes those that were added. It gives their number.
func (r *Reconciler) leave(ctx context.Context, v *leavers) (int, error) {
	n := len(v.handed) + len(v.gone)
	if err := r.putAll(ctx, v.handed); err != nil {
		return 0, err
	}
	for _, l := range v.handed {
		host, _ := confgit.HostOfSection(l.Section)
		v.asked[host] = true
	}
	err := r.remove(ctx, v.gone)
	v.handed, v.gone = nil, nil
	return n, err
}

// askHeirs has the hosts listed soon that something was handed over to.
func (r *Reconciler) askHeirs(ctx context.Context, v *leavers) error {
	if len(v.asked) == 0 {
		return nil
	}
	return r.opts.Store.AskListing(ctx, slices.Sorted(maps.Keys(v.asked)))
}

// putAll stores Lorries that are known already.
func (r *Reconciler) putAll(ctx context.Context, all []core.Lorry) error {
	want, chosen := lorries{all: all, at: make([]int32, len(all))}, make([]choice, len(all))
	for i := range all {
		want.at[i], chosen[i].index = int32(i), i
	}
	return r.put(ctx, want, chosen)
}

// removeSections removes what CONFGIT does not have any more. The Lorries of a
// host that it has are the listing's business.
func (r *Reconciler) removeSections(ctx context.Context, c *confgit.Config, v *leavers) (touched int, err error) {
	names, err := r.opts.Store.Sections(ctx)
	if err != nil {
		return 0, err
	}
	_, bySection := sectionsOf(c)
	for _, name := range names {
		if isKept(c, name) {
			continue
		}
		if host, isHost := confgit.HostOfSection(name); isHost {
			if v.before(host) < len(v.hosts) {
				continue
			}
			// A listing of another core that is under way is of no use any more.
			if _, err := r.opts.Store.TakeTurn(ctx, name, anyTurn); err != nil {
				return touched, err
			}
		}
		if _, _, err := r.compare(ctx, name, bySection[name], func(l core.Lorry) { v.add(l, len(v.hosts)) }); err != nil {
			return touched, err
		}
		n, err := r.leave(ctx, v)
		if err != nil {
			return touched, err
		}
		touched += n
	}
	return touched, nil
}

// retune applies a section to the Lorries that its host gave before: those
// that it leaves out now go, the others get its interval and timeout.
func (r *Reconciler) retune(ctx context.Context, h core.Host, v *leavers) (touched int, err error) {
	self := v.before(h.Name)
	m := v.maps[self]
	var update []core.Lorry
	err = r.stored(ctx, confgit.HostSection(h.Name), func(l core.Lorry) error {
		if !m.keeps(l) {
			v.add(l, self)
			return nil
		}
		old := l
		if l = tuned(l, h); l != old {
			update = append(update, l)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	if err := r.putAll(ctx, update); err != nil {
		return 0, err
	}
	n, err := r.leave(ctx, v)
	return len(update) + n, err
}
