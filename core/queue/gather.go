package queue

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

const (
	// gatherMax bounds how many callers share one transaction.
	gatherMax = 64
	// claimers and reporters are how many transactions of a kind may be under
	// way: while one commits the next is at the door, and takes all who have
	// come by then when it is let in.
	claimers, reporters = 2, 2
)

// gatherer lets requests that come while a transaction is under way share the
// next one. There is no delay and no goroutine: a caller that finds nobody at
// work does the work, and whoever is done hands it to one of those who came
// meanwhile. Who takes part is settled when the transaction has begun.
type gatherer[P, R any] struct {
	workers int
	// run handles all requests in one transaction; results are in their order.
	// take gives the requests, the same ones if it is called again; it is to be
	// called in the transaction.
	run func(ctx context.Context, take func() []P) ([]R, error)

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
	// turn says whether this caller is to do the work, or that somebody else
	// has handled its requests.
	turn chan bool
}

// do handles ps, together with those of others, and gives their results.
func (g *gatherer[P, R]) do(ctx context.Context, ps []P) ([]R, error) {
	if err := ctx.Err(); err != nil || len(ps) == 0 {
		return nil, err
	}
	me := &gathered[P, R]{ctx: ctx, ps: ps, turn: make(chan bool, 1)}
	if g.join(me) || g.wait(me) {
		defer g.handOver() // also after a panic
		g.serve(me)
	}
	return me.rs, me.err
}

// wait waits until it is my turn, or somebody else has handled my requests, or
// my time is over and nobody has begun to.
func (g *gatherer[P, R]) wait(me *gathered[P, R]) bool {
	select {
	case mine := <-me.turn:
		return mine
	case <-me.ctx.Done():
		if g.leave(me) {
			me.err = me.ctx.Err()
			return false
		}
		return <-me.turn
	}
}

// leave takes me out of those who wait, if I am still there.
func (g *gatherer[P, R]) leave(me *gathered[P, R]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	i := slices.Index(g.waiting, me)
	if i >= 0 {
		g.waiting = slices.Delete(g.waiting, i, i+1)
	}
	return i >= 0
}

// join reports whether there is a free worker, which I am then.
func (g *gatherer[P, R]) join(me *gathered[P, R]) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.working < g.workers { // then nobody waits
		g.working++
		return true
	}
	g.waiting = append(g.waiting, me)
	return false
}

// handOver lets the first of those who wait do the work.
func (g *gatherer[P, R]) handOver() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.waiting) == 0 {
		g.working--
		return
	}
	g.waiting[0].turn <- true // it has room
	g.waiting = append(g.waiting[:0], g.waiting[1:]...)
}

// others takes out the first of those who wait.
func (g *gatherer[P, R]) others(limit int) []*gathered[P, R] {
	g.mu.Lock()
	defer g.mu.Unlock()
	n := min(len(g.waiting), limit)
	some := append([]*gathered[P, R](nil), g.waiting[:n]...)
	g.waiting = append(g.waiting[:0], g.waiting[n:]...)
	return some
}

// serve handles my requests and those of others who wait by then. A panic is
// mine; to the others it is an error.
func (g *gatherer[P, R]) serve(me *gathered[P, R]) {
	var batch []*gathered[P, R]
	var ps []P
	// Others may depend on it: my going away must not end it, and the end of my
	// time only as long as I am alone.
	p := newPatience(me.ctx)
	defer p.end()
	take := func() []P {
		if batch != nil {
			return ps
		}
		batch = append([]*gathered[P, R]{me}, g.others(gatherMax-1)...)
		for _, b := range batch[1:] {
			p.extend(b.ctx)
		}
		for _, b := range batch {
			if b.err = b.ctx.Err(); b.err == nil {
				ps = append(ps, b.ps...)
			}
		}
		return ps
	}
	var rs []R
	var err error
	done := false
	defer func() {
		if !done {
			err = core.Errorf(core.KindInternal, "run queue: the transaction broke down; the core's log says where")
		}
		if batch == nil { // it was not even begun
			batch = []*gathered[P, R]{me}
		}
		answer(batch, rs, err)
	}()
	rs, err = g.run(p.ctx, take)
	done = true
}

// answer tells those of a batch what became of their requests; the first one is
// awake.
func answer[P, R any](batch []*gathered[P, R], rs []R, err error) {
	for i, b := range batch {
		if b.err == nil {
			if b.err = err; err == nil {
				b.rs, rs = rs[:len(b.ps):len(b.ps)], rs[len(b.ps):]
			}
		}
		if i > 0 {
			b.turn <- false
		}
	}
}

// patience is for how long a batch is worth its work: ctx ends, because of
// context.DeadlineExceeded, with the latest deadline of those who take part, or
// never if one of them has none.
type patience struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	until  time.Time
	timer  *time.Timer // nil: never
}

func newPatience(of context.Context) *patience {
	p := &patience{}
	p.ctx, p.cancel = context.WithCancelCause(context.WithoutCancel(of))
	if until, ends := of.Deadline(); ends {
		p.until = until
		p.timer = time.AfterFunc(time.Until(until), func() { p.cancel(context.DeadlineExceeded) })
	}
	return p
}

// extend is told of another one who takes part.
func (p *patience) extend(of context.Context) {
	if p.timer == nil {
		return
	}
	until, ends := of.Deadline()
	switch {
	case !ends:
		p.timer.Stop()
		p.timer = nil
	case until.After(p.until):
		p.until = until
		p.timer.Reset(time.Until(until))
	}
}

// end lets go of what it has.
func (p *patience) end() {
	if p.timer != nil {
		p.timer.Stop()
	}
	p.cancel(nil)
}
