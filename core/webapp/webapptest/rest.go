package webapptest

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

// Clock is a clock that moves when it is told to.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock makes a clock that stands at a fixed time.
func NewClock() *Clock {
	return &Clock{now: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
}

// Now is a core.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Add moves the clock.
func (c *Clock) Add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// Preparer prepares every Lorry at once, through functions where a test sets
// them.
type Preparer struct {
	// OnPrepare, when set, answers Prepare.
	OnPrepare func(ctx context.Context, lorry core.LorryState) (minions.Prepared, error)
	// OnPushed, when set, answers Pushed.
	OnPushed func(ctx context.Context, lorry core.LorryState, head string) error
}

// Prepare implements minions.Preparer.
func (p *Preparer) Prepare(ctx context.Context, lorry core.LorryState) (minions.Prepared, error) {
	if p.OnPrepare != nil {
		return p.OnPrepare(ctx, lorry)
	}
	return minions.Prepared{Push: core.Access{URL: "https://git.example.com/" + lorry.Path + ".git"}}, nil
}

// Pushed implements minions.Preparer.
func (p *Preparer) Pushed(ctx context.Context, lorry core.LorryState, head string) error {
	if p.OnPushed != nil {
		return p.OnPushed(ctx, lorry, head)
	}
	return nil
}

// Configuration is a CONFGIT that answers through functions where a test sets
// them, and otherwise that all is well.
type Configuration struct {
	OnRead func(ctx context.Context) ([]core.Problem, error)
	OnList func(ctx context.Context, all bool) ([]string, error)
	// Known are the Upstream Hosts that ListHost finds.
	Known []string
	// OnApprove, when set, answers ApprovePurge.
	OnApprove func(ctx context.Context, host string) error
}

// ApprovePurge implements api.Configuration.
func (c *Configuration) ApprovePurge(ctx context.Context, host string) error {
	if c.OnApprove != nil {
		return c.OnApprove(ctx, host)
	}
	return nil
}

// ReadConfiguration implements api.Configuration.
func (c *Configuration) ReadConfiguration(ctx context.Context) ([]core.Problem, error) {
	if c.OnRead != nil {
		return c.OnRead(ctx)
	}
	return nil, nil
}

// ListHosts implements api.Configuration.
func (c *Configuration) ListHosts(ctx context.Context, all bool) ([]string, error) {
	if c.OnList != nil {
		return c.OnList(ctx, all)
	}
	return nil, nil
}

// ListHost implements api.Configuration.
func (c *Configuration) ListHost(_ context.Context, name string) ([]string, error) {
	if !slices.Contains(c.Known, name) {
		return nil, core.Errorf(core.KindNotFound, "no Upstream Host %q in CONFGIT", name)
	}
	return []string{name}, nil
}
