package events_test

import (
	"path/filepath"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
	"github.com/lorry-controller/lorry-controller/core/webapp/events"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

// twoCores gives two run queues on one STATEDB, as two cores have, and a world
// that listens to the first of them.
func twoCores(t *testing.T, url func(t testing.TB) string) (w *world, other *queue.Queue) {
	t.Helper()
	clock := statedbtest.NewClock()
	at := url(t)
	open := func() *queue.Queue {
		return queue.New(queue.Options{Store: statedbtest.Open(t, at, clock), Clock: clock.Now})
	}
	db := statedbtest.Open(t, at, clock)
	if err := db.PutLorries(t.Context(), []core.Lorry{statedbtest.NewLorry("a"), statedbtest.NewLorry("b")}); err != nil {
		t.Fatal(err)
	}
	mine := open()
	w = newWorld(t, func(o *events.Options) { o.Source, o.Clock, o.Log = mine, clock.Now, hclog.NewNullLogger() })
	return w, open()
}

// TestWhatAnotherCoreDoesIsTold runs both streams on one core while the jobs
// are another one's.
func TestWhatAnotherCoreDoesIsTold(t *testing.T) {
	t.Parallel()
	servers := pgtest.New(t)
	for name, url := range map[string]func(t testing.TB) string{
		"SQLite":     func(t testing.TB) string { return filepath.Join(t.TempDir(), "state.db") },
		"PostgreSQL": func(t testing.TB) string { return servers.Prepared(t, func(string) error { return nil }) },
	} {
		t.Run(name, func(t *testing.T) {
			w, other := twoCores(t, url)
			body, _ := w.open("/events")
			w.next(body)
			claimed, err := other.Claim(t.Context(), queue.ClaimParams{Minion: "m", Max: 1})
			if err != nil || len(claimed) != 1 {
				t.Fatal(claimed, err)
			}
			w.await(body, "job", `"path":"a","minion":"m","state":"running"`)
			output, _ := w.open("/job/1?follow=1")
			update := func(u queue.UpdateParams) {
				t.Helper()
				u.Job, u.Fence = claimed[0].Job.ID, claimed[0].Job.Fence
				if _, err := other.Update(t.Context(), []queue.UpdateParams{u}); err != nil {
					t.Fatal(err)
				}
			}
			update(queue.UpdateParams{Output: "one\n"})
			if line, err := output.ReadString('\n'); err != nil || line != "one\n" {
				t.Fatalf("%q %v", line, err)
			}
			update(queue.UpdateParams{Output: "two\n", Done: true, Exit: "0"})
			if rest := w.all(output); rest != "two\n" {
				t.Errorf("want the rest, got %q", rest)
			}
			w.await(body, "job", `"state":"succeeded"`)
			w.await(body, "lorry", `"path":"a","state":"ok"`)
			if err := other.HoldLorry(t.Context(), "b", "moving"); err != nil {
				t.Fatal(err)
			}
			w.await(body, "lorry", `"held_reason":"moving"`)
			// Both ends before the databases, which the handlers read.
			w.hub.Drain()
			w.server.Close()
			w.hub.Close()
		})
	}
}
