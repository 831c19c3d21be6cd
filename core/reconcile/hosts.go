package reconcile

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

// retryAfter is when a host whose listing failed is tried again, unless its
// ls-interval is shorter or it said itself when.
const retryAfter = 5 * time.Minute

// ListHosts lists the Upstream Hosts that are due, or all of them, and names
// those whose listing was complete, in the order of CONFGIT. A host that fails
// keeps its Lorries, has the failure in its HostState, and stops no other.
func (r *Reconciler) ListHosts(ctx context.Context, all bool) ([]string, error) {
	now := r.opts.Clock()
	return r.listHosts(ctx, all, func(s core.HostState) bool { return all || !s.LsDue.After(now) })
}

// ListHost lists one Upstream Host now, and names it if its listing was complete.
// The error is core.KindNotFound when CONFGIT has none of that name.
func (r *Reconciler) ListHost(ctx context.Context, name string) ([]string, error) {
	known := false
	listed, err := r.listHosts(ctx, true, func(s core.HostState) bool {
		known = known || s.Name == name
		return s.Name == name
	})
	if err == nil && !known {
		err = core.Errorf(core.KindNotFound, "no Upstream Host %q in CONFGIT", name)
	}
	return listed, err
}

// listHosts lists those hosts that are wanted. Who asks for them now means also
// what is being read just now.
func (r *Reconciler) listHosts(ctx context.Context, asked bool, wanted func(core.HostState) bool) ([]string, error) {
	listed, err := r.listWanted(ctx, asked, wanted)
	if len(listed) > 0 {
		r.checkNames(ctx)
	}
	return listed, err
}

func (r *Reconciler) listWanted(ctx context.Context, asked bool, wanted func(core.HostState) bool) ([]string, error) {
	r.listing.Lock()
	defer r.listing.Unlock()
	if asked {
		if err := r.Follow(ctx); err != nil {
			return nil, err
		}
	}
	states, err := r.opts.Store.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	due := map[string]core.HostState{}
	for _, s := range states {
		if wanted(s) {
			due[s.Name] = s
		}
	}
	if len(due) == 0 {
		return nil, nil
	}
	if err := r.Follow(ctx); err != nil {
		return nil, err
	}
	c := r.Config()
	var hosts []core.Host
	for _, h := range c.Hosts {
		if _, isDue := due[h.Name]; isDue {
			hosts = append(hosts, h)
		}
	}
	listed, err := r.listAll(ctx, hosts, due)
	if problemErr := r.storeClashes(ctx, c); err == nil {
		err = problemErr
	}
	return listed, err
}

// listAll lists some hosts, several at once.
func (r *Reconciler) listAll(ctx context.Context, hosts []core.Host, states map[string]core.HostState) ([]string, error) {
	complete, errs := make([]bool, len(hosts)), make([]error, len(hosts))
	slots := make(chan struct{}, r.opts.Parallel)
	var running sync.WaitGroup
	for i, h := range hosts {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			if ctx.Err() == nil {
				complete[i], errs[i] = r.listHost(ctx, h, states[h.Name], false)
			}
		})
	}
	running.Wait()
	var listed []string
	for i, h := range hosts {
		if complete[i] {
			listed = append(listed, h.Name)
		}
	}
	return listed, errors.Join(append(errs, ctx.Err())...)
}

// ApprovePurge lists a host now and believes the listing, if it is complete and
// drops what was held. The error is core.KindNotFound for an unknown host, and
// core.KindConflict when the listing now drops something else: that is held then.
func (r *Reconciler) ApprovePurge(ctx context.Context, name string) error {
	r.listing.Lock()
	defer r.listing.Unlock()
	if err := r.Follow(ctx); err != nil {
		return err
	}
	c := r.Config()
	states, err := r.opts.Store.Hosts(ctx)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(c.Hosts, func(h core.Host) bool { return h.Name == name })
	j := slices.IndexFunc(states, func(s core.HostState) bool { return s.Name == name })
	if i < 0 || j < 0 {
		return core.Errorf(core.KindNotFound, "there is no Upstream Host %q", name)
	}
	complete, err := r.listHost(ctx, c.Hosts[i], states[j], true)
	switch {
	case err != nil:
		return err
	case !complete:
		return core.Errorf(core.KindUnavailable, "the Upstream Host %q can't be listed now, so nothing was removed", name)
	}
	if err := r.storeClashes(ctx, c); err != nil {
		return err
	}
	held, err := r.opts.Store.HeldPurge(ctx, name)
	if err != nil || held == (HeldPurge{}) {
		return err
	}
	return &core.Error{
		Kind: core.KindConflict, Hint: "look at what it lacks now, then approve that",
		Fact: fmt.Sprintf("the listing of %q is not the one that was held: it lacks %d repositories now, and nothing was removed", name, held.Missing),
	}
}

