package minions

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

const (
	// maxWait is how long a minion may wait for a job, in one request.
	maxWait = 60 * time.Second
	// maxJobs is how many jobs one request may ask for.
	maxJobs = 64
	// maxTries bounds how many jobs in a row may fail to be prepared before
	// the minion gets its answer.
	maxTries = 20
	// defaultPrepare is how long the Downstream Host may take for one job.
	defaultPrepare = time.Minute
	// pushedTimeout bounds what follows a push.
	pushedTimeout = time.Minute
	// quietest is the shortest time between two looks at the queue in one
	// request; it bounds the load of a queue that wakes us for nothing.
	quietest = 50 * time.Millisecond
	// heartbeat is how often a minion should report at least. It is also how
	// long a quiet job may take to learn that it is to be stopped.
	heartbeat = 2 * time.Second
	// claimTimeout bounds one claim.
	claimTimeout = 30 * time.Second
	// farewell bounds a statement that must be made after the client went.
	farewell = 10 * time.Second
)

// Options are what the minions' routes need.
type Options struct {
	Queue    Queue
	Preparer Preparer
	Clock    core.Clock
	Log      hclog.Logger
	// MinFree is how many bytes must be free in a minion's working area for it
	// to get a job; nil: that is not looked at.
	MinFree func() int64
	// PrepareTimeout bounds one Preparer.Prepare; 0 means a minute.
	PrepareTimeout time.Duration
}

// Minions answers the minions' routes. Drain and then Close end it.
type Minions struct {
	queue   Queue
	prepare Preparer
	clock   core.Clock
	log     hclog.Logger
	timeout time.Duration
	minFree func() int64
	known   *registry
	owed    owed

	drainOnce, abortOnce sync.Once
	draining             chan struct{} // closed: no job is given out any more
	aborted              chan struct{} // closed: what runs in the background ends now
	background           sync.WaitGroup
}

// New makes the minions' routes.
func New(o Options) *Minions {
	if o.PrepareTimeout <= 0 {
		o.PrepareTimeout = defaultPrepare
	}
	return &Minions{
		queue: o.Queue, prepare: o.Preparer, clock: o.Clock, log: o.Log, timeout: o.PrepareTimeout,
		minFree: o.MinFree, known: newRegistry(o.Queue),
		draining: make(chan struct{}), aborted: make(chan struct{}),
	}
}

// Drain ends every long poll with "nothing to do" and gives out no job any
// more. Updates are still taken. It may be called more than once.
func (m *Minions) Drain() { m.drainOnce.Do(func() { close(m.draining) }) }

// Close drains and waits for what runs in the background; when ctx ends first
// that is cancelled. No request may come any more.
func (m *Minions) Close(ctx context.Context) error {
	m.Drain()
	done := make(chan struct{})
	go func() {
		defer close(done)
		m.background.Wait()
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		m.abortOnce.Do(func() { close(m.aborted) })
		<-done
		return fmt.Errorf("some hosts were not told of a push: %w", ctx.Err())
	}
}

// whileOpen gives a context that also ends when ch is closed. The returned
// function must be called; it waits for the goroutine that watches.
func whileOpen(ctx context.Context, ch <-chan struct{}) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-ch:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		cancel()
		<-done
	}
}

// GiveMeJob answers POST and GET /1.0/give-me-job.
func (m *Minions) GiveMeJob(r *exchange.Request) (exchange.Answer, error) {
	ask := askOf(r)
	wait := min(time.Duration(max(ask.Wait, 0))*time.Second, maxWait)
	m.know(r, ask)
	jobs, err := m.next(r.Context(), ask, wait)
	if err != nil {
		return nil, err
	}
	if r.Context().Err() != nil {
		// Nobody reads the answer any more: the jobs go back at once instead
		// of waiting for the end of their lease.
		m.handBack(r.Context(), jobs, whyAway)
		return exchange.JSON(protocol.Job{}), nil
	}
	credentials := ask.Version >= 2 && MayCarryCredentials(r.Request, r.Caller)
	var answer protocol.Job
	if ask.Version >= 2 {
		answer.Version = protocol.Version
		answer.Drain = len(jobs) == 0 && m.drains(r.Context(), ask.Host)
	}
	for i, job := range jobs {
		one := m.jobAnswer(job, ask.Version >= 2, credentials)
		if ask.Version >= 2 && !credentials && hasSecret(job.prepared) {
			one.Withheld = whyWithheld(r.Caller)
			m.log.Warn("a minion got a job without its credentials", "path", job.Path, "minion", ask.Host, "from", r.Caller.From, "why", one.Withheld)
		}
		if i == 0 {
			answer = one
		}
		if ask.Max > 1 {
			answer.Jobs = append(answer.Jobs, one)
		}
	}
	return exchange.JSON(answer), nil
}

