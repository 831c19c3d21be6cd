package auth

import (
	"net/netip"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

const (
	// freeTries is how many wrong tokens an address may show at once.
	freeTries = 10
	// perTry is how long it takes until it may show another.
	perTry = 30 * time.Second
	// maxAddresses bounds how many addresses are remembered.
	maxAddresses = 10_000
)

// tries counts wrong tokens by address: a bucket that holds freeTries and is
// filled again with time. Its memory is bounded.
type tries struct {
	clock core.Clock
	mu    sync.Mutex
	// full is when the address may show freeTries wrong tokens again.
	full map[netip.Prefix]time.Time
}

func newTries(clock core.Clock) *tries {
	return &tries{clock: clock, full: map[netip.Prefix]time.Time{}}
}

// network is what is counted as one: an address, or the 64 bits of an IPv6
// address that one customer has to himself.
func network(ip netip.Addr) netip.Prefix {
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, _ := ip.Prefix(bits) // an address that is not valid counts as one too
	return p
}

// wait is how long an address has to wait before it may try; 0: not at all.
func (t *tries) wait(ip netip.Addr) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.left(network(ip), t.clock())
}

func (t *tries) left(n netip.Prefix, now time.Time) time.Duration {
	return max(t.full[n].Add(-(freeTries-1)*perTry).Sub(now), 0)
}

// failed records a wrong token, and gives how long the address has to wait
// because of those before.
func (t *tries) failed(ip netip.Addr) time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, n := t.clock(), network(ip)
	if wait := t.left(n, now); wait > 0 {
		return wait
	}
	if _, known := t.full[n]; !known && len(t.full) >= maxAddresses {
		t.makeRoom(now)
	}
	if t.full[n].Before(now) {
		t.full[n] = now
	}
	t.full[n] = t.full[n].Add(perTry)
	return 0
}

// makeRoom forgets addresses that may try as they like; when that is none, all
// are forgotten.
func (t *tries) makeRoom(now time.Time) {
	for n, full := range t.full {
		if !full.After(now) {
			delete(t.full, n)
		}
	}
	if len(t.full) >= maxAddresses {
		clear(t.full)
	}
}

func tooMany(wait time.Duration) error {
	return &core.Error{
		Kind: core.KindRateLimited, Fact: "too many wrong tokens came from this address",
		Hint: "wait, and then try with a token that is right", RetryAfter: wait,
	}
}
