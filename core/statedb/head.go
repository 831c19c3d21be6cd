package statedb

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// headAgain is how soon the whole index is looked at again.
	headAgain = 5 * time.Second
	// headBehind is how far the head stays behind the clock: other cores'
	// clocks may be slower, and their transactions longer under way.
	headBehind = 2 * time.Minute
	// headJobs is for how many jobs a claim may walk over what was taken before
	// it looks where the queue begins.
	headJobs = 32
)

// head is where in PostgreSQL's index of the queue the Lorries begin. A claim
// takes from the front, and what it took stays there as dead entries until the
// next vacuum, a minute later: without it every claim would walk over all of
// them again. No Lorry that waits, held or not, has a place between 0 and the
// head. Places at the top are negative and looked for apart; due times are set
// to now or later, except when a shorter interval makes a Lorry overdue, or a
// job is handed back and its Lorry keeps its place: either forgets the head here
// and is found by other cores after headAgain.
type head struct {
	long atomic.Bool // the last claim found a limit, or nothing: StartFirst can't serve the next

	mu   sync.Mutex
	low  place
	seen time.Time // when the whole index was looked at
	look int       // how often it was; what an earlier look found is void
	jobs int       // that were asked for since a claim had a look
}

// place is one in the order of the queue.
type place struct {
	turn int64
	path string
}

// from gives the place to begin at for so many jobs, the number of the look that
// found it, and whether to look for a later place again.
func (h *head) from(now time.Time, jobs int) (low place, look int, again bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if age := now.Sub(h.seen); age < 0 || age >= headAgain {
		h.low, h.seen = place{}, now
		h.look++
		h.jobs = headJobs
	}
	if h.jobs += jobs; h.jobs >= headJobs {
		h.jobs, again = 0, true
	}
	return h.low, h.look, again
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
