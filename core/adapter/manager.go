package adapter

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// DownstreamName is the name of the instance that is the Downstream Host.
const DownstreamName = "downstream"

// Instance is a configured host that needs an adapter.
type Instance struct {
	Name string // the Upstream Host's name, or DownstreamName
	Type string // the host type: the program is lorry-adapter-TYPE
	Path string // absolute path of the program; "" looks in Options.Dir
	// SHA256 is the program's checksum in hex; "" takes any.
	SHA256 string
	// Settings are values of JSON's types, without secrets.
	Settings map[string]any
	Secrets  map[string]core.Secret
	// MaxConcurrency limits how many calls run at a time; 0 means 8. An adapter
	// may ask for less.
	MaxConcurrency int
	// IgnoreUnknown leaves out settings that the adapter does not know, with a
	// line in the log, as CONFGIT wants it.
	IgnoreUnknown bool
	// Offered are the settings that nobody wrote: they are left out without a
	// word when the adapter does not know them.
	Offered []string
	// Proxy is the URL of an HTTP proxy, a secret for its password; empty is
	// none but that of the environment.
	Proxy core.Secret
	// SkipCertificates and InsecureCredentials are what core.Host says.
	SkipCertificates    bool
	InsecureCredentials bool
	// CAFile has certificates of authorities, in PEM, that git trusts for this
	// host beside the system's; "" is none.
	CAFile string
}

func (i Instance) role() sdk.Role {
	if i.Name == DownstreamName {
		return sdk.RoleDownstream
	}
	return sdk.RoleUpstream
}

// Options are what a Manager needs. Zero durations and counts have defaults.
type Options struct {
	Dir string // where the programs lorry-adapter-TYPE are, absolute
	// TempDir is where sockets are made; "" is the system's. One core alone uses
	// it: what a core that was killed has left there is removed. Those of sockets
	// are short: a usual directory is taken when its path is too long for them.
	TempDir string
	// Majors are the versions of the protocol that are spoken; nil means those of
	// the contract.
	Majors []host.Major
	Log    hclog.Logger
	Clock  core.Clock     // nil: time.Now
	Rand   func() float64 // from [0, 1), for jitter; nil: math/rand/v2
	// Reattach maps a host type to the address ("unix|PATH") of an adapter that
	// its author runs with -debug; it is neither started nor stopped. See
	// ParseReattach. For development only.
	Reattach map[string]string
	// ReadSecrets gives an instance's secrets afresh at each start; nil takes
	// those of the Instance.
	ReadSecrets func(context.Context, Instance) (map[string]core.Secret, error)

	StartTimeout   time.Duration // 10 s: until the adapter says it is ready
	IdleTimeout    time.Duration // 10 min without a call: stopped; negative: never
	CheckInterval  time.Duration // 5 min between looks at the host, while the adapter runs
	HealthInterval time.Duration // 15 s
	HealthTimeout  time.Duration // 5 s
	HealthRetry    time.Duration // 1 s after a health check that failed
	HealthStrikes  int           // 3 in a row: killed
	BackoffMin     time.Duration // 1 s before the first restart, doubling
	BackoffMax     time.Duration // 2 min
	BreakerFaults  int           // 5 faults within
	BreakerWindow  time.Duration // 10 min: broken
	Settled        time.Duration // 5 min ready: the backoff starts afresh
	DrainGrace     time.Duration // 30 s for running calls to end
	KillGrace      time.Duration // 3 s for the process to end by itself
	MaxWait        time.Duration // 5 s: a call waits no longer for a restart
	MaxQueue       int           // 64 calls may wait for their turn
	RateLimitHold  time.Duration // 1 min: for a host that does not say how long to leave it alone
	AuthHold       time.Duration // 1 h: for a host that refuses the credentials
	Deadlines      host.Deadlines

	Observer Observer // is told of calls and holds; nil: nobody
}

