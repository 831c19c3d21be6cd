package reconcile

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

// Planner is a Source that can look at other commits than the one in force.
// *confgit.Source has it.
type Planner interface {
	// Resolve gives the commit that a name stands for.
	Resolve(ctx context.Context, rev string) (commit string, err error)
	// ReadFiles reads files as if they were a whole CONFGIT.
	ReadFiles(ctx context.Context, contents map[string][]byte) (*confgit.Config, error)
}

// PlanParams say what to plan for: the files when there are any, and otherwise a
// commit, branch or ref; "" is what would be read now.
type PlanParams struct {
	Commit string
	Files  map[string][]byte
}

// Plan is what reading a CONFGIT would change. What the listings of hosts would
// add is not known.
type Plan struct {
	Commit  string
	Current string // the commit in force, or ""
	// Broken says why nothing at all could be used, or "".
	Broken                  string
	Added, Removed, Changed []PlannedLorry // in the order of their paths
	Unchanged               int
	// HostsAdded, HostsRemoved and HostsChanged name Upstream Hosts.
	HostsAdded, HostsRemoved, HostsChanged []string
	Kept                                   []string // sections that are broken
	KeptAll                                bool
	Problems                               []core.Problem
}

// PlannedLorry is a Lorry that a plan is about.
type PlannedLorry struct {
	Path, Section string
	What          []string // what would change
}

// Plan says what reading a CONFGIT would change, and changes nothing.
func (r *Reconciler) Plan(ctx context.Context, p PlanParams) (Plan, error) {
	source, ok := r.opts.Source.(Planner)
	if !ok {
		return Plan{}, core.Errorf(core.KindUnsupported, "this controller's CONFGIT can't be planned for")
	}
	c, err := r.planned(ctx, source, p)
	plan := Plan{}
	var broken *confgit.BrokenError
	if errors.As(err, &broken) {
		plan.Broken, plan.Problems = broken.Error(), []core.Problem{broken.Problem}
		plan.Current, err = r.opts.Store.ConfigCommit(ctx)
		return plan, err
	}
	if err != nil {
		return plan, err
	}
	plan.Commit, plan.Problems, plan.Kept, plan.KeptAll = c.Commit, c.Problems, c.Kept, c.KeepAll
	if plan.Current, err = r.opts.Store.ConfigCommit(ctx); err != nil {
		return plan, err
	}
	states, err := r.opts.Store.Hosts(ctx)
	if err != nil {
		return plan, err
	}
	plan.hosts(c, states, r.current())
	d := difference{added: map[string]core.Lorry{}, removed: map[string]core.Lorry{}, changed: map[string][2]core.Lorry{}}
	if err := r.planSections(ctx, c, states, &d); err != nil {
		return plan, err
	}
	if err := d.heirs(r.keepHosts(c, r.current(), states)); err != nil {
		return plan, err
	}
	plan.Added, plan.Removed, plan.Changed, plan.Unchanged = d.lists()
	return plan, nil
}

// planned reads what is planned for.
func (r *Reconciler) planned(ctx context.Context, source Planner, p PlanParams) (*confgit.Config, error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	c, err := readPlanned(ctx, source, r.opts.Source, p)
	if err == nil {
		err = r.vanished(ctx, c)
	}
	return c, err
}

func readPlanned(ctx context.Context, source Planner, at Source, p PlanParams) (*confgit.Config, error) {
	if len(p.Files) > 0 {
		return source.ReadFiles(ctx, p.Files)
	}
	commit, err := source.Resolve(ctx, p.Commit)
	if err != nil {
		return nil, err
	}
	return at.Read(ctx, commit)
}

// hosts compares the Upstream Hosts.
func (p *Plan) hosts(c *confgit.Config, states []core.HostState, prev *confgit.Config) {
	for _, h := range c.Hosts {
		i := slices.IndexFunc(states, func(s core.HostState) bool { return s.Name == h.Name })
		if i < 0 {
			p.HostsAdded = append(p.HostsAdded, h.Name)
			continue
		}
		source, schedule := differs(h, states[i], prev)
		if source || schedule || h.LsInterval != states[i].LsInterval {
			p.HostsChanged = append(p.HostsChanged, h.Name)
		}
	}
	for _, s := range states {
		if !slices.ContainsFunc(c.Hosts, func(h core.Host) bool { return h.Name == s.Name }) && !isKept(c, confgit.HostSection(s.Name)) {
			p.HostsRemoved = append(p.HostsRemoved, s.Name)
		}
	}
}

// difference collects Lorries by path.
type difference struct {
	added, removed map[string]core.Lorry
	changed        map[string][2]core.Lorry // before and after
	same           int
	sections       map[string]string // of all wanted Lorries, by path
}

