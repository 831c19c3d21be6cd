// Package meter tells how far a step of an import is, in lines like those that
// git writes about its own, so that whoever shows these shows all.
//
// It must not decide who sees how much of it: only that no step tells more than
// a few lines a second.
package meter

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// every is the least time between two lines of one step.
const every = 200 * time.Millisecond

// Meter is one step. It may be used by several goroutines at once.
type Meter struct {
	out    io.Writer
	clock  core.Clock
	phase  string
	total  int64
	binary bool

	mu    sync.Mutex
	done  int64
	start time.Time
	told  time.Time
}

// Count begins a step of total things, such as revisions; 0: nobody knows how
// many. phase names it as git does: one to three words, the first of which
// alone has a capital. A nil out tells nobody.
func Count(out io.Writer, clock core.Clock, phase string, total int64) *Meter {
	if out == nil {
		out = io.Discard
	}
	if clock == nil {
		clock = time.Now
	}
	return &Meter{out: out, clock: clock, phase: phase, total: total, start: clock()}
}

// Bytes begins a step of total bytes; 0 or less: nobody knows how many.
func Bytes(out io.Writer, clock core.Clock, phase string, total int64) *Meter {
	m := Count(out, clock, phase, max(0, total))
	m.binary = true
	return m
}

// Write counts bytes.
func (m *Meter) Write(p []byte) (int, error) {
	m.Add(int64(len(p)))
	return len(p), nil
}

// Add counts more.
func (m *Meter) Add(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(m.done + n)
}

// Set says how much is done.
func (m *Meter) Set(done int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set(done)
}

func (m *Meter) set(done int64) {
	m.done = done
	now := m.clock()
	if now.Sub(m.told) < every {
		return
	}
	m.told = now
	text := fmt.Sprintf("%s: %d", m.phase, done)
	if m.total > 0 {
		text = fmt.Sprintf("%s: %3d%% (%d/%d)", m.phase, 100*min(done, m.total)/m.total, done, m.total)
	}
	if m.binary {
		text += ", " + size(done)
		if past := now.Sub(m.start); past >= every {
			text += " | " + size(int64(float64(done)/past.Seconds())) + "/s"
		}
	}
	// Nobody who watches can end an import.
	_, _ = fmt.Fprintf(m.out, "%s\r", text)
}

// size words a number of bytes as git does.
func size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.2f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.2f MiB", float64(n)/(1<<20))
	case n >= 1<<10:
		return fmt.Sprintf("%.2f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%d bytes", n)
}
