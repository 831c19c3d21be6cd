package statedb_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// plans says, of each statement that runs often or could be long, by which
// indexes it goes. A primary key is table_pkey.
var plans = []struct {
	name    string
	text    string // a piece of the statement that no other has
	indexes []string
	sorts   bool // it sorts the few rows that it found
	server  bool // a file has no such statement
}{
	{name: "claim: the due Lorries", text: "q.held = ''( AND q.turn < 0| AND \\(q.turn, q.path\\) >= \\(\\$3, \\$4\\))? ORDER BY", indexes: []string{"queue_turn", "lorries_pkey"}},
	{name: "claim: the same, some hosts left out", text: "AND q.upstream_host NOT IN", indexes: []string{"queue_turn", "queue_pkey", "lorries_pkey"}, sorts: true},
	{name: "claim: running jobs by host", text: "GROUP BY upstream_host", indexes: []string{"queue_running"}},
	{name: "claim: record the job", text: "^(INSERT INTO jobs .*SELECT|UPDATE queue SET running_job = \\?)", indexes: []string{"queue_pkey"}},
	{name: "claim: mark the Lorry", text: "^UPDATE queue SET running_job = (x|\\$|\\?)", indexes: []string{"queue_pkey"}},
	{name: "report: read the job", text: "^SELECT j.id.* j.ended = 0 AND COALESCE\\(q.running_job, 0\\) = j.id", indexes: []string{"jobs_pkey", "queue_pkey", "lorries_pkey"}, sorts: true},
	{name: "report: write the job", text: "^UPDATE jobs SET updated", indexes: []string{"jobs_pkey"}},
	{name: "report: end the Lorry's turn", text: "^UPDATE queue SET running_job = NULL", indexes: []string{"queue_pkey"}},
	{name: "claim: number the jobs of the first", server: true, text: "^UPDATE run_queue SET next_job = next_job", indexes: []string{"queue_turn"}},
	{name: "claim: start the first", server: true, text: "^WITH gate AS .*chosen AS \\(SELECT path, row_number\\(\\) OVER \\(\\) AS n FROM \\(\\s*SELECT q.path FROM queue", indexes: []string{"queue_turn", "queue_pkey", "lorries_pkey"}, sorts: true},
	{name: "claim: the same, for a minion that holds some", server: true, text: "^WITH gate AS .* WHEN q.path = ANY", indexes: []string{"queue_turn", "queue_pkey", "lorries_pkey"}, sorts: true},
	{name: "report: all of it, as remembered", server: true, text: "^WITH known AS", indexes: []string{"jobs_pkey", "queue_pkey", "lorries_pkey"}},
	{name: "wait: the next due time", text: "SELECT MIN\\(turn\\) AS t FROM queue", indexes: []string{"queue_turn"}},
	{name: "explain: who is ahead", text: "queue q, queue me", indexes: []string{"queue_turn", "queue_pkey"}},
	{name: "reconcile: due times and digests of what changed", text: "UPDATE queue SET due = CASE WHEN c.moved", indexes: []string{"queue_pkey", "lorries_pkey"}},
	{name: "list-queue: a page", text: "UNION ALL\\s+SELECT \\* FROM \\(SELECT q.path", indexes: []string{"queue_turn", "queue_pkey", "lorries_pkey"}, sorts: true},
	{name: "upkeep: lost jobs", text: "lease <= \\$1", indexes: []string{"jobs_live"}, sorts: true},
	{name: "upkeep: a window of the history", text: "MAX\\(id\\), 0\\) FROM", indexes: []string{"jobs_pkey"}},
	{name: "upkeep: old jobs of the window", text: "j.unchanged AND j.ended", indexes: []string{"jobs_pkey", "jobs_path"}},
	{name: "running jobs", text: "FROM jobs j WHERE j.exit = ''", indexes: []string{"jobs_live"}, sorts: true},
	{name: "job history of a Lorry", text: "j.path = \\$1 AND j.id < \\$2", indexes: []string{"jobs_path"}},
	{name: "failed jobs", text: "j.fail_kind <> ''.*ORDER BY j.id DESC", indexes: []string{"jobs_failed"}},
}

// explained gives what explains the statements of a database, and the URL to
// open it with: what explains PostgreSQL's has those of one connection.
func explained(url string) (string, func(*testing.T, *statedb.DB) map[string]string) {
	if statedb.IsPostgres(url) {
		return url + "&pool_max_conns=1", explainPostgres
	}
	return url, explainSQLite
}

