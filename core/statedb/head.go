package statedb

import (
	"sync"
	"time"
)

const (
	// headAgain is how soon the whole index is looked at again.
	headAgain = 5 * time.Second
	// headBehind is how far the head stays behind the clock: other cores'
	// clocks may be slower, and their transactions longer under way.
	headBehind = 2 * time.Minute
)

// head is where in PostgreSQL's index of the queue the Lorries begin. A claim
// takes from the front, and what it took stays there as dead entries until the
// next vacuum, a minute later: without it every claim would walk over all of
// them again. No Lorry that waits, held or not, has a place between 0 and the
// head. Places at the top are negative and looked for apart; due times are set
// to now or later, except when a shorter interval makes a Lorry overdue, which
// forgets the head here and is found by other cores after headAgain.
type head struct {
	mu   sync.Mutex
	low  place
	seen time.Time // when the whole index was looked at
	look int       // how often it was; what an earlier look found is void
}

// place is one in the order of the queue.
type place struct {
	turn int64
	path string
}

// from gives the place to begin at, and the number of the look that found it.
func (h *head) from(now time.Time) (low place, look int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if age := now.Sub(h.seen); age < 0 || age >= headAgain {
		h.low, h.seen = place{}, now
		h.look++
	}
	return h.low, h.look
}

// found records the first place at or after from's; turn 0 means none.
func (h *head) found(look int, first place, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if look != h.look {
		return
	}
	if limit := micros(now.Add(-headBehind)); first.turn == 0 || first.turn > limit {
		first = place{turn: limit}
	}
	if first.turn > h.low.turn || first.turn == h.low.turn && first.path > h.low.path {
		h.low = first
	}
}

// forget makes the next claim look at the whole index.
func (h *head) forget() {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.low, h.seen = place{}, time.Time{}
}
