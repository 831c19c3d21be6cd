package statedb_test

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/schedule"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// Eight clients of two cores claim, report, end, stop, hold and read one Lorry
// at the same time, while the upkeep ends jobs as lost. There is an order of all
// calls that agrees with what each was answered and with when it was made.
func TestWhatHappensToALorryIsLinearizable(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			url := d.url(t)
			dbs := []*statedb.DB{statedbtest.Open(t, url, statedbtest.NewClock())}
			dbs = append(dbs, dbs[0]) // of an SQLite file there is one core
			if statedb.IsPostgres(url) {
				dbs[1] = statedbtest.Open(t, url, statedbtest.NewClock())
			}
			calls, kinds := 0, map[string]int{}
			rounds := soak(6, 1500)
			for round := range rounds {
				h := newHistory(t, dbs, uint64(round))
				h.run(8, 40)
				if statedb.IsPostgres(url) {
					h.markContended()
				}
				if t.Failed() {
					return
				}
				for _, op := range h.ops {
					kinds[op.Input.(linearIn).kind]++
					calls++
				}
				if got := porcupine.CheckOperationsTimeout(linearModel(), h.ops, time.Minute); got != porcupine.Ok {
					t.Fatalf("round %d: the history is %s:%s", round, got, h)
				}
			}
			t.Logf("%d histories of %d calls are linearizable; %v", rounds, calls, kinds)
		})
	}
}

// history is what several clients did to one new Lorry.
type history struct {
	t      *testing.T
	path   string
	queues []*queue.Queue
	seed   uint64
	began  time.Time

	mu  sync.Mutex
	ops []porcupine.Operation
	// given are jobs that any client may report on, late ones too.
	given []linearIn
}

func newHistory(t *testing.T, dbs []*statedb.DB, seed uint64) *history {
	t.Helper()
	h := &history{t: t, path: "l", seed: seed, began: time.Now()}
	for _, db := range dbs {
		h.queues = append(h.queues, queue.New(queue.Options{
			Store: db, Clock: statedbtest.NewClock().Now, Backoff: schedule.Rules{NoBackoff: true},
			GhostTimeout: 1, // a lease is over when it begins
		}))
	}
	l := statedbtest.NewLorry(h.path)
	l.Interval = 0
	if err := dbs[0].RemoveLorries(t.Context(), []string{h.path}); err != nil {
		t.Fatal(err)
	}
	if err := dbs[0].PutLorries(t.Context(), []core.Lorry{l}); err != nil {
		t.Fatal(err)
	}
	return h
}

// run lets clients make so many calls each, and empties the queue.
func (h *history) run(clients, calls int) {
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(h.seed, uint64(c)))
			for range calls {
				if err := h.call(h.t.Context(), random, c); err != nil {
					h.t.Errorf("client %d: %v", c, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if _, err := h.queues[0].BuryGhosts(h.t.Context()); err != nil {
		h.t.Error(err)
	}
}

// markContended notes which claims that got nothing overlap with a change of the
// Lorry: with several cores a claim passes over what another transaction has
// locked, instead of waiting for it.
func (h *history) markContended() {
	for i, claim := range h.ops {
		out := claim.Output.(linearOut)
		if claim.Input.(linearIn).kind != opClaim || out.job != 0 {
			continue
		}
		for _, op := range h.ops {
			kind := op.Input.(linearIn).kind
			if kind != opClaim && kind != opRead && op.Call <= claim.Return && claim.Call <= op.Return {
				out.contended = true
			}
		}
		h.ops[i].Output = out
	}
}

// call makes one call and records it.
func (h *history) call(ctx context.Context, random *rand.Rand, client int) error {
	q := h.queues[client%len(h.queues)]
	in := h.pick(random)
	begin := time.Since(h.began)
	record := func(in linearIn, out linearOut) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Output: out, Call: int64(begin), Return: int64(time.Since(h.began))})
	}
	switch in.kind {
	case opExpire:
		buried, err := q.BuryGhosts(ctx)
		if err != nil {
			return err
		}
		for _, j := range buried {
			record(linearIn{kind: opExpire, job: j.ID}, linearOut{})
		}
		record(linearIn{kind: opQuiet}, linearOut{}) // it ends when it finds none
		return nil
	case opClaim:
		got, err := q.Claim(ctx, queue.ClaimParams{Minion: "m"})
		if err != nil {
			return err
		}
		var out linearOut
		if len(got) > 0 {
			out.job, out.fence = got[0].Job.ID, got[0].Job.Fence
			h.give(linearIn{job: out.job, fence: out.fence})
		}
		record(in, out)
		return nil
	}
	out, err := h.change(ctx, q, in)
	if err == nil {
		record(in, out)
	}
	return err
}

