package reconcile

import (
	"context"
	"slices"

	"github.com/lorry-controller/lorry-controller/core"
)

// ListSoon makes a host due for listing, since one of its repositories seems to
// be gone: only a complete listing is believed in that. A host that was listed,
// or tried, a moment ago is not asked again so soon, nor one that is unknown.
func (r *Reconciler) ListSoon(ctx context.Context, host string) error {
	states, err := r.opts.Store.Hosts(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(states, func(s core.HostState) bool { return s.Name == host })
	if i < 0 {
		return nil
	}
	s, now := states[i], r.opts.Clock()
	if !s.LsDue.After(now) || now.Sub(s.LsLast) < retryAfter || s.LsError != "" {
		return nil
	}
	return r.opts.Store.AskListing(ctx, []string{host})
}