// askOf reads what a minion asks for. Numbers are read leniently: the original
// answered whatever was sent.
func askOf(r *exchange.Request) protocol.GiveMeJob {
	number := func(key string) int {
		n, err := r.Form.Int(key)
		if err != nil || n < 0 || n > 1<<31-1 {
			return 0
		}
		return int(n)
	}
	return protocol.GiveMeJob{
		Host: nameOf(clip(r.Form.Get("host")), r.Caller), PID: number("pid"), Version: number("version"), Build: r.Form.Get("build"),
		Max: min(number("max"), maxJobs), Wait: number("wait"), Holds: r.Form.All("holds"),
		Labels: r.Form.All("labels"), Free: freeOf(r),
	}
}

// nameOf is how a minion is called: as it says, and with the token that it has
// shown; or as its certificate says.
func nameOf(host string, caller auth.Caller) string {
	switch {
	case caller.Inside || !caller.Proven:
		return host
	case caller.Certificate != "":
		return caller.Certificate
	}
	return host + tokenMark(caller)
}

// tokenMark ends the name of a minion with a token.
func tokenMark(caller auth.Caller) string { return " (" + caller.Name + ")" }

// owns reports whether a job was given to this caller: one that has proven who
// it is can report on its own jobs alone.
func owns(job core.Job, caller auth.Caller) bool {
	switch {
	case caller.Inside || !caller.Proven:
		return true
	case caller.Certificate != "":
		return job.Minion == caller.Certificate
	}
	return strings.HasSuffix(job.Minion, tokenMark(caller))
}

// drains says whether a minion gets no job; doubts are logged.
func (m *Minions) drains(ctx context.Context, name string) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), registryTimeout)
	defer cancel()
	drains, err := m.queue.Drains(ctx, name)
	if err != nil {
		m.log.Warn("can't tell which minions drain", "error", err)
	}
	return drains
}

// ready is a claimed job that the Downstream Host is prepared for.
type ready struct {
	queue.Claimed
	prepared Prepared
}

// next claims and prepares jobs; none within wait is an empty answer.
func (m *Minions) next(ctx context.Context, ask protocol.GiveMeJob, wait time.Duration) ([]ready, error) {
	waiting, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	waiting, release := whileOpen(waiting, m.draining)
	defer release()
	for tries := 0; tries < maxTries; {
		select {
		case <-m.draining:
			return nil, nil
		default:
		}
		if m.drains(ctx, ask.Host) || m.short(ask) != "" {
			rest(waiting)
			return nil, nil
		}
		claimed, err := m.claim(ctx, ask)
		if err != nil {
			if ctx.Err() != nil {
				return nil, nil // the client is gone
			}
			return nil, err
		}
		if len(claimed) > 0 {
			jobs := m.prepareAll(ctx, claimed)
			if len(jobs) > 0 || ctx.Err() != nil {
				return jobs, nil
			}
			tries++
			continue
		}
		if wait <= 0 || !m.waitDue(waiting) {
			return nil, nil
		}
	}
	return nil, nil
}

// drainPause is how long a minion that drains waits for its answer at most, so
// that one which asks again at once does not do so all the time.
const drainPause = 5 * time.Second

// rest waits for drainPause, or until the wait of a request is over.
func rest(waiting context.Context) {
	pause := time.NewTimer(drainPause)
	defer pause.Stop()
	select {
	case <-pause.C:
	case <-waiting.Done():
	}
}

