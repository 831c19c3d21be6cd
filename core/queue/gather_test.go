package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRequestsThatComeMeanwhileShareTheNextTransaction(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var batches []int
		goOn := make(chan struct{})
		g := gatherer[int, string]{workers: 1, run: func(_ context.Context, take func() []int) ([]string, error) {
			ps := take()
			batches = append(batches, len(ps))
			<-goOn
			var rs []string
			for _, p := range ps {
				rs = append(rs, fmt.Sprint(p))
			}
			return rs, nil
		}}
		var wg sync.WaitGroup
		ask := func(ps ...int) {
			wg.Go(func() {
				rs, err := g.do(t.Context(), ps)
				var want []string
				for _, p := range ps {
					want = append(want, fmt.Sprint(p))
				}
				if diff := cmp.Diff(want, rs); diff != "" || err != nil {
					t.Errorf("%v: %v %s", ps, err, diff)
				}
			})
			synctest.Wait()
		}
		ask(1)
		for i := range 70 {
			ask(10+i, 100+i)
		}
		close(goOn)
		wg.Wait()
		if diff := cmp.Diff([]int{1, 2 * gatherMax, 2 * (70 - gatherMax)}, batches); diff != "" {
			t.Errorf("batches (-want +got):\n%s", diff)
		}
		if g.working != 0 || len(g.waiting) != 0 {
			t.Errorf("%d at work and %d waiting afterwards", g.working, len(g.waiting))
		}
	})
}

func TestAFailedTransactionFailsThoseInItAndNoOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		goOn := make(chan struct{})
		g := gatherer[int, int]{workers: 1, run: func(_ context.Context, take func() []int) ([]int, error) {
			ps := take()
			<-goOn
			if slices.Contains(ps, 2) {
				return nil, broken
			}
			return ps, nil
		}}
		errs := make([]error, 4)
		gone, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				ctx := t.Context()
				if i == 1 {
					ctx = gone
				}
				_, errs[i] = g.do(ctx, []int{i})
			})
			synctest.Wait()
		}
		leave()
		close(goOn)
		wg.Wait()
		for i, want := range []error{nil, context.Canceled, broken, broken} {
			if !errors.Is(errs[i], want) {
				t.Errorf("request %d: want %v, got %v", i, want, errs[i])
			}
		}
	})
}

// A transaction that panics is over like one that fails: the panic is of him who
// did the work, and nobody else waits for what never comes.
func TestAPanicTakesNoWorker(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		g := gatherer[int, int]{workers: 1, run: func(_ context.Context, take func() []int) ([]int, error) {
			ps := take()
			<-goOn
			if slices.Contains(ps, 0) {
				panic("broke")
			}
			return ps, nil
		}}
		var mu sync.Mutex
		panics, failures := 0, 0
		var wg sync.WaitGroup
		ask := func(n int) {
			wg.Go(func() {
				defer func() { // as a server does for each request
					mu.Lock()
					defer mu.Unlock()
					if recover() != nil {
						panics++
					}
				}()
				if _, err := g.do(t.Context(), []int{n}); err != nil {
					mu.Lock()
					defer mu.Unlock()
					if failures++; core.KindOf(err) != core.KindInternal {
						t.Error(err)
					}
				}
			})
			synctest.Wait()
		}
		ask(0)
		ask(0) // who then brings another with him
		ask(7)
		close(goOn)
		wg.Wait()
		if diff := cmp.Diff([]int{2, 1}, []int{panics, failures}); diff != "" {
			t.Errorf("panics and failures (-want +got):\n%s", diff)
		}
		if g.working != 0 || len(g.waiting) != 0 {
			t.Errorf("%d at work and %d waiting afterwards", g.working, len(g.waiting))
		}
		if rs, err := g.do(t.Context(), []int{2}); err != nil || !slices.Equal(rs, []int{2}) {
			t.Errorf("afterwards: %v %v", rs, err)
		}
	})
}

