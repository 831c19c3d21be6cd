package daemon

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/notify"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/telemetry"
	"github.com/lorry-controller/lorry-controller/core/telemetry/metrics"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
)

// Options are what a Daemon needs.
type Options struct {
	Settings settings.Controller
	// Secrets are kept out of the log.
	Secrets []core.Secret
	// Warnings are told once the log is open.
	Warnings []string
	// Programs is the directory of lorry and the adapters.
	Programs string
	Version  string
	Stdout   io.Writer
	Stderr   io.Writer
	// Terminal draws the live view on Stdout; log lines go to a file then.
	Terminal bool
	// Values are what Settings was made of, and Reread reads them again; nil:
	// there is no reload.
	Values *settings.Values
	Reread Reread
}

// Daemon is the core, built and listening, but not yet serving.
type Daemon struct {
	opts     Options
	config   settings.Controller
	clock    pretendClock
	log      hclog.Logger
	redactor *telemetry.Redactor
	logFile  string

	listener net.Listener
	git      *childproc.Git
	db       *statedb.DB
	queue    *queue.Queue
	adapters *adapter.Manager
	reattach map[string]string // adapters that authors run, by type
	source   *confgit.Source
	confgit  *reconcile.Reconciler
	prepare  *preparer
	server   *webapp.Server
	metrics  *metrics.Metrics
	// diskWarning says why no job is given for lack of room, or is "".
	diskWarning func(context.Context) string
	notifier    *notify.Notifier
	guard       *auth.Guard

	certificates *certificates // nil: plain HTTP

	roots []string // file roots beside those of local hosts

	reloading reloading

	placeName  string // of the locked data directory, or ""
	leaderName string // of this core, for the upkeep

	closers []func() // in the order of opening
	served  bool     // Run was called
}

// New opens everything that a start can fail on. What it opened before an
// error is closed again.
func New(ctx context.Context, o Options) (_ *Daemon, err error) {
	d := &Daemon{opts: o, config: o.Settings}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	steps := []func(context.Context) error{
		d.openPlace, d.openLog, d.openGit, d.openListener, d.openQueue, d.openAccess, d.openAdapters, d.openConfgit, d.openServer,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return d, nil
}

// close closes what New opened, last first.
func (d *Daemon) close() {
	for _, c := range slices.Backward(d.closers) {
		c()
	}
	d.closers = nil
}

func (d *Daemon) onClose(f func()) { d.closers = append(d.closers, f) }

func (d *Daemon) openPlace(context.Context) error {
	p, err := openPlace(d.config.Data)
	if err != nil {
		return err
	}
	d.onClose(p.close)
	d.config.Data, d.placeName = p.dir, p.name()
	return nil
}

// openLog opens the log. A terminal shows the live view, so that lines go to a
// file unless they were sent elsewhere on purpose.
func (d *Daemon) openLog(context.Context) error {
	l := d.config.Log
	if d.config.Embedded && l.To == "" {
		l.To = "stderr"
		if d.opts.Terminal {
			l.To = filepath.Join(d.config.Data, "lorry-controller.log")
		}
	}
	d.logFile = l.To
	d.redactor = telemetry.NewRedactor(d.opts.Secrets...)
	log, err := telemetry.NewLogger(telemetry.Options{
		Program: "lorry-controller", Log: l, Redactor: d.redactor, Stderr: d.opts.Stderr, Now: time.Now,
	})
	if err != nil {
		return err
	}
	d.onClose(func() {
		if d.served {
			d.log.Info("stopped")
		}
		_ = log.Close()
	})
	d.log = log.Logger
	d.reloading.log, d.reloading.started, d.reloading.live = log, d.opts.Values, d.opts.Values
	for _, warning := range d.opts.Warnings {
		d.log.Warn("setting", "warning", warning)
	}
	return nil
}

func (d *Daemon) openGit(context.Context) error {
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(d.config.Data, "home"), Log: d.log.Named("git")})
	d.git = git
	return err
}

