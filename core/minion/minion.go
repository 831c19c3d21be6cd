package minion

import (
	"context"
	"crypto/tls"
	"errors"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// Options say for whom and how a minion works. Controller, WorkingArea and Log
// are required.
type Options struct {
	// Controller is the URL of the controller's API.
	Controller string
	// Token is sent to the controller when it is set.
	Token core.Secret
	// HTTP makes the calls; nil means a client of its own, with TLS and Proxy
	// (nil: what the environment says).
	HTTP  *http.Client
	TLS   *tls.Config
	Proxy func(*http.Request) (*url.URL, error)
	// Name is what the controller shows; "" means the machine's node name.
	Name string
	// Build is this program's version, for people.
	Build string
	// LorryProxy is the proxy that lorry is told of; nil: as its environment
	// says.
	LorryProxy *protocol.Proxy
	// Labels say what this minion is good for.
	Labels []string
	// DrainTimeout is how long running jobs may go on when Run is to end.
	DrainTimeout time.Duration
	// Jobs is how many jobs run at once; below 1 means 1.
	Jobs int
	// LorryCmd is the program that runs a job: a name in PATH or a path. ""
	// means lorry beside this executable, or else in PATH.
	LorryCmd string
	// WorkingArea is the directory that lorry works in. It is made when it is
	// missing, and locked: one minion process has it at a time.
	WorkingArea string
	// Sleep is the pause when there is no job and the controller does not wait
	// for one, as the original's does not; 0 means 30 to 60 s at random.
	Sleep time.Duration
	// Wait is how long one request may wait for a job; 0 means 30 s.
	Wait time.Duration
	// Timeout bounds the controller's answer beyond Wait; 0 means 5 minutes.
	Timeout time.Duration
	// Tick is how often news of a job is sent; 0 means 1 s.
	Tick time.Duration
	// Grace is the time between SIGTERM and SIGKILL for a job that is to end;
	// 0 means 3 s.
	Grace time.Duration
	// Env is the environment of lorry; nil means a part of this process's that
	// holds no credentials.
	Env []string
	// Rand gives random numbers in [0, 1) for pauses; nil means none is added.
	Rand func() float64
	Log  hclog.Logger
}

const (
	defaultWait    = 30 * time.Second
	defaultTimeout = 5 * time.Minute
	defaultTick    = time.Second
	defaultGrace   = 3 * time.Second
	// updateTimeout bounds one report.
	updateTimeout = 30 * time.Second
	// maxPause is the longest pause between two tries to reach the controller.
	maxPause = 30 * time.Second
	// farewell is how long a minion that is to end may take for last reports.
	farewell = 10 * time.Second
	// maxHolds bounds how many paths are named in a request.
	maxHolds = 200
)

// worker is a running minion.
type worker struct {
	Options
	drainPause time.Duration // between two questions while the controller wants no work done
	client     *protocol.Client
	command    command
	area       *area
	looker     *looker // nil when lorry-cmd is another program, or git is missing

	mu             sync.Mutex
	skewed, drains bool      // the controller's protocol is another one; it wants no work done. Told once
	nameless       bool      // it names jobs without a number
	holds          []string  // paths that were worked on, the latest last
	away           core.Kind // how the controller can't be reached, or ""; told once
}

// Run works until ctx ends. Then the jobs that run are stopped and handed back,
// and Run returns nil with no process left. An error means that no work was
// possible: the working area is in use or can't be written, or lorry is
// missing.
func Run(ctx context.Context, o Options) error {
	o.setDefaults()
	transport := &http.Transport{
		Proxy: o.Proxy, TLSClientConfig: o.TLS, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: o.Jobs + 1,
		IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 10 * time.Second,
	}
	defer transport.CloseIdleConnections()
	if o.HTTP == nil {
		o.HTTP = &http.Client{Transport: transport}
	}
	area, err := openArea(o.WorkingArea)
	if err != nil {
		return err
	}
	defer area.close()
	for _, pid := range area.endStrays(ctx) {
		o.Log.Warn("the lorry of a minion that was killed was still at work in this working area, it was ended", "pid", pid)
	}
	o.WorkingArea = area.dir
	cmd, err := findCommand(ctx, o.LorryCmd, o.Env)
	if err != nil {
		return err
	}
	w := &worker{
		Options: o, command: cmd, area: area, drainPause: 5 * time.Second,
		client: &protocol.Client{Base: o.Controller, HTTP: o.HTTP, Token: o.Token},
	}
	if cmd.ours {
		// Without git, lorry itself says so with each job.
		if w.looker, err = newLooker(area.privateDir("git")); err == nil {
			defer w.looker.close()
		}
	}
	o.Log.Info("minion works", "controller", o.Controller, "name", o.Name, "jobs", o.Jobs,
		"lorry", cmd.path, "working-area", area.dir)
	running, stopRunning := drained(ctx, o.DrainTimeout)
	defer stopRunning()
	var slots sync.WaitGroup
	for range o.Jobs {
		slots.Go(func() { w.slot(ctx, running) })
	}
	slots.Wait()
	o.Log.Info("minion ended", "name", o.Name)
	return nil
}

func (o *Options) setDefaults() {
	if o.Proxy == nil {
		o.Proxy = http.ProxyFromEnvironment
	}
	if o.Name == "" {
		o.Name, _ = os.Hostname() // without a name the controller shows none
	}
	if o.Env == nil {
		o.Env = environment(os.Environ())
	}
	if o.Rand == nil {
		o.Rand = func() float64 { return 0 }
	}
	o.Jobs = max(o.Jobs, 1)
	if o.Sleep <= 0 {
		// Once, at the start, as the original does.
		o.Sleep = 30*time.Second + time.Duration(o.Rand()*float64(30*time.Second))
	}
	for _, d := range []struct {
		value     *time.Duration
		otherwise time.Duration
	}{{&o.Wait, defaultWait}, {&o.Timeout, defaultTimeout}, {&o.Tick, defaultTick}, {&o.Grace, defaultGrace}} {
		if *d.value <= 0 {
			*d.value = d.otherwise
		}
	}
}

// environment picks what lorry and the programs below it may need. Settings of
// this program, which may be secrets, are not among it.
func environment(all []string) []string {
	var picked []string
	for _, line := range all {
		name, _, _ := strings.Cut(line, "=")
		switch upper := strings.ToUpper(name); {
		case upper == "HTTP_PROXY", upper == "HTTPS_PROXY", upper == "NO_PROXY", upper == "ALL_PROXY",
			strings.HasPrefix(name, "LC_"):
		default:
			switch name {
			case "PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "LANG", "TZ",
				"SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME":
			default:
				continue
			}
		}
		picked = append(picked, line)
	}
	return picked
}

// drained gives a context for running jobs, which ends so much later than ctx.
func drained(ctx context.Context, later time.Duration) (context.Context, context.CancelFunc) {
	if later <= 0 {
		return ctx, func() {}
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unhook := context.AfterFunc(ctx, func() {
		sleep(running, later)
		cancel()
	})
	return running, func() {
		unhook()
		cancel()
	}
}

// slot runs one job after the other, or looks at several upstreams at once
// while they are as they were. No further one is asked for once ctx has
// ended; the one that runs goes on until running ends too.
func (w *worker) slot(ctx, running context.Context) {
	pause := backoff{rand: w.Rand, most: maxPause}
	most := 1
	for ctx.Err() == nil {
		answer, err := w.ask(ctx, most)
		if ctx.Err() != nil {
			return
		}
		if w.unreachable(err) {
			sleep(ctx, pause.next(err))
			continue
		}
		pause.reset()
		w.notice(answer)
		jobs := answer.All()
		switch {
		case len(jobs) > 0:
			most = w.batch(running, jobs).more(most)
		case answer.Drain:
			sleep(ctx, w.drainPause)
		case answer.Version >= 2:
			// It waited, or it is about to stop.
			sleep(ctx, time.Second/2+time.Duration(w.Rand()*float64(time.Second)))
		default:
			sleep(ctx, w.Sleep)
		}
	}
}

// ask asks for at most so many jobs.
func (w *worker) ask(ctx context.Context, most int) (protocol.Job, error) {
	ctx, cancel := context.WithTimeout(ctx, w.Wait+w.Timeout)
	defer cancel()
	w.mu.Lock()
	holds := append([]string(nil), w.holds...)
	w.mu.Unlock()
	return w.client.GiveMeJob(ctx, protocol.GiveMeJob{
		Host: w.Name, PID: os.Getpid(), Version: protocol.Version, Build: w.Build,
		Max: most, Wait: int(w.Wait / time.Second), Holds: holds, Labels: w.Labels,
		Free: w.area.free(),
	})
}

// unreachable reports whether a call failed, and tells the log when that, or the
// kind of failure, changes rather than each time.
func (w *worker) unreachable(err error) bool {
	var now core.Kind
	var known *core.Error
	hint := "see to the controller, and to what is between"
	if err != nil {
		if now = core.KindOf(err); errors.As(err, &known) && known.Hint != "" {
			hint = known.Hint
		}
	}
	w.mu.Lock()
	was := w.away
	w.away = now
	w.mu.Unlock()
	switch {
	case err != nil && was != now:
		w.Log.Warn("controller does not answer as it should, trying again until it does", "error", err, "hint", hint)
	case err != nil:
		w.Log.Debug("controller still does not answer as it should", "error", err)
	case was != "":
		w.Log.Info("controller answers again")
	}
	return err != nil
}

// hold remembers that path is in the working area.
func (w *worker) hold(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := w.holds[:0]
	for _, held := range w.holds {
		if held != path {
			kept = append(kept, held)
		}
	}
	if len(kept) >= maxHolds {
		kept = kept[1:]
	}
	w.holds = append(kept, path)
}

// backoff gives growing pauses.
type backoff struct {
	rand func() float64
	most time.Duration
	last time.Duration
}

// next gives the pause after err, which may ask for a longer one.
func (b *backoff) next(err error) time.Duration {
	b.last = min(max(2*b.last, time.Second/2), b.most)
	pause := b.last/2 + time.Duration(b.rand()*float64(b.last))
	return max(pause, retryAfter(err))
}

func (b *backoff) reset() { b.last = 0 }

// sleep waits for d or for ctx's end.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
