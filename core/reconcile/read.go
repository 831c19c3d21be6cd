package reconcile

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

// ReadConfiguration fetches CONFGIT and makes the STATEDB agree with it:
// running jobs go on, what CONFGIT dropped goes, and what a broken section gave
// before stays. It gives the problems. An error means that CONFGIT as a whole
// could not be read, and that no Lorry was changed; it is among the problems
// that the STATEDB then has.
func (r *Reconciler) ReadConfiguration(ctx context.Context) ([]core.Problem, error) {
	problems, err := r.read(ctx)
	if err != nil {
		return problems, err
	}
	r.checkNames(ctx)
	return r.problems(), nil
}

// read reads CONFGIT, again when another core has begun meanwhile to apply what it
// fetched later.
func (r *Reconciler) read(ctx context.Context) (problems []core.Problem, err error) {
	const most = 3
	r.reading.Lock()
	defer r.reading.Unlock()
	for range most {
		if problems, err = r.readOnce(ctx); !overtaken(err) {
			break
		}
		r.log.Info("another core has read CONFGIT meanwhile")
	}
	return problems, err
}

func (r *Reconciler) readOnce(ctx context.Context) ([]core.Problem, error) {
	seen, err := r.opts.Store.Turn(ctx, confgitTurn)
	if err != nil {
		return nil, err
	}
	commit, err := r.update(ctx)
	if err == nil {
		var done bool
		var problems []core.Problem
		if problems, done, err = r.unchanged(ctx, commit); done || err != nil {
			return problems, err
		}
		c := r.followed
		r.followed = nil // it need not live beside another one
		if c == nil || c.Commit != commit || c.Unresolved {
			c, err = r.opts.Source.Read(ctx, commit)
		}
		if err == nil {
			err = r.vanished(ctx, c)
		}
		if err == nil {
			return r.apply(ctx, c, seen)
		}
	}
	if ctx.Err() != nil {
		return nil, err
	}
	if r.current() == nil {
		// The credentials of what was applied before are needed all the same.
		if followErr := r.follow(ctx); followErr != nil {
			r.log.Debug("the configuration that was applied last can't be read either", "err", followErr)
		}
	}
	return nil, errors.Join(err, r.report(ctx, err))
}

// update fetches CONFGIT, within a time that is far more than it ever takes.
func (r *Reconciler) update(ctx context.Context) (string, error) {
	const patience = 15 * time.Minute
	late := core.Errorf(core.KindUnavailable, "fetching CONFGIT took longer than %s", patience)
	ctx, cancel := context.WithTimeoutCause(ctx, patience, late)
	defer cancel()
	commit, err := r.opts.Source.Update(ctx)
	if err != nil && ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	return commit, err
}

// unchanged reports whether the commit is in force and applied to the end.
func (r *Reconciler) unchanged(ctx context.Context, commit string) ([]core.Problem, bool, error) {
	r.mu.Lock()
	c, settled := r.config, r.settled
	if c != nil && settled && c.Commit == commit && r.trouble != nil {
		r.trouble, r.stale = nil, true
	}
	r.mu.Unlock()
	if c == nil || !settled || c.Commit != commit || c.Unresolved {
		return nil, false, nil // a secret may be where it should be by now
	}
	stored, err := r.opts.Store.ConfigCommit(ctx)
	if err != nil || stored != commit {
		return nil, false, err
	}
	if err := r.refreshProblems(ctx, commit); err != nil {
		return nil, false, err
	}
	return r.problems(), true, nil
}

// problems are those of CONFGIT and of the listings.
func (r *Reconciler) problems() []core.Problem {
	r.mu.Lock()
	defer r.mu.Unlock()
	var all, ofHosts []core.Problem
	if r.trouble != nil {
		all = append(all, *r.trouble)
	}
	if r.config != nil {
		all = append(all, r.config.Problems...)
		for _, h := range r.config.Hosts {
			ofHosts = append(ofHosts, r.clashes[h.Name]...)
		}
		all = append(all, confgit.Worst(append(ofHosts, r.names...))...)
	}
	return all
}

// storeProblems stores the problems if the stored ones are others.
func (r *Reconciler) storeProblems(ctx context.Context, commit string) error {
	r.mu.Lock()
	stale := r.stale
	r.stale = false
	r.mu.Unlock()
	if !stale {
		return nil
	}
	err := r.opts.Store.SetConfig(ctx, commit, r.problems())
	if err != nil {
		r.mu.Lock()
		r.stale = true
		r.mu.Unlock()
	}
	return err
}