func (o Options) orDefault() Options {
	dur := func(p *time.Duration, def time.Duration) {
		if *p == 0 {
			*p = def
		}
	}
	num := func(p *int, def int) {
		if *p == 0 {
			*p = def
		}
	}
	dur(&o.StartTimeout, 10*time.Second)
	dur(&o.IdleTimeout, 10*time.Minute)
	dur(&o.CheckInterval, 5*time.Minute)
	dur(&o.HealthInterval, 15*time.Second)
	dur(&o.HealthTimeout, 5*time.Second)
	dur(&o.HealthRetry, time.Second)
	num(&o.HealthStrikes, 3)
	dur(&o.BackoffMin, time.Second)
	dur(&o.BackoffMax, 2*time.Minute)
	num(&o.BreakerFaults, 5)
	dur(&o.BreakerWindow, 10*time.Minute)
	dur(&o.Settled, 5*time.Minute)
	dur(&o.DrainGrace, 30*time.Second)
	dur(&o.KillGrace, 3*time.Second)
	dur(&o.MaxWait, 5*time.Second)
	num(&o.MaxQueue, 64)
	dur(&o.RateLimitHold, DefaultRateLimitHold)
	dur(&o.AuthHold, DefaultAuthHold)
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Rand == nil {
		o.Rand = rand.Float64
	}
	return o
}

// ParseReattach reads the value of LORRY_REATTACH_ADAPTERS, as adapters print
// it with -debug: a JSON object from host types to addresses.
func ParseReattach(value string) (map[string]string, error) {
	if value == "" {
		return nil, nil
	}
	var m map[string]string
	if err := json.Unmarshal([]byte(value), &m); err != nil {
		return nil, core.Errorf(core.KindInvalid, "LORRY_REATTACH_ADAPTERS is not a JSON object from host types to addresses: %w", err)
	}
	return m, nil
}

// Manager runs the adapters of all configured hosts. Its methods may be called
// from any goroutine.
type Manager struct {
	opts     Options
	start    startFunc
	launcher *host.Launcher // nil in tests without processes

	mu     sync.Mutex
	known  map[string]*supervisor
	closed bool
	// stopping counts the calls of Apply that wait for an instance to end.
	stopping sync.WaitGroup
}

// NewManager makes a Manager that knows no instance yet. Close ends it.
func NewManager(opts Options) *Manager {
	removeSockets(opts.TempDir)
	m := &Manager{opts: opts.orDefault(), launcher: host.NewLauncher(), known: map[string]*supervisor{}}
	m.start = m.startProcess
	return m
}

// removeSockets removes what a core that was killed has left.
func removeSockets(dir string) {
	if dir == "" {
		return
	}
	left, _ := filepath.Glob(filepath.Join(dir, "plugin-dir*"))
	for _, path := range left {
		_ = os.RemoveAll(path)
	}
}

var typeRE = regexp.MustCompile(`^[a-z][a-z0-9]*(-[a-z0-9]+)*$`)

// program gives the absolute path of an instance's program.
func (m *Manager) program(inst Instance) (string, error) {
	if inst.Path != "" {
		return inst.Path, nil
	}
	if !typeRE.MatchString(inst.Type) {
		return "", sdk.Errorf(sdk.Invalid, "%q is not a host type: lower-case letters, digits and single dashes", inst.Type)
	}
	return filepath.Join(m.opts.Dir, "lorry-adapter-"+inst.Type), nil
}

// Apply makes the given instances the known ones. Unchanged ones keep running;
// one whose settings, secrets or program changed is replaced, the new process
// being ready before the old one stops; ones that are gone are stopped. A
// broken one is tried again when it changed, or when it has been broken for
// longer than Options.BreakerWindow. Nothing is started that was not used.
//
// The error tells of instances that can't be right (no such program, a name
// twice); all others are in force nevertheless.
func (m *Manager) Apply(ctx context.Context, instances []Instance) error {
	var problems []error
	wanted, unfit := map[string]Instance{}, map[string]error{}
	for _, inst := range instances {
		if _, ok := wanted[inst.Name]; ok {
			problems = append(problems, core.Errorf(core.KindInvalid, "there are two hosts named %q; the first is used", inst.Name))
			continue
		}
		inst.Settings, inst.Secrets = maps.Clone(inst.Settings), maps.Clone(inst.Secrets)
		wanted[inst.Name] = inst
		if err := m.precheck(inst); err != nil {
			unfit[inst.Name] = err
			problems = append(problems, errorOf(inst, err))
		}
	}
	gone, err := m.adopt(wanted, unfit) //nolint:contextcheck // a supervisor outlives the call
	if err != nil {
		return err
	}
	defer m.stopping.Done()
	stopAll(ctx, gone)
	m.forget(gone)
	return errors.Join(problems...)
}

