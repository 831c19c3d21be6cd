package daemon

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"
)

// A core whose database does not answer any more stops its upkeep before
// another one can have the lease, and goes on when it gets it again.
func TestLeadershipStepsDownEarly(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const ttl = 30 * time.Second
		start := time.Now()
		var renewed time.Time
		var away atomic.Bool
		term := int64(1)
		l := newLeadership(ttl, hclog.NewNullLogger(), func(ctx context.Context) (int64, bool, error) {
			if away.Load() {
				term = 3 // another one leads meanwhile
				<-ctx.Done()
				return 0, false, ctx.Err()
			}
			renewed = time.Now()
			return term, true, nil
		})
		ctx, cancel := context.WithCancel(t.Context())
		go l.run(ctx)
		leading, ok := l.leads(ctx)
		if !ok {
			t.Fatal("it does not lead")
		}
		<-time.After(5 * ttl)
		synctest.Wait()
		if again, ok := l.leads(ctx); !ok || again != leading || leading.Err() != nil {
			t.Fatal("it does not go on leading")
		}
		away.Store(true)
		<-leading.Done()
		synctest.Wait()
		if after := time.Since(renewed); after > ttl*2/3 {
			t.Errorf("it stepped down %s after its last renewal of %s", after, ttl)
		}
		if _, ok := l.leads(ctx); ok {
			t.Error("it leads still")
		}
		cancel()
		synctest.Wait()
		t.Logf("led for %s", time.Since(start))
	})
}

func TestLeadershipFollowsTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		answers := []struct {
			term int64
			ok   bool
			err  error
		}{{0, false, nil}, {1, true, nil}, {1, true, errors.New("no")}, {1, true, nil}, {0, false, nil}, {3, true, nil}}
		var asked atomic.Int64
		l := newLeadership(30*time.Second, hclog.NewNullLogger(), func(context.Context) (int64, bool, error) {
			a := answers[min(int(asked.Add(1)), len(answers))-1]
			return a.term, a.ok, a.err
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go l.run(ctx)
		var terms []int64
		for int(asked.Load()) < len(answers) {
			before := asked.Load()
			for asked.Load() == before {
				<-time.After(time.Second)
			}
			synctest.Wait()
			leading, ok := l.leads(ctx)
			switch {
			case !ok:
				terms = append(terms, 0)
			case leading.Err() != nil:
				terms = append(terms, -1)
			default:
				terms = append(terms, l.term)
			}
		}
		want := []int64{1, 1, 1, 0, 3} // the first answer was before the first look
		if len(terms) == len(want)+1 {
			terms = terms[1:]
		}
		for i, w := range want {
			if i >= len(terms) || terms[i] != w {
				t.Fatalf("want terms %v, got %v", want, terms)
			}
		}
	})
}
