package statedb_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// The environment of a test binary that is to be killed: the database, and what
// to do with it.
const (
	crashHelper = "LORRY_TEST_CRASH_STATEDB"
	crashHow    = "LORRY_TEST_CRASH_HOW"
)

// victim is what such a process calls itself to PostgreSQL.
const victim = "victim"

// crash is what the process does that is to be killed.
func crash(url string) error {
	ctx := context.Background()
	db, err := statedb.Open(ctx, statedb.Options{URL: url})
	if err != nil {
		return err
	}
	switch os.Getenv(crashHow) {
	case "work":
		return workUntilKilled(ctx, db)
	case "late":
		return lateMinion(ctx, db)
	case "lead":
		return leader(ctx, db)
	}
	return waitInTransaction(ctx, db)
}

// waitInTransaction commits one change, begins another and says so.
func waitInTransaction(ctx context.Context, db *statedb.DB) error {
	seven, nine := 7, 9
	set := func(limit *int) error {
		return db.Write(ctx, func(ctx context.Context, tx queue.Tx) error { return tx.SetMaxJobs(ctx, limit) })
	}
	if err := set(&seven); err != nil {
		return err
	}
	return db.Write(ctx, func(ctx context.Context, tx queue.Tx) error {
		if err := tx.SetMaxJobs(ctx, &nine); err != nil {
			return err
		}
		if err := tx.SetRunning(ctx, false); err != nil {
			return err
		}
		fmt.Fprintln(os.Stdout, "in transaction")
		select {}
	})
}

// workUntilKilled lets eight minions work, and says what was acknowledged.
func workUntilKilled(ctx context.Context, db *statedb.DB) error {
	q := queue.New(queue.Options{Store: db, Clock: statedbtest.NewClock().Now})
	said := make(chan string)
	failed := make(chan error)
	for m := range 8 {
		go func() {
			for {
				got, err := q.Claim(ctx, queue.ClaimParams{Minion: fmt.Sprint(m)})
				if err == nil && len(got) == 0 {
					err = fmt.Errorf("nothing is due")
				}
				if err != nil {
					failed <- err
					return
				}
				j := got[0].Job
				said <- fmt.Sprintf("claimed %d", j.ID)
				// The interval is 0: it is due again at once.
				if _, err := q.Update(ctx, []queue.UpdateParams{{Job: j.ID, Fence: j.Fence, Done: true, Exit: "0", Output: "x"}}); err != nil {
					failed <- err
					return
				}
				said <- fmt.Sprintf("ended %d", j.ID)
			}
		}()
	}
	for {
		select {
		case line := <-said:
			fmt.Fprintln(os.Stdout, line)
		case err := <-failed:
			return err
		}
	}
}

// killed starts the process, reads lines until enough says so, and kills it.
func killed(t *testing.T, url, how string, enough func(line string) bool) {
	t.Helper()
	helper := exec.CommandContext(t.Context(), os.Args[0])
	if strings.HasPrefix(url, "postgres") {
		mark := "?"
		if strings.Contains(url, "?") {
			mark = "&"
		}
		url += mark + "application_name=" + victim
	}
	helper.Env = append(os.Environ(), crashHelper+"="+url, crashHow+"="+how)
	helper.Stderr = os.Stderr
	out, err := helper.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := helper.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	dead := false
	for {
		line, err := lines.ReadString('\n')
		if err != nil { // the pipe is empty after the kill
			if !dead {
				t.Errorf("the process ended by itself: %v", err)
			}
			if err != io.EOF {
				t.Error(err)
			}
			break
		}
		if enough(strings.TrimSuffix(line, "\n")) && !dead {
			dead = true
			if err := helper.Process.Kill(); err != nil {
				t.Error(err)
			}
		}
	}
	if err := helper.Wait(); err == nil {
		t.Error("the process ended well")
	}
}

func TestAKilledCoreLeavesNothingHalfDone(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			url := d.url(t)
			killed(t, url, "wait", func(line string) bool { return line == "in transaction" })
			w := statedbtest.NewWorld(t, url)
			status, err := w.Queue.Status(w.Ctx)
			if err != nil {
				t.Fatal(err)
			}
			seven := 7
			if diff := cmp.Diff(queue.Status{Running: true, MaxJobs: &seven}, status); diff != "" {
				t.Errorf("after the crash (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAKilledCoreLosesNothingThatItAcknowledged(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			url := d.url(t)
			w := statedbtest.NewWorld(t, url)
			var lorries []core.Lorry
			for i := range 40 {
				l := statedbtest.NewLorry(fmt.Sprintf("l/%02d", i))
				l.Interval = 0
				lorries = append(lorries, l)
			}
			if err := w.DB.PutLorries(w.Ctx, lorries); err != nil {
				t.Fatal(err)
			}
			acknowledged := 0
			for round := range soak(3, 200) {
				ledger := map[core.JobID]string{}
				said := 0
				killed(t, url, "work", func(line string) bool {
					said++
					what, number, _ := strings.Cut(line, " ")
					id, err := strconv.ParseInt(number, 10, 64)
					if err != nil {
						t.Errorf("it said %q", line)
					}
					ledger[core.JobID(id)] = what
					return said == 100+37*round
				})
				acknowledged += said
				if strings.HasPrefix(url, "postgres") {
					served(t, w)
				}
				checkLedger(t, w, ledger)
			}
			t.Logf("%d answers were acknowledged and none was lost", acknowledged)
		})
	}
}

// checkLedger compares what was acknowledged with what is there, and hands back
// what the dead minions had.
func checkLedger(t *testing.T, w *statedbtest.World, ledger map[core.JobID]string) {
	t.Helper()
	for id, what := range ledger {
		j, err := w.Queue.Job(w.Ctx, id)
		if err != nil {
			t.Errorf("job %d was %s and is lost: %v", id, what, err)
			continue
		}
		if what == "ended" && j.Exit != "0" {
			t.Errorf("job %d was acknowledged as ended and has exit %q", id, j.Exit)
		}
	}
	if _, err := w.Queue.ReturnJobs(w.Ctx, ""); err != nil {
		t.Fatal(err)
	}
	status, err := w.Queue.Status(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if status.Counts.Running != 0 || status.Counts.Lorries != 40 {
		t.Errorf("after the crash there are %+v", status.Counts)
	}
}

// served waits until PostgreSQL has ended what the dead process had sent to it,
// which it may still commit.
func served(t *testing.T, w *statedbtest.World) {
	t.Helper()
	const serves = `SELECT pid::text FROM pg_stat_activity WHERE application_name = '` + victim + `' AND datname = current_database()`
	for range 1000 {
		pids, err := statedb.Texts(w.Ctx, w.DB, serves)
		if err != nil {
			t.Fatal(err)
		}
		if len(pids) == 0 {
			return
		}
		if _, err := statedb.Texts(w.Ctx, w.DB, `SELECT pg_sleep(0.01)::text`); err != nil {
			t.Fatal(err)
		}
	}
	t.Error("PostgreSQL still serves the dead process")
}
