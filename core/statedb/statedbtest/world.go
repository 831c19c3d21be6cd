package statedbtest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// Start is when the clocks of the suite begin.
var Start = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // there are no constant times

// Hour is the interval of the suite's Lorries.
const Hour = time.Hour

// Clock is a clock that a test sets.
type Clock struct {
	mu  sync.Mutex
	now time.Time
}

// NewClock makes a clock that says Start.
func NewClock() *Clock { return &Clock{now: Start} }

// Now is a core.Clock.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Advance moves the clock on.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// World is a STATEDB with a queue and a clock, for one test.
type World struct {
	*testing.T
	DB    *statedb.DB
	Queue *queue.Queue
	Clock *Clock
	Ctx   context.Context
}

// NewWorld opens the STATEDB at url. Options may be changed before the queue is
// made.
func NewWorld(t *testing.T, url string, change ...func(*queue.Options)) *World {
	t.Helper()
	clock := NewClock()
	db := Open(t, url, clock)
	o := queue.Options{Store: db, Clock: clock.Now, Rand: func() float64 { return 0 }}
	for _, c := range change {
		c(&o)
	}
	return &World{T: t, DB: db, Queue: queue.New(o), Clock: clock, Ctx: t.Context()}
}

// Open opens a STATEDB and closes it with the test.
func Open(t testing.TB, url string, clock *Clock) *statedb.DB {
	t.Helper()
	db, err := statedb.Open(context.Background(), statedb.Options{URL: url, Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close the state database: %v", err)
		}
	})
	return db
}

// NewLorry is a Lorry of the section "lorries:up" with an interval of an hour.
func NewLorry(path string) core.Lorry {
	return core.Lorry{
		Path: path, Text: `{"` + path + `": {"type": "git", "url": "https://up.example.org/` + path + `"}}`,
		Section: "lorries:up", UpstreamHost: "up.example.org", Interval: Hour, Timeout: 2 * Hour,
	}
}

// ok ends the test at an unexpected error.
func (w *World) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// kind checks that err has a kind.
func (w *World) kind(want core.Kind, err error) {
	w.Helper()
	if err == nil || core.KindOf(err) != want {
		w.Errorf("want an error of kind %q, got %v", want, err)
	}
}

// same compares.
func same[T any](w *World, what string, want, got T) {
	w.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

// put adds Lorries with NewLorry's values.
func (w *World) put(paths ...string) {
	w.Helper()
	var all []core.Lorry
	for _, p := range paths {
		all = append(all, NewLorry(p))
	}
	w.ok(w.DB.PutLorries(w.Ctx, all))
}

// claim claims as a minion named m.
func (w *World) claim(limit int) []queue.Claimed {
	w.Helper()
	got, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m", PID: 42, Max: limit})
	w.ok(err)
	return got
}

// claimOne claims one Lorry, which must be the one named.
func (w *World) claimOne(path string) queue.Claimed {
	w.Helper()
	got := w.claim(1)
	same(w, "claimed", []string{path}, paths(got))
	if w.Failed() {
		w.FailNow()
	}
	return got[0]
}

// update sends one report.
func (w *World) update(p queue.UpdateParams) queue.UpdateResult {
	w.Helper()
	rs, err := w.Queue.Update(w.Ctx, []queue.UpdateParams{p})
	w.ok(err)
	if len(rs) != 1 {
		w.Fatalf("want 1 result, got %d", len(rs))
	}
	return rs[0]
}

// finish ends a job with an exit code.
func (w *World) finish(c queue.Claimed, exit string) {
	w.Helper()
	same(w, "result", queue.UpdateResult{}, w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: exit}))
}

func (w *World) lorry(path string) core.LorryState {
	w.Helper()
	l, err := w.Queue.Lorry(w.Ctx, path)
	w.ok(err)
	return l
}

func (w *World) job(id core.JobID) core.Job {
	w.Helper()
	j, err := w.Queue.Job(w.Ctx, id)
	w.ok(err)
	return j
}

func (w *World) output(id core.JobID) string {
	w.Helper()
	s, err := w.Queue.Output(w.Ctx, id, 0, 0)
	w.ok(err)
	return s
}

// list is the paths of the whole queue in order.
func (w *World) list() []string {
	w.Helper()
	all, err := w.Queue.Queue(w.Ctx, queue.Page{})
	w.ok(err)
	var ps []string
	for _, l := range all {
		ps = append(ps, l.Path)
	}
	return ps
}

// explain is the reason why a Lorry is not running.
func (w *World) explain(path string) string {
	w.Helper()
	why, err := w.Queue.Explain(w.Ctx, path)
	w.ok(err)
	return why.Reason
}

func paths(cs []queue.Claimed) []string {
	var ps []string
	for _, c := range cs {
		ps = append(ps, c.Path)
	}
	return ps
}