// A batch ends with the latest deadline of those who take part, and nobody waits
// beyond his own for his turn.
func TestABatchHasAsMuchTimeAsThoseInIt(t *testing.T) {
	t.Parallel()
	const second, never = time.Second, time.Duration(0)
	for _, c := range []struct {
		name   string
		others []time.Duration // the deadlines of those who come along with one of 2 s
		want   time.Duration
	}{
		{"alone", nil, 2 * second},
		{"with one who has less time", []time.Duration{second}, 2 * second},
		{"with one who has more", []time.Duration{9 * second, second}, 9 * second},
		{"with one who has any", []time.Duration{second, never}, never},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				together := make(chan struct{})
				g := gatherer[int, int]{workers: 1, run: func(ctx context.Context, take func() []int) ([]int, error) {
					<-together
					ps := take()
					if c.want == never {
						return ps, ctx.Err()
					}
					<-ctx.Done()
					return ps, context.Cause(ctx)
				}}
				var wg sync.WaitGroup
				ask := func(limit time.Duration, want error) {
					ctx, cancel := t.Context(), func() {}
					if limit != never {
						ctx, cancel = context.WithTimeout(ctx, limit)
					}
					wg.Go(func() {
						defer cancel()
						if _, err := g.do(ctx, []int{1}); !errors.Is(err, want) {
							t.Errorf("with %s: want %v, got %v", limit, want, err)
						}
					})
					synctest.Wait()
				}
				var want error
				if c.want != never {
					want = context.DeadlineExceeded
				}
				ask(2*second, want)
				for _, limit := range c.others {
					ask(limit, want)
				}
				close(together)
				wg.Wait()
				if got := time.Since(begin); got != c.want {
					t.Errorf("it ended after %s", got)
				}
			})
		})
	}
}

func TestWhoHasNoTimeLeftWaitsForNoTurn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin, goOn := time.Now(), make(chan struct{})
		g := gatherer[int, int]{workers: 1, run: func(_ context.Context, take func() []int) ([]int, error) {
			ps := take()
			<-goOn
			return ps, nil
		}}
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := g.do(t.Context(), []int{1}); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.do(short, []int{2}); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("after %s: %v", time.Since(begin), err)
		}
		close(goOn)
		wg.Wait()
		if len(g.waiting) != 0 || g.working != 0 {
			t.Errorf("%d at work and %d waiting afterwards", g.working, len(g.waiting))
		}
	})
}

func TestRequestsAreNeitherLostNorMixedUp(t *testing.T) {
	t.Parallel()
	g := gatherer[int, int]{workers: 2, run: func(_ context.Context, take func() []int) ([]int, error) {
		ps := take()
		rs := make([]int, len(ps))
		for i, p := range ps {
			rs[i] = 2 * p
		}
		return rs, nil
	}}
	var wg sync.WaitGroup
	for c := range 50 {
		wg.Go(func() {
			for i := range 200 {
				rs, err := g.do(t.Context(), []int{c*1000 + i})
				if err != nil || len(rs) != 1 || rs[0] != 2*(c*1000+i) {
					t.Errorf("got %v: %v", rs, err)
				}
			}
		})
	}
	wg.Wait()
}

// nextTurns is a Store that only knows the next due time.
type nextTurns struct {
	Store
	next  time.Time
	asked int
}

func (n *nextTurns) NextTurn(context.Context, time.Time) (time.Time, error) {
	n.asked++
	return n.next, nil
}

func TestWaitingMinionsAskOnceAndWakeWhenALorryIsDue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		store := &nextTurns{next: begin.Add(3 * time.Second)}
		q := New(Options{Store: store})
		q.waiters.foundNothing(q.waiters.generation(), begin)
		q.WaitDue(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() { q.WaitDue(t.Context()) })
		wg.Wait()
		if diff := cmp.Diff(3*time.Second, time.Since(begin)); diff != "" {
			t.Errorf("woke (-want +got):\n%s", diff)
		}
		if store.asked != 1 {
			t.Errorf("the store was asked %d times", store.asked)
		}
		// Nothing is due for long: another core may know better.
		store.next = begin.Add(time.Hour)
		now := time.Now()
		q.waiters.foundNothing(q.waiters.generation(), now)
		q.WaitDue(t.Context())
		if diff := cmp.Diff(pollEvery, time.Since(now)); diff != "" {
			t.Errorf("polled (-want +got):\n%s", diff)
		}
		// A change between the claim and the waiting is not missed.
		gen := q.waiters.generation()
		q.Wake()
		q.waiters.foundNothing(gen, time.Now())
		now = time.Now()
		q.WaitDue(t.Context())
		if time.Since(now) != 0 {
			t.Errorf("waited %s although something had changed", time.Since(now))
		}
	})
}
