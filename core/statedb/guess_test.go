package statedb_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

// Every column that a report reads is compared with what is remembered of it:
// when one has changed, the report reads anew before it is decided.
func TestAReportNoticesTheChangeOfEachColumn(t *testing.T) {
	t.Parallel()
	dsn, proxy := pgtest.Before(t, postgres(t))
	clock := statedbtest.NewClock()
	db := statedbtest.Open(t, dsn+"&pool_max_conns=1", clock)
	columns := strings.Fields(strings.ReplaceAll(statedb.LiveCols, ",", " "))
	fill(t, db, len(columns)+2)
	q := queue.New(queue.Options{Store: db, Clock: clock.Now})
	// turns is how many round trips a report takes after a change.
	turns := func(change string) int64 {
		t.Helper()
		got, err := q.Claim(t.Context(), queue.ClaimParams{Minion: "m"})
		if err != nil || len(got) != 1 {
			t.Fatalf("claimed %v: %v", got, err)
		}
		if change != "" {
			change = fmt.Sprintf(change, fmt.Sprintf("path = '%s'", got[0].Path))
			if err := statedb.Script(t.Context(), db, change); err != nil {
				t.Fatal(change, err)
			}
		}
		before := proxy.Turns()
		if _, err := q.Update(t.Context(), []queue.UpdateParams{{Job: got[0].Job.ID}}); err != nil {
			t.Fatal(change, err)
		}
		return proxy.Turns() - before
	}
	turns("") // statements are prepared
	if n := turns(""); n != 1 {
		t.Errorf("nothing changed: want 1 round trip, got %d", n)
	}
	tables := map[string]string{"j": "jobs", "q": "queue", "l": "lorries"}
	others := map[string]string{ // where a larger number or a longer text means nothing
		"j.progress": `'{}'`, "q.turn": "-5", "q.removed": "NOT removed",
	}
	fixed := map[string]bool{"j.id": true, "j.path": true, "j.minion": true, "j.pid": true} // while a job runs
	texts := textColumns(t, db)
	for _, c := range columns {
		table, name, _ := strings.Cut(c, ".")
		other := others[c]
		switch {
		case fixed[c]:
			continue
		case other != "":
		case texts[tables[table]+"."+name]:
			other = name + " || 'x'"
		default:
			other = name + " + 1"
		}
		if n := turns("UPDATE " + tables[table] + " SET " + name + " = " + other + " WHERE %s"); n < 2 {
			t.Errorf("the change of %s was not noticed", c)
		}
	}
}

func textColumns(t *testing.T, db *statedb.DB) map[string]bool {
	t.Helper()
	names, err := statedb.Texts(t.Context(), db, `SELECT table_name || '.' || column_name FROM information_schema.columns WHERE data_type = 'text'`)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]bool{}
	for _, n := range names {
		all[n] = true
	}
	return all
}

// locker is another program that has changed something in a transaction and not
// committed it yet.
type locker struct {
	t    *testing.T
	conn *pgx.Conn
}