// listHost lists one host and applies the listing. err is a failure of the
// STATEDB; one of the host is recorded there.
func (r *Reconciler) listHost(ctx context.Context, h core.Host, state core.HostState, approved bool) (complete bool, err error) {
	seen, err := r.opts.Store.Turn(ctx, confgit.HostSection(h.Name))
	if err != nil {
		return false, err
	}
	l := r.list(ctx, h)
	if ctx.Err() != nil {
		return false, nil // the program stops; the host is not to blame
	}
	if err := r.catchUp(ctx); err != nil {
		return false, err
	}
	r.applying.Lock()
	defer r.applying.Unlock()
	c := r.Config()
	i := slices.IndexFunc(c.Hosts, func(now core.Host) bool { return now.Name == h.Name })
	if i < 0 || !reflect.DeepEqual(c.Hosts[i], h) {
		r.log.Info("the section of a host changed while it was listed; it will be listed again", "host", h.Name)
		return false, nil
	}
	turn, err := r.takeTurn(ctx, confgit.HostSection(h.Name), seen)
	if err == nil {
		complete, err = r.settle(turn, c, l, state, approved)
	}
	if overtaken(err) {
		r.log.Info("another core has listed a host meanwhile; it will be listed again", "host", h.Name)
		return false, r.opts.Store.AskListing(ctx, []string{h.Name})
	}
	return complete, err
}

// settle applies what came of a listing, and records it.
func (r *Reconciler) settle(ctx context.Context, c *confgit.Config, l *listing, state core.HostState, approved bool) (complete bool, err error) {
	h, now := l.host, r.opts.Clock()
	outcome := HostOutcome{
		Name: h.Name, At: now, Next: now.Add(h.LsInterval), Complete: l.err == nil, Listed: l.total, Asked: state.Asked, Purge: state.Purge,
	}
	if l.err != nil {
		outcome.Error = fmt.Sprintf("%v; the listing is not complete, so nothing was removed", l.err)
		outcome.Next = now.Add(retryIn(h, l.err))
		r.log.Warn("an Upstream Host could not be listed", "host", h.Name, "err", l.err, "seen", l.total)
		if r.opts.Failed != nil {
			r.opts.Failed(ctx, h.Name, strings.ToLower(hostname(h.Name)), l.err)
		}
	}
	if err := r.applyListing(ctx, c, l, &outcome, approved); err != nil {
		return false, err
	}
	r.noteClashes(l)
	err = r.opts.Store.HostListed(ctx, outcome)
	if err != nil && core.KindOf(err) == core.KindNotFound {
		return false, nil // another core has read that the host is gone
	}
	return outcome.Complete, err
}

// retryIn is how long a host is left alone after a failure.
func retryIn(h core.Host, err error) time.Duration {
	var known *core.Error
	if errors.As(err, &known) && known.RetryAfter > 0 {
		return known.RetryAfter
	}
	return max(min(h.LsInterval, retryAfter), time.Second)
}

// applyListing puts what was listed and removes what is not there any more, as
// far as the listing can be believed.
func (r *Reconciler) applyListing(ctx context.Context, c *confgit.Config, l *listing, outcome *HostOutcome, approved bool) error {
	m, err := newMapper(l.host)
	if err != nil {
		return err
	}
	if err := r.drop(ctx, c, l); err != nil {
		return err
	}
	v, err := newLeavers(c.Hosts)
	if err != nil {
		return err
	}
	self := v.before(l.host.Name)
	// What the section itself leaves out now is the admin's wish, and so is what was
	// handed over; what only the listing lacks may be a mistake of the host.
	var missing []core.Lorry
	var lacks []string
	chosen, known, err := r.compare(ctx, confgit.HostSection(l.host.Name), l, func(old core.Lorry) {
		switch {
		case !m.keeps(old) || handedOver(old) && outcome.Complete:
			v.add(old, self)
		case !handedOver(old):
			missing, lacks = append(missing, old), append(lacks, old.Path)
		}
	})
	if err != nil {
		return err
	}
	if err := r.put(ctx, l, chosen); err != nil {
		return err
	}
	if outcome.Complete {
		var ok bool
		if ok, outcome.Purge, err = r.believe(ctx, l.host, lacks, known, approved); err != nil {
			return err
		}
		if ok {
			for _, old := range missing {
				v.add(old, self)
			}
		} else {
			r.log.Warn("removals are held back", "host", l.host.Name, "reason", outcome.Purge)
		}
	}
	gone, err := r.leave(ctx, v)
	if err != nil {
		return err
	}
	if err := r.askHeirs(ctx, v); err != nil {
		return err
	}
	if len(chosen)+gone > 0 {
		r.changed()
	}
	r.log.Info("listed an Upstream Host", "host", l.host.Name, "complete", outcome.Complete, "repositories", l.total,
		"mirrored", l.mirrored(), "changed", len(chosen), "removed", gone)
	return nil
}

// noteClashes keeps the problems of a listing for the list of all problems.
func (r *Reconciler) noteClashes(l *listing) {
	problems := l.problems
	if l.more > 0 {
		problems = append(problems, core.Problem{
			File: confgit.ConfFile, Key: l.host.Name, Severity: core.SeverityWarning,
			Message: fmt.Sprintf("%d more repositories of this host can't be mirrored", l.more),
		})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.clashes[l.host.Name], problems) {
		r.clashes[l.host.Name] = problems
		r.stale = true
	}
}

// storeClashes stores the problems anew if a listing changed them.
func (r *Reconciler) storeClashes(ctx context.Context, c *confgit.Config) error {
	r.applying.Lock()
	defer r.applying.Unlock()
	r.mu.Lock()
	settled := r.settled && r.config == c
	r.mu.Unlock()
	if !settled {
		return nil // reading CONFGIT stores them
	}
	return r.refreshProblems(ctx, c.Commit)
}
