package daemon

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/minion"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// openConfgit makes the starter CONFGIT if one is wanted, and what reads
// CONFGIT. Nothing is fetched yet: a CONFGIT that is away must not keep the
// core from starting.
func (d *Daemon) openConfgit(ctx context.Context) error {
	c := d.config.Confgit
	d.roots = d.config.FileRoots
	if c.Starter {
		starter, err := confgit.MakeStarter(ctx, confgit.StarterOptions{
			Git: d.git, Dir: c.URL, Mirrors: c.Mirrors, UpstreamDirs: c.UpstreamDirs,
			Checkout: ".", Sample: filepath.Join(d.config.Data, "sample.git"), Now: time.Now,
		})
		if err != nil {
			return err
		}
		d.roots = sortedUnique(append(d.roots, starter.FileRoots...))
		for _, added := range starter.Added {
			d.log.Info("added to the starter CONFGIT", "what", added, "confgit", c.URL)
		}
	}
	d.source = confgit.NewSource(confgit.Options{
		Git: d.git, URL: c.URL, Username: c.Username, Password: c.Password, SkipCertificates: !d.config.CheckCertificates,
		Branch: c.Branch, Mirror: c.Mirror, Directory: c.Directory, Log: d.log.Named("confgit"),
		Rules: rules(d.config, d.roots, d.hostTypes()),
	})
	var hosts reconcile.Upstreams = d.adapters
	if len(d.config.FakeHosts) > 0 {
		hosts = reconcile.Faked{Files: d.config.FakeHosts, Next: d.adapters}
	}
	d.confgit = reconcile.New(reconcile.Options{
		Source: d.source, Store: d.db, Upstreams: hosts, Names: d.checkPaths, PurgeProtect: d.config.PurgeProtect,
		Clock: d.clock.now, Log: d.log.Named("reconcile"),
		Applied: d.configApplied, Changed: d.queue.Wake, Failed: d.listingFailed,
	})
	if err := d.setDefaultRetire(ctx); err != nil {
		return err
	}
	d.follow(ctx)
	return nil
}

// rules are what the settings say about reading CONFGIT, from which these
// directories may be read, for hosts of these types.
func rules(c settings.Controller, roots, types []string) confgit.Rules {
	return confgit.Rules{
		ProxyFile: c.Confgit.ProxyFile, SkipCertificates: !c.CheckCertificates,
		FileRoots: append([]string{}, roots...), Types: types, Secrets: secretSource(c.Confgit),
	}
}

func (d *Daemon) hostTypes() []string {
	return hostTypes(d.config, d.adapterDir(), slices.Collect(maps.Keys(d.reattach)))
}

// hostTypes are the types of host that adapters are there for, in a directory or
// in a debugger, so that any other is reported where CONFGIT names it; nil, which
// allows any, when there are none or the host's listing is faked.
func hostTypes(c settings.Controller, dir string, debugged []string) []string {
	if len(c.FakeHosts) > 0 {
		return nil
	}
	if enabled := c.Adapters.Enabled; len(enabled) > 0 {
		return append(debugged, enabled...)
	}
	types := slices.Concat(debugged, slices.Collect(maps.Keys(c.Adapters.Path)))
	programs, _ := filepath.Glob(filepath.Join(dir, adapterPrefix+"*")) // fails on a bad pattern alone
	for _, program := range programs {
		types = append(types, strings.TrimPrefix(filepath.Base(program), adapterPrefix))
	}
	return sortedUnique(types)
}

const adapterPrefix = "lorry-adapter-"

// followFor bounds the reading of the CONFGIT that was applied last.
const followFor = 10 * time.Second

// follow takes over the CONFGIT that was applied last, by this core or by
// another one, so that jobs have their credentials from the start.
func (d *Daemon) follow(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, followFor)
	defer cancel()
	if err := d.confgit.Follow(ctx); err != nil && ctx.Err() == nil {
		d.log.Warn("the CONFGIT that was applied last can't be read yet", "err", err)
	}
}

// followAgain is how soon a core takes over what another one has applied.
const followAgain = 10 * time.Second

// keepFollowing follows until ctx ends. Unlike upkeep, every core does it.
func (d *Daemon) keepFollowing(ctx context.Context) {
	tick := time.NewTicker(followAgain)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			d.follow(ctx)
			d.adapters.Refresh()
		}
	}
}

// configApplied gives the adapters the hosts of a CONFGIT that was just read.
// What is wrong with one of them is in its state and fails its own jobs.
func (d *Daemon) configApplied(ctx context.Context, c *confgit.Config) {
	if err := d.applyAdapters(ctx, c); err != nil {
		d.logAdapters(err)
	}
	if d.prepare != nil {
		d.prepare.forgetAll()
	}
	if err := liftHolds(ctx, d.queue, d.adapters.States(), ""); err != nil && ctx.Err() == nil {
		d.log.Warn("hosts whose configuration changed stay held", "err", err)
	}
}