func startLocker(t *testing.T, url, change string) *locker {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	l := &locker{t, conn}
	t.Cleanup(func() {
		// The test's own context has ended by now.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 10*time.Second)
		defer cancel()
		if err := conn.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	l.do("BEGIN")
	l.do(change)
	return l
}

func (l *locker) do(text string) {
	l.t.Helper()
	if _, err := l.conn.Exec(l.t.Context(), text); err != nil {
		l.t.Fatal(text, err)
	}
}

// awaited returns when somebody waits for a lock of the locker.
func (l *locker) awaited() {
	l.t.Helper()
	l.until(true, "nobody waits for it")
}

// left returns when nobody does any more.
func (l *locker) left() {
	l.t.Helper()
	l.until(false, "somebody still waits for it")
}

func (l *locker) until(want bool, otherwise string) {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		var waits bool
		err := l.conn.QueryRow(l.t.Context(), `SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid)`).Scan(&waits)
		switch {
		case err != nil:
			l.t.Fatal(err)
		case waits == want:
			return
		case time.Now().After(deadline):
			l.t.Fatal(otherwise)
		}
	}
}

// A report is under way when another transaction, which has changed the job or
// the Lorry, commits: then it is decided by what that one has made of them.
func TestWhatChangesWhileAReportIsUnderWayDecides(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change string
		report queue.UpdateParams
		want   core.LorryState
		stale  bool
	}{
		"the Lorry, at an end": {
			change: `UPDATE queue SET failures = 7, digest = 'theirs' WHERE path = 'a'`,
			report: queue.UpdateParams{Done: true, Exit: "1", Output: "the end\n"},
			want:   core.LorryState{Failures: 8, LastExit: "1", LastFailure: core.Failure{Kind: core.FailOther}},
		},
		"the job, at an end": {
			change: `UPDATE jobs SET kill_reason = 'timeout' WHERE path = 'a'`,
			report: queue.UpdateParams{Done: true, Exit: "-9"},
			want:   core.LorryState{Failures: 1, LastExit: "-9", LastFailure: core.Failure{Kind: core.FailTimeout}},
		},
		"the job, when it is handed back": {
			change: `UPDATE jobs SET kill_reason = 'killed' WHERE path = 'a'`,
			report: queue.UpdateParams{Done: true, Returned: true},
			want:   core.LorryState{LastExit: "returned", LastFailure: core.Failure{Kind: core.FailKilled}},
		},
		"the text, at an end": {
			change: `UPDATE queue SET pushed = 1893499200000000 WHERE path = 'a'`,
			report: queue.UpdateParams{Done: true, Exit: "0", Digest: "ours"},
			want:   core.LorryState{LastExit: "0"},
		},
		"the Lorry, at a heartbeat": {
			change: `UPDATE queue SET failures = 7 WHERE path = 'a'`,
			report: queue.UpdateParams{Output: "going on\n"},
			want:   core.LorryState{Failures: 7, RunningJob: 1},
		},
		"both have ended": {
			change: `WITH j AS (UPDATE jobs SET ended = 5, exit = '0') UPDATE queue SET running_job = NULL, last_exit = '0' WHERE path = 'a'`,
			report: queue.UpdateParams{Done: true, Exit: "1"},
			want:   core.LorryState{LastExit: "0"}, stale: true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, clock := postgres(t), statedbtest.NewClock()
			db := statedbtest.Open(t, url, clock)
			if err := db.PutLorries(t.Context(), []core.Lorry{statedbtest.NewLorry("a")}); err != nil {
				t.Fatal(err)
			}
			q := queue.New(queue.Options{Store: db, Clock: clock.Now})
			got, err := q.Claim(t.Context(), queue.ClaimParams{Minion: "m"})
			if err != nil || len(got) != 1 {
				t.Fatalf("claimed %v: %v", got, err)
			}
			other := startLocker(t, url, c.change)
			stale := make(chan bool)
			go func() {
				defer close(stale)
				c.report.Job, c.report.Fence = got[0].Job.ID, got[0].Job.Fence
				rs, err := q.Update(t.Context(), []queue.UpdateParams{c.report})
				if err != nil {
					t.Error(err)
					return
				}
				stale <- rs[0].Stale
			}()
			other.awaited()
			other.do("COMMIT")
			if s := <-stale; s != c.stale {
				t.Errorf("the report is stale: %t", s)
			}
			l, err := q.Lorry(t.Context(), "a")
			if err != nil {
				t.Fatal(err)
			}
			have := core.LorryState{
				RunningJob: l.RunningJob, Failures: l.Failures, LastExit: l.LastExit, Digest: l.Digest,
				LastFailure: core.Failure{Kind: l.LastFailure.Kind},
			}
			if diff := cmp.Diff(c.want, have); diff != "" {
				t.Errorf("the Lorry (-want +got):\n%s", diff)
			}
			j, err := q.Job(t.Context(), got[0].Job.ID)
			if err != nil || j.Running() != (l.RunningJob != 0) {
				t.Errorf("the Lorry runs job %d, and the job is %+v: %v", l.RunningJob, j, err)
			}
		})
	}
}
