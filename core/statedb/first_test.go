package statedb_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// PostgreSQL chooses by itself whose jobs start, in one statement; with an SQLite
// file it is done by the rules of package schedule. Both give the same Lorries in
// the same order, with the same numbers, whatever is at the top, overdue, held by
// an admin or held in the minion's working area.
func TestBothDatabasesChooseTheSameLorries(t *testing.T) {
	t.Parallel()
	const rounds = 30
	want, ok := choices(t, sqliteFile(t), rounds)
	got, _ := choices(t, postgres(t), rounds)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-SQLite +PostgreSQL):\n%s", diff)
	}
	if ok < rounds {
		t.Errorf("no more than %d jobs were given out", ok)
	}
}

// choices are the claims from queues that a seed makes.
func choices(t *testing.T, url string, rounds int) (all []string, given int) {
	t.Helper()
	w := statedbtest.NewWorld(t, url)
	ctx := t.Context()
	fine := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for round := range rounds {
		random := rand.New(rand.NewPCG(7, uint64(round)))
		var lorries []core.Lorry
		var due []time.Time
		for i := range 12 {
			lorries = append(lorries, statedbtest.NewLorry(fmt.Sprintf("%d/%d", round, i)))
			due = append(due, w.Clock.Now().Add(time.Duration(random.IntN(240)-200)*time.Second))
		}
		fine(w.DB.PutLorriesDue(ctx, lorries, due))
		for range random.IntN(3) {
			fine(w.Queue.MoveToTop(ctx, lorries[random.IntN(12)].Path))
			fine(w.Queue.HoldLorry(ctx, lorries[random.IntN(12)].Path, "why"))
		}
		for range 8 {
			ask := queue.ClaimParams{Minion: fmt.Sprint("m", random.IntN(9)), PID: random.IntN(99), Max: 1 + random.IntN(3)}
			for range random.IntN(4) {
				ask.Holds = append(ask.Holds, lorries[random.IntN(12)].Path)
			}
			got, err := w.Queue.Claim(ctx, ask)
			fine(err)
			for _, c := range got {
				all = append(all, fmt.Sprintf("%d: %+v %+v", round, c.Job, c.LorryState))
			}
			given += len(got)
			w.Clock.Advance(time.Duration(random.IntN(30)) * time.Second)
		}
		_, err := w.Queue.ReturnJobs(ctx, "")
		fine(err)
		var paths []string
		for _, l := range lorries {
			paths = append(paths, l.Path)
		}
		fine(w.DB.RemoveLorries(ctx, paths))
	}
	return all, given
}
