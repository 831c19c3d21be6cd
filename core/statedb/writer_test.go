package statedb_test

import (
	"context"
	"errors"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// A request that waits for another one may be given up; one that was begun is
// not. What breaks down does so for its own caller, and the others of its
// transaction go on.
func TestOneRequestDoesNotHarmAnother(t *testing.T) {
	t.Parallel()
	db := statedbtest.Open(t, sqliteFile(t), statedbtest.NewClock())
	set := func(ctx context.Context, limit int, before func()) (broke any, err error) {
		defer func() { broke = recover() }()
		return nil, db.Write(ctx, func(ctx context.Context, tx queue.Tx) error {
			if err := tx.SetMaxJobs(ctx, &limit); err != nil {
				return err
			}
			before()
			return nil
		})
	}
	begun, goOn := make(chan struct{}), make(chan struct{})
	type result struct {
		broke any
		err   error
	}
	run := func(ctx context.Context, limit int, before func()) chan result {
		done := make(chan result, 1)
		go func() {
			broke, err := set(ctx, limit, before)
			done <- result{broke, err}
		}()
		return done
	}
	first := run(t.Context(), 1, func() { close(begun); <-goOn })
	<-begun
	waiting, giveUp := context.WithCancel(t.Context())
	second := run(waiting, 2, func() { t.Error("what was given up was done") })
	giveUp()
	if r := <-second; !errors.Is(r.err, context.Canceled) {
		t.Errorf("given up: %v", r)
	}
	breaks := run(t.Context(), 3, func() { panic("out of order") })
	last := run(t.Context(), 4, func() {})
	close(goOn)
	if r := <-breaks; r.broke == nil {
		t.Error("its caller was not told that it broke down")
	}
	for name, done := range map[string]chan result{"first": first, "last": last} {
		if r := <-done; r.broke != nil || r.err != nil {
			t.Errorf("%s: %v", name, r)
		}
	}
	if broke, err := set(t.Context(), 5, func() { panic("alone") }); broke == nil {
		t.Errorf("alone: %v", err)
	}
	g, err := db.Gate(t.Context())
	if err != nil || g.MaxJobs == nil || *g.MaxJobs == 3 || *g.MaxJobs == 5 {
		t.Errorf("in the end: %+v %v", g, err)
	}
}
