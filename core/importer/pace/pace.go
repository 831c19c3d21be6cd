// Package pace ends the reading of an answer that comes so slowly that it would
// never end. It is the rule that git has for its own transfers
// (http.lowSpeedLimit, http.lowSpeedTime), for those of this process.
//
// It must not decide what that means for a job.
package pace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"
)

// ErrSlow is found by errors.Is in the cause of a context that a Watch has
// ended.
var ErrSlow = errors.New("too slow")

// Least is how many bytes a second must come on average, over how long a time.
// The zero value is 1000 over a minute.
type Least struct {
	Rate int
	Over time.Duration
}

// Of is what a program's own transfers are held to.
func Of(g interface{ LowSpeed() (int, time.Duration) }) Least {
	rate, over := g.LowSpeed()
	return Least{rate, over}
}

// Watch is one transfer. It counts from when its Reader is made.
type Watch struct {
	least  Least
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	timer   *time.Timer
	n       int64 // bytes since the timer was set
	waiting bool  // for more
	ended   bool
}

// Start gives the context for a request, which ends when the answer comes too
// slowly. Stop must follow.
func (l Least) Start(ctx context.Context) (context.Context, *Watch) {
	if l.Rate <= 0 || l.Over <= 0 {
		l = Least{1000, time.Minute}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &Watch{least: l, cancel: cancel}
}

// Reader is the body of the answer.
func (w *Watch) Reader(body io.Reader) io.Reader {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil && !w.ended {
		w.timer = time.AfterFunc(w.least.Over, w.look)
	}
	return &watched{body, w}
}

// look ends the transfer unless enough came. One whose reader has something
// else to do is not slow.
func (w *Watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.ended:
		return
	case w.waiting && w.n < int64(float64(w.least.Rate)*w.least.Over.Seconds()):
		w.cancel(fmt.Errorf("%w: less than %d bytes a second came for %v", ErrSlow, w.least.Rate, w.least.Over))
		return
	}
	w.n = 0
	w.timer.Reset(w.least.Over)
}

// Stop ends the watch, and the request if it is still running.
func (w *Watch) Stop() {
	w.end()
	w.cancel(nil)
}

func (w *Watch) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended = true; w.timer != nil {
		w.timer.Stop()
	}
}

type watched struct {
	io.Reader
	watch *Watch
}

// Read implements io.Reader.
func (r *watched) Read(p []byte) (int, error) {
	r.watch.mu.Lock()
	r.watch.waiting = true
	r.watch.mu.Unlock()
	n, err := r.Reader.Read(p)
	r.watch.mu.Lock()
	r.watch.waiting = false
	r.watch.n += int64(n)
	r.watch.mu.Unlock()
	if err != nil {
		r.watch.end()
	}
	return n, err
}
