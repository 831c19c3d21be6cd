package statedb_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// lockUse is a core with a running job of the Lorry "a", and a due Lorry "b".
type lockUse struct {
	*testing.T
	url     string
	clock   *statedbtest.Clock
	log     bytes.Buffer // to be read when nothing is under way
	queue   *queue.Queue
	running queue.Claimed
}

// newLockUse opens a PostgreSQL with further options in its URL.
func newLockUse(t *testing.T, options string, timeout time.Duration) *lockUse {
	t.Helper()
	clock := statedbtest.NewClock()
	u := &lockUse{T: t, url: postgres(t), clock: clock}
	db, err := statedb.Open(t.Context(), statedb.Options{
		URL: u.url + options, Clock: clock.Now, Timeout: timeout, Log: hclog.New(&hclog.LoggerOptions{Output: &u.log, Level: hclog.Debug}),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	u.queue = queue.New(queue.Options{Store: db, Clock: clock.Now})
	if err := db.PutLorries(t.Context(), []core.Lorry{statedbtest.NewLorry("a"), statedbtest.NewLorry("b")}); err != nil {
		t.Fatal(err)
	}
	got, err := u.queue.Claim(t.Context(), queue.ClaimParams{Minion: "m"})
	if err != nil || len(got) != 1 || got[0].Path != "a" {
		t.Fatalf("claimed %v: %v", got, err)
	}
	u.running = got[0]
	return u
}

// What a core asks for: each fails unless it did what it was asked for.
var lockAsks = map[string]func(ctx context.Context, u *lockUse) error{
	"claim": func(ctx context.Context, u *lockUse) error {
		got, err := u.queue.Claim(ctx, queue.ClaimParams{Minion: "m"})
		if err == nil && (len(got) != 1 || got[0].Path != "b") {
			u.Errorf("claimed %v", got)
		}
		return err
	},
	"report": func(ctx context.Context, u *lockUse) error {
		return u.update(ctx, queue.UpdateParams{Output: "x", Sent: 1})
	},
	"end": func(ctx context.Context, u *lockUse) error {
		return u.update(ctx, queue.UpdateParams{Done: true, Exit: "0"})
	},
	"move": func(ctx context.Context, u *lockUse) error { return u.queue.MoveToTop(ctx, "a") },
}

func (u *lockUse) update(ctx context.Context, p queue.UpdateParams) error {
	p.Job, p.Fence = u.running.Job.ID, u.running.Job.Fence
	rs, err := u.queue.Update(ctx, []queue.UpdateParams{p})
	if err == nil && rs[0].Stale {
		u.Error("the report is stale")
	}
	return err
}

// What the server ends because another transaction was in its way is tried again,
// and tells nobody.
func TestWhatAnotherTransactionEndsIsTriedAgain(t *testing.T) {
	t.Parallel()
	const serializable = "&default_transaction_isolation=serializable"
	for name, c := range map[string]struct {
		options, ask string
		first, then  string // what the other one does before, and when the core waits for it
	}{
		"a claim that can't be serialized":  {serializable, "claim", `UPDATE run_queue SET next_job = next_job`, ""},
		"a report that can't be serialized": {serializable, "report", `UPDATE jobs SET pid = 9`, ""},
		"an end that can't be serialized":   {serializable, "end", `UPDATE queue SET held = held WHERE path = 'a'`, ""},
		"a claim in a deadlock": {
			"", "claim", `INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease) VALUES (2, 'c', 1, 'm', 1, 1, 1, 1)`,
			`UPDATE run_queue SET next_job = 3`,
		},
		"an end in a deadlock": {"", "end", `UPDATE queue SET held = held WHERE path = 'a'`, `UPDATE jobs SET pid = 9`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u := newLockUse(t, c.options, 0)
			// Of two in a deadlock the server ends the one that is less patient.
			other := startLocker(t, u.url, `SET LOCAL deadlock_timeout = '1min'; `+c.first)
			done := make(chan error)
			go func() { done <- lockAsks[c.ask](t.Context(), u) }()
			other.awaited()
			if c.then != "" {
				other.do(c.then)
			}
			other.do("COMMIT")
			if err := <-done; err != nil {
				t.Error(err)
			}
			if !strings.Contains(u.log.String(), "transaction tried again") {
				t.Error("it was not tried again")
			}
		})
	}
}

// Whoever waits for a lock waits no longer than he has time. Nor does the server
// on his behalf, so that nothing has changed.
func TestALockIsNotWaitedForBeyondADeadline(t *testing.T) {
	t.Parallel()
	for ask, do := range lockAsks {
		for whose, timeout := range map[string]time.Duration{"the caller's": time.Hour, "the database's": 2 * time.Second} {
			t.Run(ask+"/"+whose, func(t *testing.T) {
				t.Parallel()
				u := newLockUse(t, "", timeout)
				ctx := t.Context()
				if whose == "the caller's" {
					short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
					defer cancel()
					ctx = short
				}
				other := startLocker(t, u.url, `UPDATE queue SET held = held WHERE path = 'a'; UPDATE run_queue SET next_job = next_job`)
				done := make(chan error, 1)
				go func() { done <- do(ctx, u) }()
				select {
				case err := <-done:
					if core.KindOf(err) != core.KindUnavailable && !errors.Is(err, context.DeadlineExceeded) {
						t.Errorf("want the end of a deadline, got %v", err)
					}
				case <-time.After(time.Minute):
					t.Error("it still waits")
				}
				other.left()
				other.do("ROLLBACK")
				// Another core, that has as much time as it needs.
				u.queue = queue.New(queue.Options{Store: statedbtest.Open(t, u.url, u.clock), Clock: u.clock.Now})
				if err := do(t.Context(), u); err != nil {
					t.Error(err)
				}
			})
		}
	}
}