// planSections compares what is stored with what is wanted, section by section.
func (r *Reconciler) planSections(ctx context.Context, c *confgit.Config, states []core.HostState, d *difference) error {
	stored, err := r.opts.Store.Sections(ctx)
	if err != nil {
		return err
	}
	names, bySection := sectionsOf(c)
	d.sections = map[string]string{}
	for _, l := range c.Lorries {
		d.sections[l.Path] = l.Section
	}
	names = append(names, stored...)
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		if host, isHost := confgit.HostOfSection(name); isHost {
			if err := r.planHost(ctx, c, host, states, d); err != nil {
				return err
			}
			continue
		}
		want := map[string]core.Lorry{}
		of := bySection[name]
		for _, i := range of.at {
			want[of.all[i].Path] = of.all[i]
		}
		err := r.stored(ctx, name, func(old core.Lorry) error {
			l, wanted := want[old.Path]
			delete(want, old.Path)
			d.see(old, l, wanted, isKept(c, name))
			return nil
		})
		if err != nil {
			return err
		}
		maps.Copy(d.added, want)
	}
	return nil
}

// heirs moves to the changed ones those that are handed over to a host.
func (d *difference) heirs(hosts []core.Host) error {
	v, err := newLeavers(hosts)
	if err != nil {
		return err
	}
	for path, old := range d.removed {
		if _, moved := d.added[path]; moved {
			continue
		}
		host, _ := confgit.HostOfSection(old.Section)
		if heir, ok := v.heir(old, v.before(host)); ok {
			d.changed[path] = [2]core.Lorry{old, heir}
			delete(d.removed, path)
		}
	}
	return nil
}

// see compares one stored Lorry with what is wanted of it.
func (d *difference) see(old, l core.Lorry, wanted, kept bool) {
	section, anywhere := d.sections[old.Path]
	switch {
	case anywhere && section != old.Section:
		d.removed[old.Path] = old // and added there
	case wanted && l != old:
		d.changed[old.Path] = [2]core.Lorry{old, l}
	case wanted || kept:
		d.same++
	default:
		d.removed[old.Path] = old
	}
}

// planHost says what a host's section does to the Lorries that its listings gave.
func (r *Reconciler) planHost(ctx context.Context, c *confgit.Config, host string, states []core.HostState, d *difference) error {
	i := slices.IndexFunc(c.Hosts, func(h core.Host) bool { return h.Name == host })
	kept := isKept(c, confgit.HostSection(host))
	var m mapper
	if i >= 0 {
		found, err := newMapper(c.Hosts[i])
		if err != nil {
			return fmt.Errorf("host %q: %w", host, err)
		}
		m = found
	}
	retunes := false
	if s := slices.IndexFunc(states, func(s core.HostState) bool { return s.Name == host }); i >= 0 && s >= 0 {
		source, schedule := differs(c.Hosts[i], states[s], r.current())
		retunes = source || schedule
	}
	return r.stored(ctx, confgit.HostSection(host), func(old core.Lorry) error {
		if i < 0 || !retunes {
			d.see(old, old, i >= 0, kept)
			return nil
		}
		d.see(old, tuned(old, c.Hosts[i]), m.keeps(old), false)
		return nil
	})
}

// lists gives the difference in the order of paths. A Lorry that leaves one
// section for another has changed.
func (d *difference) lists() (added, removed, changed []PlannedLorry, same int) {
	for path, l := range d.added {
		if old, moved := d.removed[path]; moved {
			d.changed[path] = [2]core.Lorry{old, l}
			delete(d.added, path)
			delete(d.removed, path)
		}
	}
	list := func(from map[string]core.Lorry) (all []PlannedLorry) {
		for _, path := range slices.Sorted(maps.Keys(from)) {
			all = append(all, PlannedLorry{Path: path, Section: from[path].Section})
		}
		return all
	}
	for _, path := range slices.Sorted(maps.Keys(d.changed)) {
		pair := d.changed[path]
		changed = append(changed, PlannedLorry{Path: path, Section: pair[1].Section, What: whatChanged(pair[0], pair[1])})
	}
	return list(d.added), list(d.removed), changed, d.same
}

// whatChanged says what differs between two states of a Lorry. Its text has no
// credential.
func whatChanged(old, l core.Lorry) (what []string) {
	text := func(name, a, b string) {
		if a != b {
			what = append(what, fmt.Sprintf("%s: %q -> %q", name, a, b))
		}
	}
	span := func(name string, a, b time.Duration) {
		if a != b {
			what = append(what, fmt.Sprintf("%s: %s -> %s", name, a, b))
		}
	}
	text("section", old.Section, l.Section)
	text("host", old.Host, l.Host)
	text("upstream host", old.UpstreamHost, l.UpstreamHost)
	span("interval", old.Interval, l.Interval)
	span("lorry-timeout", old.Timeout, l.Timeout)
	text("rewrites", string(old.Rewrites), string(l.Rewrites))
	text("specification", old.Text, l.Text)
	return what
}