// Refresh looks whether programs were replaced, which is noticed at the second
// look, and has the new ones take over as Apply does. It changes nothing else,
// so that it may be called again and again.
func (m *Manager) Refresh() {
	m.mu.Lock()
	list := slices.Collect(maps.Values(m.known))
	m.mu.Unlock()
	for _, s := range list {
		s.refresh()
	}
}

// adopt makes the wanted instances the known ones and gives those to be
// stopped. On success the caller owes m.stopping a Done.
func (m *Manager) adopt(wanted map[string]Instance, unfit map[string]error) (gone []*supervisor, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed {
		return nil, errClosed
	}
	for name, s := range m.known {
		if _, ok := wanted[name]; !ok {
			delete(m.known, name)
			gone = append(gone, s)
		}
	}
	for name, inst := range wanted {
		if s, ok := m.known[name]; ok {
			s.change(inst)
		} else {
			m.known[name] = newSupervisor(inst, m.opts, m.start, m.stamp)
		}
		m.known[name].judge(unfit[name])
	}
	m.stopping.Add(1)
	return gone, nil
}

// precheck finds what is wrong with an instance without starting it.
func (m *Manager) precheck(inst Instance) error {
	path, err := m.program(inst)
	if err != nil || m.launcher == nil || m.opts.Reattach[inst.Type] != "" {
		return err
	}
	return host.Verify(path, inst.SHA256)
}

// supervisor gives a known instance's supervisor.
func (m *Manager) supervisor(name string) (*supervisor, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s, ok := m.known[name]
	switch {
	case m.closed:
		return nil, errClosed
	case !ok:
		return nil, core.Errorf(core.KindNotFound, "there is no adapter for a host named %q", name)
	}
	return s, nil
}

// Upstream gives the Upstream Host of the name. Its process is started with
// the first call.
func (m *Manager) Upstream(name string) (core.Upstream, error) {
	s, err := m.supervisor(name)
	if err != nil {
		return nil, err
	}
	return &upstream{s}, nil
}

// Downstream gives the Downstream Host. Its process is started with the first
// call.
func (m *Manager) Downstream(name string) (core.Downstream, error) {
	s, err := m.supervisor(name)
	if err != nil {
		return nil, err
	}
	return &downstream{s}, nil
}

// Check starts the adapter when it is not running, and has it look whether its
// host answers and the credentials are good.
func (m *Manager) Check(ctx context.Context, name string) error {
	s, err := m.supervisor(name)
	if err != nil {
		return err
	}
	return s.check(ctx)
}

// States tells how each adapter is, in the order of names.
func (m *Manager) States() []State {
	m.mu.Lock()
	list := slices.Collect(maps.Values(m.known))
	m.mu.Unlock()
	var states []State
	for _, s := range list {
		st := s.state()
		if st.Path == "" { // it was not started yet, or could not be
			st.Path, _ = m.program(Instance{Type: st.Type}) // "" when the type is none
		}
		states = append(states, st)
	}
	slices.SortFunc(states, func(a, b State) int { return strings.Compare(a.Name, b.Name) })
	return states
}

// Restart replaces the adapter's process with a new one, also of one that is
// broken or stopped. The old process goes on when the new one can't start. A
// host that was left alone is asked again.
func (m *Manager) Restart(ctx context.Context, name string) error {
	s, err := m.supervisor(name)
	if err != nil {
		return err
	}
	return s.restart(ctx)
}

// Close stops all adapters: running calls have until ctx ends, and no longer
// than Options.DrainGrace. Every process has ended when it returns.
func (m *Manager) Close(ctx context.Context) error {
	m.mu.Lock()
	m.closed = true
	list := slices.Collect(maps.Values(m.known))
	clear(m.known)
	m.mu.Unlock()
	stopAll(ctx, list)
	m.stopping.Wait()
	if m.launcher != nil {
		m.launcher.Close()
	}
	return nil
}

func stopAll(ctx context.Context, list []*supervisor) {
	var wg sync.WaitGroup
	for _, s := range list {
		wg.Go(func() { s.close(ctx) })
	}
	wg.Wait()
}

func sameInstance(a, b Instance) bool { return reflect.DeepEqual(a, b) }

var errClosed = core.Errorf(core.KindUnavailable, "the adapters are being stopped")
