package retire_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/retire"
)

// world is a Store in memory, a host and the audit.
type world struct {
	*testing.T
	now    time.Time
	r      *retire.Retirer
	rows   map[string]retire.Retirement
	back   map[string]bool // Lorries that are there again
	fail   map[string]error
	asked  []string
	audit  []string
	during func(path string) // called while the host is asked
}

func newWorld(t *testing.T, paths ...string) *world {
	t.Helper()
	w := &world{T: t, now: time.Unix(10_000, 0), rows: map[string]retire.Retirement{}, back: map[string]bool{}, fail: map[string]error{}}
	for _, path := range paths {
		w.rows[path] = retire.Retirement{Path: path}
	}
	return w
}

func (w *world) DueRetirements(_ context.Context, now time.Time, limit int) (due []retire.Retirement, _ error) {
	for _, r := range w.rows {
		if r.Done.IsZero() && !r.Next.After(now) && !w.back[r.Path] && len(due) < limit {
			due = append(due, r)
		}
	}
	slices.SortFunc(due, func(a, b retire.Retirement) int { return cmpPaths(a.Path, b.Path) })
	return due, nil
}

func cmpPaths(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func (w *world) BeginRetirement(_ context.Context, path string, next time.Time) (bool, error) {
	r, there := w.rows[path]
	if !there || w.back[path] {
		return false, nil
	}
	r.Attempts++
	r.Next = next
	w.rows[path] = r
	return true, nil
}

func (w *world) EndRetirement(_ context.Context, r retire.Retirement) error {
	w.rows[r.Path] = r
	return nil
}

func (w *world) ForgetRetirement(_ context.Context, path string) error {
	delete(w.rows, path)
	return nil
}

func (w *world) RetireRepo(_ context.Context, path string) error {
	w.asked = append(w.asked, path)
	if w.during != nil {
		w.during(path)
	}
	return w.fail[path]
}

// round does one round and gives what the host was asked.
func (w *world) round(ctx context.Context) []string {
	w.Helper()
	w.asked = nil
	if w.r == nil {
		w.start()
	}
	if err := w.r.Round(ctx); err != nil {
		w.Fatal(err)
	}
	return w.asked
}

// start starts a core.
func (w *world) start() {
	w.r = retire.New(retire.Options{
		Store: w, Clock: func() time.Time { return w.now }, Host: func() (retire.Host, error) { return w, nil },
		Audit: func(_ context.Context, e audit.Entry) error {
			w.audit = append(w.audit, fmt.Sprintf("%s %s %s=%s", e.Action, e.Subject, e.Became, e.Result))
			return nil
		},
	})
}

func same[T any](w *world, what string, want, got T) {
	w.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		w.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestEachIsArchivedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	same(w, "asked", []string{"a", "b"}, w.round(t.Context()))
	same(w, "asked again", []string(nil), w.round(t.Context()))
	same(w, "audit", []string{"retire path=a archived=ok", "retire path=b archived=ok"}, w.audit)
	same(w, "row", retire.Retirement{Path: "a", Attempts: 1, Done: w.now}, w.rows["a"])
}

func TestOneThatIsRefusedIsTriedAgainLaterAndLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	w.fail["a"] = core.Errorf(core.KindReadOnly, "it is a mirror")
	same(w, "asked", []string{"a", "b"}, w.round(t.Context()))
	var waits []time.Duration
	for range 10 {
		waits = append(waits, w.rows["a"].Next.Sub(w.now))
		w.now = w.rows["a"].Next
		same(w, "asked", []string{"a"}, w.round(t.Context()))
	}
	const m = time.Minute
	same(w, "waits", []time.Duration{m, 2 * m, 4 * m, 8 * m, 16 * m, 32 * m, 64 * m, 128 * m, 256 * m, 360 * m}, waits)
	same(w, "audit", []string{"retire path=a =read-only", "retire path=b archived=ok"}, w.audit)
	same(w, "error", "it is a mirror", w.rows["a"].Error)
}

func TestAHostThatIsAwayEndsTheRound(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b", "c")
	w.fail["a"] = &core.Error{Kind: core.KindRateLimited, Fact: "too many requests", RetryAfter: 17 * time.Minute}
	same(w, "asked", []string{"a"}, w.round(t.Context()))
	same(w, "again after", 17*time.Minute, w.rows["a"].Next.Sub(w.now))
	delete(w.fail, "a")
	same(w, "the others", []string{"b", "c"}, w.round(t.Context()))
}

func TestAHostThatCannotArchiveIsAskedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a")
	w.fail["a"] = core.Errorf(core.KindUnsupported, "it can't")
	w.round(t.Context())
	same(w, "rows", map[string]retire.Retirement{}, w.rows)
	same(w, "audit", []string{"retire path=a left as it is=unsupported"}, w.audit)
}

func TestLorriesThatAreBackAreLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	w.during = func(string) { w.back["b"] = true } // after b was seen to be due
	same(w, "asked", []string{"a"}, w.round(t.Context()))
	w.during = func(path string) { delete(w.rows, path) } // it was revived meanwhile
	w.back = map[string]bool{}
	same(w, "asked", []string{"b"}, w.round(t.Context()))
	if w.rows["b"].Done.IsZero() {
		t.Error("nobody knows that b was archived after all")
	}
}

func TestAStopLeavesTheAttemptToTheNextCore(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "a", "b")
	ctx, stop := context.WithCancel(t.Context())
	w.during = func(string) { stop() }
	w.fail["a"] = context.Canceled
	same(w, "asked", []string{"a"}, w.round(ctx))
	same(w, "row", retire.Retirement{Path: "a", Attempts: 1, Next: w.now.Add(2 * time.Minute)}, w.rows["a"])
	same(w, "audit", []string(nil), w.audit)
	w.during, w.fail = nil, nil
	same(w, "the same core waits", []string{"b"}, w.round(t.Context()))
	w.start()
	same(w, "another one does not", []string{"a"}, w.round(t.Context()))
}