// change makes one call that is about a job or about the Lorry.
func (h *history) change(ctx context.Context, q *queue.Queue, in linearIn) (out linearOut, err error) {
	switch in.kind {
	case opStop:
		if err := q.StopJob(ctx, in.job); err != nil {
			out.kind = core.KindOf(err)
		}
		return out, nil
	case opHold:
		return out, q.HoldLorry(ctx, h.path, "because")
	case opResume:
		return out, q.ResumeLorry(ctx, h.path)
	case opRead:
		l, err := q.Lorry(ctx, h.path)
		out.read = linearRead{l.RunningJob, l.HeldReason != "", l.Digest, l.LastExit}
		return out, err
	}
	p := queue.UpdateParams{Job: in.job, Fence: in.fence, Output: "x"}
	if in.kind != opBeat {
		p.Done, p.Exit, p.Digest, p.Returned = true, "0", linearDigest(in.job), in.kind == opReturn
	}
	rs, err := q.Update(ctx, []queue.UpdateParams{p})
	if err == nil {
		out.stale, out.kill = rs[0].Stale, rs[0].Kill
	}
	return out, err
}

func (h *history) give(in linearIn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.given = append(h.given, in)
}

// pick draws a call: on one of the last jobs, if there are any, which may have
// ended long ago.
func (h *history) pick(random *rand.Rand) linearIn {
	kinds := []string{
		opClaim, opClaim, opClaim, opBeat, opBeat, opFinish, opFinish, opReturn, opExpire, opStop, opRead, opRead, opHold, opResume, opResume, opResume,
	}
	kind := kinds[random.IntN(len(kinds))]
	h.mu.Lock()
	defer h.mu.Unlock()
	switch kind {
	case opClaim, opExpire, opHold, opResume, opRead:
		return linearIn{kind: kind}
	}
	if len(h.given) == 0 {
		return linearIn{kind: opClaim}
	}
	in := h.given[len(h.given)-1-random.IntN(min(3, len(h.given)))]
	in.kind = kind
	return in
}

// String lists the calls in the order of their beginnings.
func (h *history) String() string {
	text := ""
	for _, op := range h.ops {
		text += "\n" + linearModel().DescribeOperation(op.Input, op.Output)
	}
	return text
}

// What must not be is seen as such: otherwise the test above could not fail.
func TestTheModelOfALorryRefusesWhatMustNotBe(t *testing.T) {
	t.Parallel()
	claim := func(job core.JobID, fence core.Fence) porcupine.Operation {
		return porcupine.Operation{Input: linearIn{kind: opClaim}, Output: linearOut{job: job, fence: fence}}
	}
	on := func(kind string, job core.JobID, fence core.Fence, out linearOut) porcupine.Operation {
		return porcupine.Operation{Input: linearIn{kind: kind, job: job, fence: fence}, Output: out}
	}
	for _, c := range []struct {
		name string
		want porcupine.CheckResult
		ops  []porcupine.Operation
	}{
		{"one after the other", porcupine.Ok, []porcupine.Operation{
			claim(1, 1), on(opBeat, 1, 1, linearOut{}), on(opFinish, 1, 1, linearOut{}), claim(2, 2),
			on(opExpire, 2, 0, linearOut{}), on(opFinish, 2, 2, linearOut{stale: true}),
		}},
		{"two live jobs", porcupine.Illegal, []porcupine.Operation{claim(1, 1), claim(2, 2)}},
		{"a fence used twice", porcupine.Illegal, []porcupine.Operation{claim(1, 1), on(opFinish, 1, 1, linearOut{}), claim(2, 1)}},
		{"a late end accepted", porcupine.Illegal, []porcupine.Operation{claim(1, 1), on(opExpire, 1, 0, linearOut{}), on(opFinish, 1, 1, linearOut{})}},
		{"an end refused", porcupine.Illegal, []porcupine.Operation{claim(1, 1), on(opFinish, 1, 1, linearOut{stale: true})}},
		{"a result lost", porcupine.Illegal, []porcupine.Operation{claim(1, 1), on(opFinish, 1, 1, linearOut{}), on(opRead, 0, 0, linearOut{})}},
		{"a kill forgotten", porcupine.Illegal, []porcupine.Operation{claim(1, 1), on(opStop, 1, 0, linearOut{}), on(opBeat, 1, 1, linearOut{})}},
		{"a held Lorry given out", porcupine.Illegal, []porcupine.Operation{on(opHold, 0, 0, linearOut{}), claim(1, 1)}},
		{"nothing given out although it is due", porcupine.Illegal, []porcupine.Operation{claim(0, 0)}},
	} {
		for i := range c.ops { // each begins after the end of the one before
			c.ops[i].Call, c.ops[i].Return = int64(2*i), int64(2*i+1)
		}
		if got := porcupine.CheckOperationsTimeout(linearModel(), c.ops, time.Minute); got != c.want {
			t.Errorf("%s: want %s, got %s", c.name, c.want, got)
		}
	}
}
