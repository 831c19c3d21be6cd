package statedb_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

func TestAMutePostgreSQLEndsEveryCallAndIsFoundAgain(t *testing.T) {
	t.Parallel()
	dsn, proxy := pgtest.Before(t, postgres(t))
	db, err := statedb.Open(t.Context(), statedb.Options{URL: dsn, Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		proxy.Close() // pgx waits a while for connections that it gave up
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	q := queue.New(queue.Options{Store: db})
	if _, err := q.Status(t.Context()); err != nil {
		t.Fatal(err)
	}
	proxy.Mute(true)
	// Without a deadline of their own these would wait for ever.
	ctx := context.Background()
	calls := map[string]func() error{
		"read":  func() error { _, err := q.Status(ctx); return err },
		"write": func() error { return q.SetRunning(ctx, false) },
		"claim": func() error { _, err := q.Claim(ctx, queue.ClaimParams{Minion: "m"}); return err },
		"lead":  func() error { _, _, err := db.TryLead(ctx, "one", time.Minute); return err },
		"ping":  func() error { return db.Ping(ctx) },
	}
	var wg sync.WaitGroup
	for name, call := range calls {
		wg.Go(func() {
			if err := call(); err == nil || core.KindOf(err) != core.KindUnavailable {
				t.Errorf("%s: want an unavailable database, got %v", name, err)
			}
		})
	}
	wg.Wait()
	proxy.Mute(false)
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := errors.Join(db.Ping(ctx), q.SetRunning(ctx, true))
		if err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("it is not found again: %v", err)
		}
	}
}
