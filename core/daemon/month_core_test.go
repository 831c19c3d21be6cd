package daemon

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/telemetry"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/webapptest"
)

// simCore is a whole core, with the daemon's own wiring, chores and HTTP handler,
// but without a socket and without other processes, so that it can live by the
// clock of a synctest bubble.
type simCore struct {
	*Daemon

	cut  chan struct{} // closed when it dies: no answer arrives any more
	stop context.CancelFunc
	done sync.WaitGroup // the upkeep
	busy sync.WaitGroup // requests
}

// startSimCore starts one whose wall clock is off by so much.
func startSimCore(t *testing.T, config settings.Controller, off time.Duration) *simCore {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context())) // end stops it, when the test is over as well
	c := &simCore{
		Daemon: &Daemon{
			opts:   Options{Programs: t.TempDir(), Version: "test", Stdout: io.Discard, Stderr: io.Discard},
			config: config, log: hclog.NewNullLogger(), redactor: telemetry.NewRedactor(),
		},
		cut: make(chan struct{}), stop: stop,
	}
	c.setClock(off)
	for _, open := range []func(context.Context) error{c.openQueue, c.openAdapters, c.openConfgit, c.openFake} {
		if err := open(ctx); err != nil {
			t.Fatal(err)
		}
	}
	u := c.upkeep()
	l := newLeadership(20*leadFor, hclog.NewNullLogger(), func(ctx context.Context) (int64, bool, error) {
		return c.db.TryLead(ctx, c.leaderName, 20*leadFor)
	})
	u.lead, u.leads = l.run, l.leads
	for i, chore := range u.chores {
		switch chore.name { // nothing to do, and that very often
		case "archive old repositories", "look for what people should know", "tell people by webhook", "tell people by mail":
			u.chores[i].pace, u.chores[i].every = nil, 12*time.Hour
		}
	}
	c.done.Go(func() { u.run(ctx) })
	return c
}

// setClock sets the wall clock that the core goes by.
func (c *simCore) setClock(off time.Duration) {
	c.clock.mu.Lock()
	defer c.clock.mu.Unlock()
	c.clock.base, c.clock.at = time.Now().Add(off), time.Now()
}

// openFake opens the API in front of a Downstream Host that is always ready.
func (c *simCore) openFake(context.Context) error {
	var err error
	c.server, err = webapp.New(webapp.Options{
		Queue: c.adminQueue(), Configuration: c.confgit, Preparer: &webapptest.Preparer{}, Log: c.log, Clock: c.clock.now,
	})
	if err == nil {
		c.notifier, err = c.newNotifier()
	}
	return err
}

// end stops the core in order, or as a crash does: then whoever waits for an
// answer gets none, though what was asked for may have been done.
func (c *simCore) end(t *testing.T, crash bool) {
	t.Helper()
	ctx, late := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer late()
	if crash {
		close(c.cut)
		c.stop()
	} else {
		c.server.Drain()
		c.stop()
	}
	c.done.Wait()
	c.busy.Wait()
	if !crash {
		c.resign(ctx)
		close(c.cut)
	}
	if err := c.server.Close(ctx); err != nil {
		t.Error(err)
	}
	c.close()
}

// simNet leads to the core that runs now, if one does.
type simNet struct {
	mu   sync.Mutex
	core *simCore
}

var errNobody = errors.New("connection refused")

func (n *simNet) put(c *simCore) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.core = c
}

// client is how a minion reaches the core.
func (n *simNet) client() *protocol.Client {
	return &protocol.Client{Base: "http://127.0.0.1", HTTP: &http.Client{Transport: n}}
}

// RoundTrip implements http.RoundTripper.
func (n *simNet) RoundTrip(r *http.Request) (*http.Response, error) {
	n.mu.Lock()
	c := n.core
	if c != nil {
		c.busy.Add(1)
	}
	n.mu.Unlock()
	if c == nil {
		return nil, errNobody
	}
	ctx, cancel := context.WithCancel(r.Context())
	answered := make(chan *http.Response, 1)
	go func() {
		defer c.busy.Done()
		defer cancel()
		in := httptest.NewRequestWithContext(ctx, r.Method, r.URL.String(), r.Body)
		in.Header, in.RemoteAddr = r.Header.Clone(), "127.0.0.1:1"
		out := httptest.NewRecorder()
		c.server.Handler().ServeHTTP(out, in)
		answered <- out.Result()
	}()
	select {
	case answer := <-answered:
		return answer, nil
	case <-c.cut:
		cancel()
		return nil, errNobody
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
