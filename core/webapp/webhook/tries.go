package webhook

import (
	"net"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

const (
	// freeTries is how many wrong secrets may come from an address at once, and
	// perTry how long it takes until one more may.
	freeTries = 20
	perTry    = 10 * time.Second
	// maxAddresses bounds how many addresses are remembered.
	maxAddresses = 10_000
)

// tries counts wrong secrets by address.
type tries struct {
	clock core.Clock
	mu    sync.Mutex
	// until is when an address has all its tries again.
	until map[string]time.Time
}

func newTries(clock core.Clock) *tries { return &tries{clock: clock, until: map[string]time.Time{}} }

func addressOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	return remote
}

// failed records a wrong secret, and gives how long the address has to wait
// because of those before.
func (t *tries) failed(remote string) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, address := t.clock(), addressOf(remote)
	until := later(t.until[address], now)
	if wait := until.Sub(now) - (freeTries-1)*perTry; wait > 0 {
		return wait
	}
	if _, known := t.until[address]; !known && len(t.until) >= maxAddresses {
		clear(t.until)
	}
	t.until[address] = until.Add(perTry)
	return 0
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
