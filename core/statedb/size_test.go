package statedb_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// Jobs come and go with their output for a long time; the file takes the room
// of what went for what comes, and does not grow.
func TestTheFileDoesNotGrowWhileOldJobsGo(t *testing.T) {
	t.Parallel()
	clock := statedbtest.NewClock()
	db := statedbtest.Open(t, sqliteFile(t), clock)
	fill(t, db, 200)
	q := queue.New(queue.Options{Store: db, Clock: clock.Now})
	output := strings.Repeat("a line of output\n", 60)
	pages := func() int {
		t.Helper()
		facts, err := statedb.Texts(t.Context(), db, `SELECT CAST(page_count AS TEXT) FROM pragma_page_count()`)
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(facts[0])
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	round := func() {
		t.Helper()
		clock.Advance(2 * statedbtest.Hour)
		got, err := q.Claim(t.Context(), queue.ClaimParams{Minion: "m", Max: 200})
		if err != nil || len(got) != 200 {
			t.Fatalf("claimed %d: %v", len(got), err)
		}
		reports := make([]queue.UpdateParams, len(got))
		for i, c := range got {
			reports[i] = queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", Output: output}
		}
		if _, err := q.Update(t.Context(), reports); err != nil {
			t.Fatal(err)
		}
		if _, err := q.RemoveOldJobs(t.Context(), queue.Retention{Age: 30 * 24 * time.Hour, PerLorry: 3}); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 {
		round()
	}
	settled := pages()
	rounds := soak(20, 2000)
	for range rounds {
		round()
	}
	if now := pages(); now > settled+settled/10 {
		t.Errorf("after %d more jobs the file has %d pages instead of %d", rounds*200, now, settled)
	} else {
		t.Logf("%d pages, and %d after %d more jobs", settled, now, rounds*200)
	}
	left, err := q.Jobs(t.Context(), queue.JobFilter{})
	if err != nil || len(left) != 600 {
		t.Errorf("%d jobs are kept: %v", len(left), err)
	}
}
