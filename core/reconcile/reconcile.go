package reconcile

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// Source is where CONFGIT is read. *confgit.Source has it. Its methods are
// never called at the same time.
type Source interface {
	Update(ctx context.Context) (commit string, err error)
	Read(ctx context.Context, commit string) (*confgit.Config, error)
}

// Upstreams gives Upstream Hosts by name. The adapter manager has it.
type Upstreams interface {
	Upstream(name string) (core.Upstream, error)
}

// Names gives the Downstream Host's verdicts on paths, in their order, or none
// at all when it has no rules.
type Names func(ctx context.Context, paths []string) ([]core.PathVerdict, error)

// Options are what a Reconciler needs.
type Options struct {
	Source    Source
	Store     Store
	Upstreams Upstreams
	Names     Names // nil: names are not checked
	// PurgeProtect is the part of a host's repositories, in percent, that a
	// listing may drop without being doubted.
	PurgeProtect float64
	// ListTimeout bounds the listing of one host; 0 means 15 minutes.
	ListTimeout time.Duration
	// FirstRuns bounds over which time the first jobs of a mass import are
	// spread; 0 means 10 minutes, a negative one makes all due at once.
	FirstRuns time.Duration
	// Parallel is how many hosts are listed at once; 0 means 4.
	Parallel int
	Clock    core.Clock
	Log      hclog.Logger // nil: no log
	// Applied is told of every Config that comes into force, before any of its
	// hosts is listed. May be nil.
	Applied func(ctx context.Context, c *confgit.Config)
	// Changed is told when Lorries were added or removed. May be nil.
	Changed func()
	// Failed is told why a host could not be listed, and by which name the run
	// queue knows it. May be nil.
	Failed func(ctx context.Context, host, upstreamHost string, err error)
}

// Reconciler makes the STATEDB hold the Lorries that CONFGIT and the Upstream
// Hosts ask for. Its methods may be called by several goroutines.
type Reconciler struct {
	opts Options
	log  hclog.Logger

	reading  sync.Mutex      // one reads CONFGIT
	followed *confgit.Config // with its Lorries, until it is applied; of who reads
	listing  sync.Mutex      // one lists hosts
	applying sync.Mutex      // one changes the STATEDB
	naming   sync.Mutex      // one checks names

	mu      sync.Mutex
	protect float64                   // of Options.PurgeProtect
	config  *confgit.Config           // nil until it was read
	settled bool                      // config has been applied to the end
	trouble *core.Problem             // why CONFGIT can't be read now
	stale   bool                      // the stored problems are not those that there are
	clashes map[string][]core.Problem // by host: repositories that can't be mirrored

	named    bool              // the names are checked, or it is being done
	names    []core.Problem    // what is wrong with them
	taken    map[string]string // path -> the one that has its place
	namesErr string            // why they could not be checked
}

// New makes a Reconciler; nothing is read yet.
func New(o Options) *Reconciler {
	if o.ListTimeout <= 0 {
		o.ListTimeout = 15 * time.Minute
	}
	if o.FirstRuns == 0 {
		o.FirstRuns = firstRuns
	}
	if o.Parallel <= 0 {
		o.Parallel = 4
	}
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	return &Reconciler{opts: o, log: o.Log, protect: o.PurgeProtect, clashes: map[string][]core.Problem{}}
}

// SetPurgeProtect changes the option of that name, from the next listing on.
func (r *Reconciler) SetPurgeProtect(percent float64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.protect = percent
}

func (r *Reconciler) purgeProtect() float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.protect
}

// Config gives the Config in force; an empty one before CONFGIT was read. It
// must not be changed.
func (r *Reconciler) Config() *confgit.Config {
	if c := r.current(); c != nil {
		return c
	}
	return &confgit.Config{}
}

func (r *Reconciler) current() *confgit.Config {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.config
}

// Access gives how a Lorry is fetched as far as CONFGIT says it: the
// credential of its URL, or that of its Upstream Host. nil means that the
// Lorry's text says it all.
func (r *Reconciler) Access(lorry core.LorryState) *core.Access {
	c := r.Config()
	if lorry.Host == "" {
		if access, there := c.Access[lorry.Path]; there {
			return &access
		}
		return nil
	}
	i := slices.IndexFunc(c.Hosts, func(h core.Host) bool { return h.Name == lorry.Host })
	specs, _ := spec.Parse("", []byte(lorry.Text))
	if i < 0 || len(specs) != 1 {
		return nil
	}
	h, secrets := c.Hosts[i], c.Secrets[lorry.Host]
	access := specs[0].Access
	access.SkipCertificates = access.SkipCertificates || h.SkipCertificates
	if maySend(h, access) {
		access.Username, access.Secret = secrets.Username, secrets.Password
	}
	return &access
}

// maySend reports whether the host's own credential may go to the address: to
// that host alone, and only over a connection that was verified, unless the
// section says insecure-credentials.
func maySend(h core.Host, access core.Access) bool {
	u, err := url.Parse(access.URL)
	if err != nil || !strings.EqualFold(u.Hostname(), hostname(h.Name)) {
		return false
	}
	insecure := yes(h.Settings["insecure-credentials"])
	return u.Scheme == "https" && (!access.SkipCertificates || insecure) || u.Scheme == "http" && insecure
}

// hostname drops the port of a host's name.
func hostname(name string) string {
	if u, err := url.Parse("//" + name); err == nil {
		return u.Hostname()
	}
	return name
}

func yes(v any) bool {
	switch v := v.(type) {
	case bool:
		return v
	case string:
		return slices.Contains([]string{"yes", "true", "on", "1"}, strings.ToLower(v))
	}
	return false
}

// changed tells that there are Lorries now which were not there before, or the
// other way round.
func (r *Reconciler) changed() {
	r.mu.Lock()
	r.named = false
	r.mu.Unlock()
	if r.opts.Changed != nil {
		r.opts.Changed()
	}
}