// refreshProblems does so while the commit is the one that was applied last, which
// another core may change at any time; it stores them itself then.
func (r *Reconciler) refreshProblems(ctx context.Context, commit string) error {
	seen, err := r.opts.Store.Turn(ctx, confgitTurn)
	if err != nil {
		return err
	}
	if now, err := r.opts.Store.ConfigCommit(ctx); err != nil || now != commit {
		return err
	}
	err = r.storeProblems(UnderTurn(ctx, confgitTurn, seen), commit)
	if overtaken(err) {
		return nil
	}
	return err
}

// report adds the reason why CONFGIT can't be read to the stored problems.
func (r *Reconciler) report(ctx context.Context, cause error) error {
	problem := core.Problem{File: "CONFGIT", Message: cause.Error(), Severity: core.SeverityError}
	var broken *confgit.BrokenError
	if errors.As(cause, &broken) {
		problem = broken.Problem
	}
	commit, err := r.opts.Store.ConfigCommit(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	r.stale = r.stale || r.trouble == nil || *r.trouble != problem
	r.trouble = &problem
	r.mu.Unlock()
	return r.refreshProblems(ctx, commit)
}

// force makes c the Config in force.
func (r *Reconciler) force(ctx context.Context, c *confgit.Config, settled bool) {
	r.mu.Lock()
	old := r.config
	r.config, r.settled = c, settled
	r.named = r.named && old == c
	r.mu.Unlock()
	if r.opts.Applied != nil && old != c {
		r.opts.Applied(ctx, c)
	}
}

// apply makes the STATEDB agree with a Config, unless the turn that was seen before
// it was fetched is over: then another core has a later one.
func (r *Reconciler) apply(ctx context.Context, c *confgit.Config, seen int64) ([]core.Problem, error) {
	r.applying.Lock()
	defer r.applying.Unlock()
	turn, err := r.takeTurn(ctx, confgitTurn, seen)
	if err != nil {
		return nil, err
	}
	states, err := r.opts.Store.Hosts(ctx)
	if err != nil {
		return nil, err
	}
	prev := r.current()
	hosts := r.keepHosts(c, prev, states)
	light := c.WithoutTexts()
	r.force(ctx, light, false)
	touched, err := r.applySections(turn, c, prev, hosts, states)
	if err != nil {
		return nil, err
	}
	// Last, so that what has changed of a host is seen again if we are killed before.
	if err := r.opts.Store.PutHosts(turn, hosts); err != nil {
		return nil, err
	}
	if touched > 0 {
		r.changed()
	}
	r.mu.Lock()
	r.trouble, r.stale = nil, true
	r.mu.Unlock()
	if err := r.storeProblems(turn, c.Commit); err != nil {
		return nil, err
	}
	r.force(ctx, light, true)
	r.log.Info("read the configuration", "commit", c.Commit, "lorries", len(c.Lorries), "hosts", len(c.Hosts), "changed", touched, "problems", len(c.Problems))
	return r.problems(), nil
}

// applySections makes the Lorries agree with a Config. It counts those that it
// touches.
func (r *Reconciler) applySections(ctx context.Context, c, prev *confgit.Config, hosts []core.Host, states []core.HostState) (touched int, err error) {
	if err := r.opts.Store.SetRetire(ctx, c.Retire); err != nil {
		return 0, err
	}
	v, err := newLeavers(hosts)
	if err != nil {
		return 0, err
	}
	if touched, err = r.putSections(ctx, c); err != nil {
		return touched, err
	}
	n, err := r.removeSections(ctx, c, v)
	if err != nil {
		return touched, err
	}
	touched += n
	if n, err = r.changedHosts(ctx, c, prev, states, v); err != nil {
		return touched, err
	}
	return touched + n, r.askHeirs(ctx, v)
}

// keepHosts gives the hosts that the STATEDB is to know. The section of a kept
// one is broken: it stays as it was, and goes on to be listed if it is still
// known here what it said.
func (r *Reconciler) keepHosts(c, prev *confgit.Config, states []core.HostState) []core.Host {
	hosts := slices.Clone(c.Hosts)
	for _, s := range states {
		if slices.ContainsFunc(c.Hosts, func(h core.Host) bool { return h.Name == s.Name }) || !isKept(c, confgit.HostSection(s.Name)) {
			continue
		}
		if prev != nil {
			if i := slices.IndexFunc(prev.Hosts, func(h core.Host) bool { return h.Name == s.Name }); i >= 0 {
				hosts, c.Hosts = append(hosts, prev.Hosts[i]), append(c.Hosts, prev.Hosts[i])
				c.Secrets[s.Name] = prev.Secrets[s.Name]
				continue
			}
		}
		hosts = append(hosts, core.Host{
			Name: s.Name, Type: s.Type, Protocol: s.Protocol, Prefixes: s.Prefixes, Ignore: s.Ignore,
			LsInterval: s.LsInterval, Interval: s.Interval, Timeout: s.Timeout,
		})
	}
	return hosts
}

func isKept(c *confgit.Config, section string) bool {
	return c.KeepAll || slices.Contains(c.Kept, section)
}

// sectionsOf groups the Config's Lorries, which stay in the order of paths.
func sectionsOf(c *confgit.Config) (names []string, bySection map[string]lorries) {
	bySection = map[string]lorries{}
	for i, l := range c.Lorries {
		of, known := bySection[l.Section]
		if !known {
			names = append(names, l.Section)
		}
		bySection[l.Section] = lorries{c.Lorries, append(of.at, int32(i))}
	}
	slices.Sort(names)
	return names, bySection
}

// putSections adds and changes Lorries; one that has moved to another section
// is moved before anything is removed.
func (r *Reconciler) putSections(ctx context.Context, c *confgit.Config) (touched int, err error) {
	names, bySection := sectionsOf(c)
	for _, name := range names {
		want := bySection[name]
		chosen, _, err := r.compare(ctx, name, want, func(core.Lorry) {})
		if err != nil {
			return touched, err
		}
		if err := r.put(ctx, want, chosen); err != nil {
			return touched, err
		}
		touched += len(chosen)
	}
	return touched, nil
}

// changedHosts brings the Lorries of hosts whose section has changed in line
// with it, as far as that needs no listing, and has such hosts listed soon.
func (r *Reconciler) changedHosts(ctx context.Context, c, prev *confgit.Config, states []core.HostState, v *leavers) (touched int, err error) {
	for _, h := range c.Hosts {
		i := slices.IndexFunc(states, func(s core.HostState) bool { return s.Name == h.Name })
		if i < 0 {
			continue // new, so due for listing anyway
		}
		source, schedule := differs(h, states[i], prev)
		if source || schedule || h.LsInterval != states[i].LsInterval {
			// Another core may be listing it by the section that it had.
			if _, err := r.opts.Store.TakeTurn(ctx, confgit.HostSection(h.Name), anyTurn); err != nil {
				return touched, err
			}
		}
		if source || schedule {
			n, err := r.retune(ctx, h, v)
			if err != nil {
				return touched, err
			}
			touched += n
		}
		s, now := states[i], r.opts.Clock()
		next := now
		if !source {
			if h.LsInterval == s.LsInterval || s.LsLast.IsZero() {
				continue
			}
			next = s.LsLast.Add(h.LsInterval)
		}
		if err := r.opts.Store.HostListed(ctx, HostOutcome{Name: h.Name, At: now, Next: next, Error: s.LsError, Purge: s.Purge}); err != nil {
			return touched, err
		}
	}
	return touched, nil
}

// differs tells whether a section now names other repositories, and whether it
// schedules them in another way.
func differs(h core.Host, s core.HostState, prev *confgit.Config) (source, schedule bool) {
	source = h.Type != s.Type || h.Protocol != s.Protocol || !slices.Equal(h.Prefixes, s.Prefixes) || !slices.Equal(h.Ignore, s.Ignore)
	schedule = h.Interval != s.Interval || h.Timeout != s.Timeout
	if prev == nil {
		return source, schedule
	}
	if i := slices.IndexFunc(prev.Hosts, func(old core.Host) bool { return old.Name == h.Name }); i >= 0 {
		old := prev.Hosts[i]
		source = source || !reflect.DeepEqual(old.Settings, h.Settings) || old.SkipCertificates != h.SkipCertificates ||
			old.Prune != h.Prune || old.LFS != h.LFS
		schedule = schedule || old.Rewrites != h.Rewrites
	}
	return source, schedule
}