func (d *Daemon) openListener(ctx context.Context) error {
	if d.config.WSGI {
		return nil
	}
	l, err := listen(ctx, d.config.Listen)
	if err != nil {
		return err
	}
	d.onClose(func() { l.Close() })
	d.listener = l
	return nil
}

func (d *Daemon) openQueue(ctx context.Context) error {
	if url := d.config.StateDB.Reveal(); !statedb.IsPostgres(url) {
		release, err := lockStateDB(url)
		if err != nil {
			return stateDBError(d.config, err)
		}
		d.onClose(release)
		if err := takeOver(ctx, url, d.log); err != nil {
			return err
		}
	}
	db, err := openStateDB(ctx, d.config, statedb.Options{Log: d.log.Named("statedb"), Clock: d.clock.now})
	if err != nil {
		return err
	}
	d.onClose(func() {
		if err := db.Close(); err != nil {
			d.log.Error("closing the state database", "err", err)
		}
	})
	d.db = db
	if err := d.clock.follow(ctx, db.ServerTime); err != nil {
		return err
	}
	d.metrics = metrics.New(d.metricsSource())
	d.queue = queue.New(queue.Options{
		Ended: d.metrics.JobsEnded,
		Store: db, Clock: d.clock.now, Elapsed: d.elapsed(), Log: d.log.Named("queue"), Rand: d.chance(),
	})
	d.queue.SetLimits(queueLimits(d.config))
	if err := d.takeUpkeepOver(ctx); err != nil {
		return err
	}
	return d.adoptJobs(ctx)
}

// adoptJobs deals with the jobs that were running when a core last stopped:
// those of the minions inside this process died with it and are due again;
// other minions get a whole lease to report.
func (d *Daemon) adoptJobs(ctx context.Context) error {
	returned, err := d.queue.ReturnJobs(ctx, d.minionName())
	if err != nil {
		return err
	}
	for _, job := range returned {
		d.log.Info("a job ended with the controller that ran it; it is due again", "path", job.Path, "job", job.ID)
	}
	return d.queue.Rebase(ctx)
}

// minionName is that of the minions inside this process. No other process of this
// machine can have it while this one holds its address; machines that share a
// STATEDB have host names or addresses of their own, as the README asks for.
func (d *Daemon) minionName() string {
	if d.listener == nil {
		return "controller@" + hostName()
	}
	return "controller@" + hostName() + "/" + d.listener.Addr().String()
}

// runQueue is another name for the queue's type: an embedded field of its own
// name would hide its method Queue.
type runQueue = queue.Queue

// adminQueue is the run queue with the policy for old jobs filled in.
type adminQueue struct {
	*runQueue
	keep func() queue.Retention
}

// RemoveOldJobs removes the jobs that the settings let go.
func (q adminQueue) RemoveOldJobs(ctx context.Context) (int, error) {
	return q.runQueue.RemoveOldJobs(ctx, q.keep())
}

func (d *Daemon) adminQueue() adminQueue {
	return adminQueue{d.queue, func() queue.Retention {
		r := d.live().Retention
		return queue.Retention{Age: r.Age, UnchangedAge: r.UnchangedAge, PerLorry: r.PerLorry}
	}}
}

func (d *Daemon) openAdapters(ctx context.Context) error {
	if d.config.Adapters.Dev {
		var err error
		if d.reattach, err = adapter.ParseReattach(os.Getenv(settings.ReattachVariable)); err != nil {
			return err
		}
	}
	d.adapters = adapter.NewManager(adapter.Options{ReadSecrets: d.readSecrets, Reattach: d.reattach, Dir: d.adapterDir(), Log: d.log.Named("adapter"), Clock: time.Now, Observer: d.metrics})
	d.onClose(func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), adapterGrace)
		defer cancel()
		if err := d.adapters.Close(closing); err != nil {
			d.log.Warn("stopping the adapters", "err", err)
		}
	})
	// A missing or broken adapter must not keep the core from starting: it fails
	// the jobs that need it, with its reason.
	if err := d.applyAdapters(ctx, &confgit.Config{}); err != nil {
		d.logAdapters(err)
	}
	return nil
}