// logAdapters tells each thing that is wrong with the adapters.
func (d *Daemon) logAdapters(err error) {
	var many interface{ Unwrap() []error }
	if errors.As(err, &many) {
		for _, one := range many.Unwrap() {
			d.logAdapters(one)
		}
		return
	}
	hint := ""
	var known *core.Error
	if errors.As(err, &known) {
		hint = known.Hint
	}
	d.log.Error("an adapter can't be used", "err", err, "hint", hint)
}

// upkeep lists what the leading core does again and again.
func (d *Daemon) upkeep() *upkeep {
	const statusEvery = 30 * time.Second // MON/STATIC: at least once a minute
	leading := d.leadership(fmt.Sprintf("%s%s:%d:%d", d.leaderPrefix(), hostName(), os.Getpid(), time.Now().UnixNano()))
	u := &upkeep{log: d.log.Named("upkeep"), changed: d.reloading.renewed.changed, lead: leading.run, leads: leading.leads}
	list := make(chan struct{}, 1)
	u.chores = []chore{
		{name: "bury ghosts", first: d.config.GhostTimeout / 4, pace: func() time.Duration { return max(d.live().GhostTimeout/4, time.Second) }, do: func(ctx context.Context) error {
			_, err := d.queue.BuryGhosts(ctx)
			return err
		}},
		{name: "remove old jobs", first: time.Minute, every: time.Hour, do: func(ctx context.Context) error {
			_, err := d.adminQueue().RemoveOldJobs(ctx)
			return err
		}},
		{name: "remove old rows of the audit", first: time.Minute, every: time.Hour, do: d.trimAudit},
		{name: "read configuration", once: true, pace: func() time.Duration { return d.live().ReadConfiguration }, do: func(ctx context.Context) error {
			return d.readConfiguration(ctx, list)
		}},
		{name: "list hosts", first: time.Second, pace: func() time.Duration { return d.live().LsTroves }, asked: list, do: func(ctx context.Context) error {
			_, err := d.confgit.ListHosts(ctx, false)
			return err
		}},
	}
	u.chores = append(u.chores, d.retireChore())
	u.chores = append(u.chores, d.notifyChores()...)
	if d.config.StatusHTML != "" {
		u.chores = append(u.chores, chore{name: "write status page", first: time.Second, every: statusEvery, do: d.server.WriteStatusHTML})
	}
	return u
}

// readConfiguration reads CONFGIT and, since a new host is due at once, asks for a
// look at those that are due. It does not wait for it: a host that hangs must not
// keep CONFGIT from being read again.
func (d *Daemon) readConfiguration(ctx context.Context, list chan<- struct{}) error {
	if _, err := (countedReads{d.confgit, d.metrics}).ReadConfiguration(ctx); err != nil {
		return err
	}
	if d.live().LsTroves == 0 {
		return nil // only when asked
	}
	select {
	case list <- struct{}{}:
	default: // somebody has asked already
	}
	return nil
}

// leadership decides whether this core does the upkeep: with an SQLite STATEDB
// there is no other one.
func (d *Daemon) leadership(holder string) *leadership {
	d.leaderName = holder
	return newLeadership(leadFor, d.log.Named("upkeep"), func(ctx context.Context) (int64, bool, error) {
		if err := d.clock.follow(ctx, d.db.ServerTime); err != nil {
			return 0, false, err
		}
		if err := d.queue.WatchClock(ctx); err != nil { // also where another core leads
			return 0, false, err
		}
		return d.db.TryLead(ctx, holder, leadFor)
	})
}

// leadFor is how long a core may lead without saying so again.
const leadFor = 30 * time.Second

// resign lets another core do the upkeep at once.
func (d *Daemon) resign(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, leadAgain)
	defer cancel()
	if err := d.db.Resign(ctx, d.leaderName); err != nil {
		d.log.Warn("giving up the upkeep", "err", err)
	}
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "unknown"
	}
	return name
}

func (d *Daemon) minionOptions() minion.Options {
	lorry := d.config.LorryCmd
	if lorry == "" {
		lorry = filepath.Join(d.opts.Programs, "lorry")
	}
	var client *http.Client // the minions' own
	if d.certificates != nil {
		client = d.certificates.client()
	}
	return minion.Options{
		HTTP: client, Token: d.guard.Inside(),
		Controller: d.address(), Jobs: d.config.Minions, LorryCmd: lorry, WorkingArea: d.config.WorkingArea,
		Name: d.minionName(), Build: d.opts.Version, Log: d.log.Named("minion"),
	}
}
