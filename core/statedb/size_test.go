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

// Jobs come and go with their output for a long time; the database takes the
// room of what went for what comes, and does not grow.
func TestTheDatabaseDoesNotGrowWhileOldJobsGo(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			keepsItsSize(t, d.url(t))
		})
	}
}

// pagesOf counts the pages of a database. That of PostgreSQL is vacuumed first,
// as autovacuum does in time and with the settings of the tables.
func pagesOf(t *testing.T, db *statedb.DB, url string) int {
	t.Helper()
	query := `SELECT CAST(page_count AS TEXT) FROM pragma_page_count()`
	if statedb.IsPostgres(url) {
		if _, err := statedb.Texts(t.Context(), db, `VACUUM`); err != nil {
			t.Fatal(err)
		}
		query = `SELECT CAST(CAST(SUM(pg_total_relation_size(c.oid)) / 8192 AS BIGINT) AS TEXT) FROM pg_class c
			WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace`
	}
	facts, err := statedb.Texts(t.Context(), db, query)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.Atoi(facts[0])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func keepsItsSize(t *testing.T, url string) {
	t.Helper()
	clock := statedbtest.NewClock()
	db := statedbtest.Open(t, url, clock)
	fill(t, db, 200)
	q := queue.New(queue.Options{Store: db, Clock: clock.Now})
	output := strings.Repeat("a line of output\n", 60)
	pages := func() int { return pagesOf(t, db, url) }
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
	rest := func(n int) {
		if n%4 == 3 && statedb.IsPostgres(url) {
			pages() // what autovacuum does meanwhile
		}
	}
	for n := range 16 {
		round()
		rest(n)
	}
	settled := pages()
	rounds := soak(20, 2000)
	for n := range rounds {
		round()
		rest(n)
	}
	if now := pages(); now > settled+settled/10 {
		t.Errorf("after %d more jobs the database has %d pages instead of %d", rounds*200, now, settled)
	} else {
		t.Logf("%d pages, and %d after %d more jobs", settled, now, rounds*200)
	}
	left, err := q.Jobs(t.Context(), queue.JobFilter{})
	if err != nil || len(left) != 600 {
		t.Errorf("%d jobs are kept: %v", len(left), err)
	}
}
