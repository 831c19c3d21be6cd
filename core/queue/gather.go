package queue

import (
	"context"
	"sync"
)

const (
	// gatherMax bounds how many callers share one transaction.
	gatherMax = 64
	// claimers and reporters are how many transactions of a kind may be under
	// way. Claims wait for each other in any case; of the reports one may
	// commit while the next is being put together.
	claimers, reporters = 1, 2
)

// gatherer lets requests that come while a transaction is under way share the
// next one. There is no delay and no goroutine: a caller that finds nobody at
// work does the work, and whoever is done hands the next batch to one of those
// who came meanwhile.
type gatherer[P, R any] struct {
	workers int
	// run handles all requests in one transaction; results are in their order.
	run func(ctx context.Context, ps []P) ([]R, error)

	mu      sync.Mutex
	working int
	waiting []*gathered[P, R]
}

// gathered is one caller's requests and then their results.
type gathered[P, R any] struct {
	ctx context.Context
	ps  []P
	rs  []R
	err error
	// turn gets the batch that this caller is to handle, or nil when somebody
	// else has handled its requests.
	turn chan []*gathered[P, R]
}

// do handles ps, together with those of others, and gives their results.
func (g *gatherer[P, R]) do(ctx context.Context, ps []P) ([]R, error) {
	if err := ctx.Err(); err != nil || len(ps) == 0 {
		return nil, err
	}
	me := &gathered[P, R]{ctx: ctx, ps: ps, turn: make(chan []*gathered[P, R], 1)}
	batch := g.join(me)
	if batch == nil {
		batch = <-me.turn
	}
	if batch != nil {
		g.serve(batch) //nolint:contextcheck // each of the batch has its own
		g.handOver()
	}
	return me.rs, me.err
}

// join gives me a batch to handle when there is a free worker.
func (g *gatherer[P, R]) join(me *gathered[P, R]) []*gathered[P, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.working < g.workers { // then nobody waits
		g.working++
		return []*gathered[P, R]{me}
	}
	g.waiting = append(g.waiting, me)
	return nil
}

// handOver gives the next batch to the first of its callers.
func (g *gatherer[P, R]) handOver() {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), gatherMax)
	if n == 0 {
		g.working--
		return
	}
	batch := append([]*gathered[P, R](nil), g.waiting[:n]...)
	g.waiting = append(g.waiting[:0], g.waiting[n:]...)
	batch[0].turn <- batch
}

// serve handles a batch, the first of which is the caller's own.
func (g *gatherer[P, R]) serve(batch []*gathered[P, R]) {
	var ps []P
	for _, b := range batch {
		if b.err = b.ctx.Err(); b.err == nil {
			ps = append(ps, b.ps...)
		}
	}
	var rs []R
	var err error
	if len(ps) > 0 {
		// Others depend on it: the first caller's going away must not end it.
		rs, err = g.run(context.WithoutCancel(batch[0].ctx), ps)
	}
	for i, b := range batch {
		if b.err == nil {
			if b.err = err; err == nil {
				b.rs, rs = rs[:len(b.ps):len(b.ps)], rs[len(b.ps):]
			}
		}
		if i > 0 {
			b.turn <- nil
		}
	}
}
