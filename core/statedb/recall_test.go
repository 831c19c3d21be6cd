package statedb_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

// recallUse is one PostgreSQL database with two cores, and a third one that knows
// of no job before it is asked.
type recallUse struct {
	*testing.T
	clock              *statedbtest.Clock
	here, there, fresh *queue.Queue
	store              *statedb.DB
}

func newRecallUse(t *testing.T) *recallUse {
	t.Helper()
	url, clock := postgres(t), statedbtest.NewClock()
	open := func() (*statedb.DB, *queue.Queue) {
		db := statedbtest.Open(t, url, clock)
		return db, queue.New(queue.Options{Store: db, Clock: clock.Now, Rand: func() float64 { return 0 }})
	}
	u := &recallUse{T: t, clock: clock}
	_, u.here = open()
	u.store, u.there = open()
	_, u.fresh = open()
	return u
}

func (u *recallUse) ok(err error) {
	u.Helper()
	if err != nil {
		u.Fatal(err)
	}
}

// run has a core claim a new Lorry, lets something happen to it elsewhere, and
// has a core report an end; it gives what became of it.
func (u *recallUse) run(path string, reporter *queue.Queue, happens func(c queue.Claimed)) (queue.UpdateResult, core.LorryState, core.Job) {
	u.Helper()
	ctx := u.Context()
	u.ok(u.store.PutLorries(ctx, []core.Lorry{statedbtest.NewLorry(path)}))
	got, err := u.here.Claim(ctx, queue.ClaimParams{Minion: "m", PID: 7})
	u.ok(err)
	if len(got) != 1 || got[0].Path != path {
		u.Fatalf("claimed %v", got)
	}
	c := got[0]
	u.clock.Advance(time.Minute)
	happens(c)
	rs, err := reporter.Update(ctx, []queue.UpdateParams{{
		Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "1", Output: "the end\n", DiskUsage: 5, Failure: core.Failure{Kind: core.FailKilled, Cause: "signal"},
	}})
	u.ok(err)
	job, err := u.store.Jobs(ctx, queue.JobFilter{Path: path})
	u.ok(err)
	if len(job) != 1 {
		u.Fatalf("jobs %v", job)
	}
	lorry, err := u.store.Lorry(ctx, path)
	if core.KindOf(err) != core.KindNotFound {
		u.ok(err)
	}
	if err == nil { // out of the way of the next
		u.ok(u.here.HoldLorry(ctx, path, "done"))
	}
	return rs[0], lorry, job[0]
}

// Whatever happens to a running job and its Lorry elsewhere, a core that
// remembers them decides as one that reads them.
func TestWhatIsRememberedDecidesNothingThatHasChanged(t *testing.T) {
	t.Parallel()
	u := newRecallUse(t)
	ctx := t.Context()
	report := func(q *queue.Queue, c queue.Claimed, p queue.UpdateParams) {
		p.Job, p.Fence = c.Job.ID, c.Job.Fence
		_, err := q.Update(ctx, []queue.UpdateParams{p})
		u.ok(err)
	}
	for name, happens := range map[string]func(c queue.Claimed){
		"nothing":             func(queue.Claimed) {},
		"a report here":       func(c queue.Claimed) { report(u.here, c, queue.UpdateParams{Output: "first\n", DiskUsage: 3}) },
		"a report there":      func(c queue.Claimed) { report(u.there, c, queue.UpdateParams{Output: "first\n", DiskUsage: 3}) },
		"its end there":       func(c queue.Claimed) { report(u.there, c, queue.UpdateParams{Done: true, Exit: "0", Digest: "d"}) },
		"an admin stops it":   func(c queue.Claimed) { u.ok(u.there.StopJob(ctx, c.Job.ID)) },
		"it moves to the top": func(c queue.Claimed) { u.ok(u.there.MoveToTop(ctx, c.Path)) },
		"it is retried":       func(c queue.Claimed) { u.ok(u.there.Retry(ctx, c.Path)) },
		"all get a new lease": func(queue.Claimed) { u.ok(u.there.Rebase(ctx)) },
		"it goes":             func(c queue.Claimed) { u.ok(u.store.RemoveLorries(ctx, []string{c.Path})) },
		"its timeout changes": func(c queue.Claimed) {
			l := c.Lorry
			l.Timeout, l.Interval = time.Second, 3*time.Hour
			u.ok(u.store.PutLorries(ctx, []core.Lorry{l}))
		},
	} {
		wantResult, wantLorry, wantJob := u.run(name+"/read", u.fresh, happens)
		result, lorry, job := u.run(name+"/remembered", u.here, happens)
		same := cmp.Options{
			cmpopts.EquateApproxTime(2 * time.Minute), // the one ran a minute after the other
			cmp.FilterPath(func(p cmp.Path) bool { return p.Last().String() == ".Position" }, // a time as well
				cmp.Comparer(func(a, b int64) bool { return max(a-b, b-a) <= (2 * time.Minute).Microseconds() })),
			cmpopts.IgnoreFields(core.Lorry{}, "Path", "Text"), cmpopts.IgnoreFields(core.Job{}, "ID", "Path"),
		}
		if diff := cmp.Diff([]any{wantResult, wantLorry, wantJob}, []any{result, lorry, job}, same); diff != "" {
			t.Errorf("%s (-read +remembered):\n%s", name, diff)
		}
	}
}

// A claim, a report and an end are a round trip to the server each, while nobody
// else has changed the job; PostgreSQL may be on another machine.
func TestAClaimAndAReportTravelOnce(t *testing.T) {
	t.Parallel()
	dsn, proxy := pgtest.Before(t, postgres(t))
	clock := statedbtest.NewClock()
	db := statedbtest.Open(t, dsn+"&pool_max_conns=1", clock)
	fill(t, db, 40)
	q := queue.New(queue.Options{Store: db, Clock: clock.Now})
	var got []queue.Claimed
	claim := func(holds ...string) func() error {
		return func() error {
			some, err := q.Claim(t.Context(), queue.ClaimParams{Minion: "m", Holds: holds})
			got = append(got, some...)
			return err
		}
	}
	report := func(p queue.UpdateParams) func() error {
		return func() error {
			last := got[len(got)-1].Job
			p.Job, p.Fence = last.ID, last.Fence
			rs, err := q.Update(t.Context(), []queue.UpdateParams{p})
			if err == nil && rs[0].Stale {
				t.Error("the report is stale")
			}
			return err
		}
	}
	steps := []struct {
		name string
		do   func() error
	}{
		{"claim", claim()},
		{"heartbeat", report(queue.UpdateParams{})},
		{"output", report(queue.UpdateParams{Output: "x\n", Progress: &core.Progress{Phase: "sending"}})},
		{"end with output", report(queue.UpdateParams{Done: true, Exit: "1", Output: "x\n"})},
		{"claim by a minion that holds something", claim("\x00", "\xff", "bench/3/0000003")},
		{"end", report(queue.UpdateParams{Done: true, Exit: "0", Unchanged: true})},
	}
	for round := range 3 {
		for _, s := range steps {
			before := proxy.Turns()
			if err := s.do(); err != nil {
				t.Fatal(s.name, err)
			}
			// In the first round statements are prepared.
			if turns := proxy.Turns() - before; round > 0 && turns != 1 {
				t.Errorf("%s: want 1 round trip, got %d", s.name, turns)
			}
		}
	}
	if len(got) != 6 || got[1].Path != "bench/3/0000003" {
		t.Errorf("claimed %d: %v", len(got), got)
	}
}