// Each statement goes by its indexes, whatever its parameters are: none reads
// all Lorries or all jobs, none sorts them.
func TestNoHotStatementReadsEverything(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			url, explain := explained(d.url(t))
			clock := statedbtest.NewClock()
			db := statedbtest.Open(t, url, clock)
			fill(t, db, 3000)
			useAll(t, db, queue.New(queue.Options{Store: db, Clock: clock.Now}), clock)
			if err := statedb.Script(t.Context(), db, "ANALYZE"); err != nil {
				t.Fatal(err)
			}
			explained := explain(t, db)
			for _, p := range plans {
				pattern := regexp.MustCompile("(?s)" + p.text)
				found := false
				for query, plan := range explained {
					if !pattern.MatchString(query) {
						continue
					}
					found = true
					checkPlan(t, p.name, plan, p.indexes, p.sorts)
				}
				if !found && (!p.server || statedb.IsPostgres(url)) {
					t.Errorf("%s: no such statement was run", p.name)
				}
			}
		})
	}
}

// Applying a change looks up what changes, and does not go through the queue: not
// even when, as far as the statistics say, no Lorry has run that could be moved.
func TestApplyingAChangeLooksUpEachLorry(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			url, explain := explained(d.url(t))
			db := statedbtest.Open(t, url, statedbtest.NewClock())
			// Of more PostgreSQL would look them up by itself.
			fillAtOnce(t, db, url, 1000)
			if err := statedb.Script(t.Context(), db, "ANALYZE"); err != nil {
				t.Fatal(err)
			}
			fill(t, db, 1000)
			found := 0
			for query, plan := range explain(t, db) {
				if !strings.Contains(query, "UPDATE queue SET d") {
					continue
				}
				found++
				checkPlan(t, "applying", plan, []string{"queue_pkey", "lorries_pkey"}, false)
				if whole := walked(plan); whole != "" {
					t.Errorf("it goes through all Lorries, by %q: %s", whole, query)
				}
			}
			if found != 1 {
				t.Errorf("want 1 statement, found %d", found)
			}
		})
	}
}

// A report looks its Lorry up by its path, also when nothing runs as far as the
// statistics say, since the index of what runs would seem shorter and is full of
// what has ended since; and when there are no statistics yet, by which a host
// would seem to have few Lorries.
func TestReportsDoNotGoThroughWhatRuns(t *testing.T) {
	t.Parallel()
	url, explain := explained(postgres(t))
	clock := statedbtest.NewClock()
	db := statedbtest.Open(t, url, clock)
	fillAtOnce(t, db, url, 1000)
	q := queue.New(queue.Options{Store: db, Clock: clock.Now})
	for _, most := range []int{1, 2, 30} {
		if n, _, err := cycle(t.Context(), q, most); n != most || err != nil {
			t.Fatalf("%d of %d: %v", n, most, err)
		}
	}
	// Of a job that is not remembered.
	if rs, err := q.Update(t.Context(), []queue.UpdateParams{{Job: 1}}); err != nil || !rs[0].Stale {
		t.Fatalf("%v: %v", rs, err)
	}
	for _, statistics := range []bool{false, true} {
		if statistics {
			if err := statedb.Script(t.Context(), db, "ANALYZE"); err != nil {
				t.Fatal(err)
			}
		}
		found := 0
		for query, plan := range explain(t, db) {
			if strings.Contains(query, "j.ended = 0") {
				found++
				if whole := walked(plan); whole != "" || strings.Contains(plan, "queue_running") {
					t.Errorf("with statistics %t it goes through what runs, by %q: %s\n%s", statistics, whole, query, plan)
				}
			}
		}
		if found < 3 {
			t.Errorf("want statements for one report as remembered, for one and for several, found %d", found)
		}
	}
}

// walked is a line of a plan that has all of an index gone through.
func walked(plan string) string {
	lines := strings.Split(plan, "\n")
	for i, line := range lines {
		byIndex := regexp.MustCompile(`Scan using \w+ on (queue|lorries)\b`).MatchString(line)
		if byIndex && (i+1 == len(lines) || !strings.Contains(lines[i+1], "Index Cond: ") || !strings.Contains(lines[i+1], "path = ")) {
			return strings.TrimSpace(line)
		}
	}
	return ""
}

var (
	wholeTable = regexp.MustCompile(`(?m)Seq Scan on (queue|lorries|jobs|job_output)|SCAN (queue|lorries|jobs|job_output|q|l|j|n|me)$`)
	sorted     = regexp.MustCompile(`(?m)^\W*(Sort|Incremental Sort)\b|USE TEMP B-TREE FOR`)
)

func checkPlan(t *testing.T, name, plan string, indexes []string, sorts bool) {
	t.Helper()
	var missing []string
	for _, i := range indexes {
		if !strings.Contains(plan, i) {
			missing = append(missing, i)
		}
	}
	t.Logf("%s\n%s", name, plan)
	if len(missing) > 0 {
		t.Errorf("%s: it does not go by %v", name, missing)
	}
	if wholeTable.MatchString(plan) {
		t.Errorf("%s: it reads a whole table", name)
	}
	if !sorts && sorted.MatchString(plan) {
		t.Errorf("%s: it sorts", name)
	}
}