// adapterDir is where the adapters are looked for.
func (d *Daemon) adapterDir() string {
	if d.config.Adapters.Dir != "" {
		return d.config.Adapters.Dir
	}
	return d.opts.Programs
}

// applyAdapters makes the hosts of CONFGIT and the Downstream Host the adapters
// that may run.
func (d *Daemon) applyAdapters(ctx context.Context, c *confgit.Config) error {
	instances := []adapter.Instance{downstreamInstance(d.live().Downstream)}
	if down := &instances[0]; !d.config.CheckCertificates && down.Type != "local" {
		down.SkipCertificates = true // for all: RR/CERT
	}
	for _, h := range c.Hosts {
		instances = append(instances, d.upstreamInstance(h, c.Secrets[h.Name]))
	}
	proxy := d.freshProxy(c.Proxy)
	for i := range instances {
		tune(&instances[i], d.live().Adapters)
		instances[i].Proxy = proxyURL(proxy)
	}
	d.redactor.Add(c.AllSecrets()...)
	return d.adapters.Apply(ctx, instances)
}

func (d *Daemon) openServer(context.Context) error {
	guard := diskGuard{adminQueue: d.adminQueue(), dirs: guardedDirs(d.config), minFree: func() int64 { return d.live().MinFree }, free: freeBytes, clock: d.clock.now, minions: d.queue}
	d.prepare = &preparer{
		adapters: d.adapters, access: d.confgit.Access, fileRoots: d.fileRoots, clock: d.clock.now, holder: d.queue,
		taken: d.confgit.Taken, retired: d.db, confirm: d.confgit.ListSoon, allowed: d.addresses,
		always: d.config.Downstream.Type == "local",
	}
	d.diskWarning = guard.told
	server, err := webapp.New(webapp.Options{
		Webhooks: d.webhooks(),
		Guard:    d.guard, Tokens: d.db, Audit: d.db, MetricsPublic: d.config.Access.MetricsPublic,
		Metrics: d.metrics.Handler(), Ready: d.db.Ping,
		Queue: timedQueue{guard, d.metrics}, Configuration: countedReads{d.confgit, d.metrics}, Preparer: d.prepare, Log: d.log.Named("webapp"), Clock: d.clock.now,
		MinFree:    guard.minFree,
		StatusHTML: d.config.StatusHTML, PretendTime: d.pretendTime(), Reload: d.Reload, Retirements: d.db,
		Info: api.Info{
			Version: d.opts.Version, Address: d.address(), DataDir: d.config.Data,
			Downstream: describeDownstream(d.config.Downstream), PublishFailures: func() bool { return d.live().PublishFailures },
			Adapters: adapterDesk{d.adapters, d.queue}, Warning: guard.told,
		},
	})
	if err != nil {
		return fmt.Errorf("setting up the HTTP API: %w", err)
	}
	d.server = server
	d.notifier, err = d.newNotifier()
	return err
}

// address is the URL of the API and the pages, as this machine reaches it.
func (d *Daemon) address() string {
	if d.listener == nil {
		return ""
	}
	tcp, ok := d.listener.Addr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	scheme := "http://"
	if d.certificates != nil {
		scheme = "https://"
	}
	return scheme + net.JoinHostPort(host, fmt.Sprint(tcp.Port))
}

// fileRoots gives the directories that a Lorry may read from: what the admin
// lists, what run was told to mirror, and a local host's own directory.
func (d *Daemon) fileRoots(l core.LorryState) []string {
	if l.Host != "" {
		if root := localRoots(d.confgit.Config().Hosts)[l.Host]; root != "" {
			return []string{root}
		}
		return nil
	}
	if _, isHost := confgit.HostOfSection(l.Section); isHost {
		return nil // handed over to that host: nobody knows any more who named what it reads
	}
	return d.roots
}

func describeDownstream(d settings.Downstream) string {
	switch d.Type {
	case "local":
		return "local directory " + d.BaseDirectory
	case "gitlab", "gitea":
		return d.Type + " at " + d.HTTPURL
	}
	return d.Type + " at " + d.SSHURL
}