// claim claims jobs to its end even when the client goes away meanwhile: a
// claim that was made and not heard of would hold its Lorries for a whole lease.
func (m *Minions) claim(ctx context.Context, ask protocol.GiveMeJob) ([]queue.Claimed, error) {
	if ctx.Err() != nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	return m.queue.Claim(ctx, queue.ClaimParams{
		Minion: ask.Host, PID: ask.PID, Max: max(ask.Max, 1), Holds: ask.Holds,
	})
}

// waitDue waits until a Lorry may be due; false when the wait is over.
func (m *Minions) waitDue(ctx context.Context) bool {
	began := time.Now()
	m.queue.WaitDue(ctx)
	if left := quietest - time.Since(began); left > 0 {
		pause := time.NewTimer(left)
		defer pause.Stop()
		select {
		case <-pause.C:
		case <-ctx.Done():
		}
	}
	return ctx.Err() == nil
}

func (m *Minions) jobAnswer(job ready, modern, credentials bool) protocol.Job {
	id := job.Job.ID
	answer := protocol.Job{
		JobID: &id, Path: job.Path, Text: job.Text,
		Interval: int64(job.Interval / time.Second), LorryTimeout: int64(job.Timeout / time.Second),
		RunningJob: &id, FromHost: job.Host, FromPath: job.HostPath,
	}
	if !modern {
		return answer
	}
	lease := m.queue.Lease()
	answer.Version = protocol.Version
	answer.Fence = job.Job.Fence
	answer.Lease = int64(lease / time.Second)
	answer.Heartbeat = max(int64(min(heartbeat, lease/4)/time.Second), 1)
	if !job.prepared.Created {
		answer.Digest = job.Digest
	}
	answer.Rewrites = job.Rewrites
	answer.FileRoots = job.prepared.FileRoots
	answer.DenyPrivateAddresses, answer.AllowAddresses = job.prepared.DenyPrivate, job.prepared.Allow
	for _, held := range job.Approved {
		answer.Approved = append(answer.Approved, protocol.Approval{Ref: held.Ref, Old: held.Old, New: held.New})
	}
	answer.Fetch = access(job.prepared.Fetch, credentials)
	answer.Push = access(&job.prepared.Push, credentials)
	if answer.Push != nil {
		answer.Push.PushOptions = job.prepared.PushOptions
	}
	return answer
}

// access gives what a minion is told. One whose credential must not travel is
// left out whole: then the importer's own configuration has a say.
func access(a *core.Access, credentials bool) *protocol.Access {
	if a == nil || a.URL == "" || (!a.Secret.Empty() && !credentials) {
		return nil
	}
	return &protocol.Access{
		URL: a.URL, Username: a.Username, Secret: a.Secret.Reveal(), SecretIn: a.SecretIn,
		KnownHosts: a.KnownHosts, SkipCertificates: a.SkipCertificates, Authorities: a.Authorities,
	}
}

// hasSecret reports whether a job needs credentials.
func hasSecret(p Prepared) bool {
	return !p.Push.Secret.Empty() || p.Fetch != nil && !p.Fetch.Secret.Empty()
}

const whyAway = "The minion went away before it got this job."

// handBack returns jobs that nobody will run.
func (m *Minions) handBack(ctx context.Context, jobs []ready, why string) {
	if len(jobs) == 0 {
		return
	}
	updates := make([]queue.UpdateParams, 0, len(jobs))
	names := make([]string, 0, len(jobs))
	for _, job := range jobs {
		updates = append(updates, queue.UpdateParams{
			Job: job.Job.ID, Fence: job.Job.Fence, Done: true, Exit: "returned", Returned: true,
			Output: why + "\n",
		})
		names = append(names, job.Path)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	m.log.Info("jobs are handed back", "why", why, "paths", strings.Join(names, " "))
	if _, err := m.queue.Update(ctx, updates); err != nil {
		m.log.Error("jobs could not be handed back", "error", err)
	}
}