// useAll calls everything whose statements are looked at.
func useAll(t *testing.T, db *statedb.DB, q *queue.Queue, clock *statedbtest.Clock) {
	t.Helper()
	ctx := t.Context()
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for round := range 4 {
		clock.Advance(2 * statedbtest.Hour)
		got, err := q.Claim(ctx, queue.ClaimParams{Minion: "m", Max: 1000})
		ok(err)
		var reports []queue.UpdateParams
		for i, c := range got[:len(got)-10] {
			p := queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: fmt.Sprint((i + round) % 2), Output: "x"}
			if i%100 != 0 {
				p.Exit = "0"
			}
			reports = append(reports, p)
		}
		_, err = q.Update(ctx, reports)
		ok(err)
	}
	many := 100
	ok(q.SetMaxJobs(ctx, &many))
	ok(q.HoldHost(ctx, "other.example.org", clock.Now().Add(time.Hour), "busy"))
	_, err := q.Claim(ctx, queue.ClaimParams{Minion: "m"})
	ok(err)
	ok(q.SetMaxJobs(ctx, nil))
	ok(q.ResumeHost(ctx, "other.example.org"))
	_, err = q.Claim(ctx, queue.ClaimParams{Minion: "m"}) // sees that there are no limits any more
	ok(err)
	one, err := q.Claim(ctx, queue.ClaimParams{Minion: "m", Holds: []string{"bench/1/0000001"}})
	ok(err)
	for _, p := range []queue.UpdateParams{{}, {Output: "x"}, {Done: true, Exit: "0"}} {
		p.Job, p.Fence = one[0].Job.ID, one[0].Job.Fence
		_, err = q.Update(ctx, []queue.UpdateParams{p})
		ok(err)
	}
	ok(q.SetMaxJobs(ctx, &many))
	ok(q.HoldHost(ctx, "other.example.org", clock.Now().Add(time.Hour), "busy"))
	_, err = q.Claim(ctx, queue.ClaimParams{Minion: "m", Max: 1000})
	ok(err)
	_, err = db.NextTurn(ctx, clock.Now())
	ok(err)
	_, err = q.Explain(ctx, "bench/0/0000000")
	ok(err)
	_, err = q.Queue(ctx, queue.Page{Limit: 100})
	ok(err)
	for _, f := range []queue.JobFilter{{Path: "bench/0/0000000", Before: 99, Limit: 10}, {Failed: true, Limit: 10}, {Running: true}, {Running: true, Limit: 10}} {
		_, err = q.Jobs(ctx, f)
		ok(err)
	}
	_, err = q.BuryGhosts(ctx)
	ok(err)
	_, err = q.RemoveOldJobs(ctx, queue.Retention{Age: 9 * statedbtest.Hour, UnchangedAge: statedbtest.Hour, PerLorry: 2})
	ok(err)
}

// explainSQLite gives the plans of all statements that were prepared.
func explainSQLite(t *testing.T, db *statedb.DB) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, query := range statedb.Prepared(db) {
		if !regexp.MustCompile(`^(SELECT|INSERT|UPDATE|DELETE|WITH)`).MatchString(query) {
			continue
		}
		lines, err := statedb.Plan(t.Context(), db, query)
		if err != nil {
			t.Fatal(query, err)
		}
		// What SQLite calls a primary key, under the other's name.
		for i, line := range lines {
			line = regexp.MustCompile(`(SEARCH|SCAN) (\w+) USING (INTEGER )?PRIMARY KEY`).ReplaceAllStringFunc(line, func(s string) string {
				table := strings.Fields(s)[1]
				if long := map[string]string{"q": "queue", "me": "queue", "l": "lorries", "j": "jobs", "n": "jobs"}[table]; long != "" {
					table = long
				}
				return strings.Replace(s, "PRIMARY KEY", "PRIMARY KEY "+table+"_pkey", 1)
			})
			lines[i] = line
		}
		all[query] = strings.Join(lines, "\n")
	}
	return all
}

// explainPostgres gives the generic plans of all statements that the one
// connection has prepared: those are the ones that run.
func explainPostgres(t *testing.T, db *statedb.DB) map[string]string {
	t.Helper()
	names, err := statedb.Texts(t.Context(), db, `SELECT name || '|' || COALESCE(array_length(parameter_types, 1), 0) || '|' || statement
		FROM pg_prepared_statements WHERE statement ~ '^(SELECT|INSERT|UPDATE|DELETE|WITH)'`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, n := range names {
		part := strings.SplitN(n, "|", 3)
		var count int
		if _, err := fmt.Sscan(part[1], &count); err != nil {
			t.Fatal(err)
		}
		execute := `"` + part[0] + `"`
		if count > 0 {
			execute += "(" + strings.Join(slices.Repeat([]string{"NULL"}, count), ", ") + ")"
		}
		lines, err := statedb.Texts(t.Context(), db, "EXPLAIN (COSTS OFF) EXECUTE "+execute)
		if err != nil {
			t.Fatal(part[2], err)
		}
		all[part[2]] = strings.Join(lines, "\n")
	}
	return all
}
