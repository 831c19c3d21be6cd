package statedb_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// Whatever admins, minions, CONFGIT and another process do, what is remembered
// of running jobs is what the file says.
func TestWhatIsRememberedOfRunningJobsIsTrue(t *testing.T) {
	t.Parallel()
	url, clock := sqliteFile(t), statedbtest.NewClock()
	here, there := statedbtest.Open(t, url, clock), statedbtest.Open(t, url, clock)
	remembered := 0
	rapid.Check(t, func(rt *rapid.T) {
		l := livesUse{rt, t.Context(), clock}
		if err := l.put(here); err != nil {
			rt.Fatal(err)
		}
		for range rapid.IntRange(1, 60).Draw(rt, "steps") {
			db := here
			if rapid.IntRange(0, 9).Draw(rt, "process") == 0 {
				db = there
			}
			l.step(db)
			n, err := statedb.KnownLives(t.Context(), here)
			if err != nil {
				rt.Fatal(err)
			}
			remembered += n
			l.compare(here)
		}
	})
	if remembered == 0 {
		t.Error("nothing was ever remembered")
	}
}

type livesUse struct {
	*rapid.T
	ctx   context.Context
	clock *statedbtest.Clock
}

func (l *livesUse) path() string {
	return rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(l.T, "path")
}

// put adds a Lorry, or gives one that is there another interval.
func (l *livesUse) put(db *statedb.DB) error {
	lorry := statedbtest.NewLorry(l.path())
	lorry.Interval = time.Duration(rapid.IntRange(1, 9).Draw(l.T, "hours")) * time.Hour
	return db.PutLorries(l.ctx, []core.Lorry{lorry})
}

// jobs are those that run.
func (l *livesUse) jobs(db *statedb.DB) []core.JobID {
	all, err := queue.New(queue.Options{Store: db}).Jobs(l.ctx, queue.JobFilter{Running: true})
	if err != nil {
		l.Fatal(err)
	}
	ids := []core.JobID{}
	for _, j := range all {
		ids = append(ids, j.ID)
	}
	slices.Sort(ids)
	return ids
}

// step does something, which may be refused.
func (l *livesUse) step(db *statedb.DB) {
	q := queue.New(queue.Options{Store: db, Clock: l.clock.Now})
	job := rapid.SampledFrom(append(l.jobs(db), 1)).Draw(l.T, "job")
	report := queue.UpdateParams{Job: job, Output: "some\n", Exit: "0", DiskUsage: 7, Progress: &core.Progress{Phase: "sending", Done: 3}}
	report.Done = rapid.Bool().Draw(l.T, "done")
	claim := func() error { _, err := q.Claim(l.ctx, queue.ClaimParams{Minion: "m", PID: 9, Max: 3}); return err }
	update := func() error { _, err := q.Update(l.ctx, []queue.UpdateParams{report}); return err }
	bury := func() error { _, err := q.BuryGhosts(l.ctx); return err }
	steps := []func() error{
		claim, claim, update, update, update, bury,
		func() error { l.clock.Advance(30 * time.Minute); return nil },
		func() error { return q.StopJob(l.ctx, job) },
		func() error { return q.HoldLorry(l.ctx, l.path(), "why") },
		func() error { return q.ResumeLorry(l.ctx, l.path()) },
		func() error { return q.Retry(l.ctx, l.path()) },
		func() error { return q.MoveToTop(l.ctx, l.path()) },
		func() error { return q.AppendOutput(l.ctx, job, "more\n") },
		func() error { return q.Rebase(l.ctx) },
		func() error { return l.put(db) },
		func() error { return db.RemoveLorries(l.ctx, []string{l.path()}) },
		func() error { return l.undone(db, q, report) },
	}
	err := steps[rapid.IntRange(0, len(steps)-1).Draw(l.T, "step")]()
	if kind, ok := errors.AsType[*core.Error](err); err != nil && (!ok || kind.Kind == core.KindInternal || kind.Kind == core.KindUnavailable) {
		l.Fatal(err)
	}
}

// undone starts what is due and reports, in a transaction that then fails.
func (l *livesUse) undone(db *statedb.DB, q *queue.Queue, p queue.UpdateParams) error {
	return db.Write(l.ctx, func(ctx context.Context, tx queue.Tx) error {
		_, ready, err := tx.Gate(ctx, queue.ReadyParams{Now: l.clock.Now(), Limit: 3})
		if err != nil {
			return err
		}
		var jobs []core.Job
		for _, r := range ready {
			jobs = append(jobs, core.Job{Path: r.Path, Fence: r.Fence + 1, Minion: "m", Started: l.clock.Now()})
		}
		if _, err := tx.StartJobs(ctx, jobs); err != nil {
			return err
		}
		live, err := tx.Live(ctx, []core.JobID{p.Job})
		for _, v := range live {
			v.Job.DiskUsage++
			err = errors.Join(err, tx.Report(ctx, []queue.Report{{Job: v.Job, KillReason: core.FailKilled}}))
		}
		return errors.Join(err, core.Errorf(core.KindConflict, "this is not to be"))
	})
}

func (l *livesUse) compare(db *statedb.DB) {
	known, read, err := statedb.Lives(l.ctx, db, l.jobs(db))
	if err != nil {
		l.Fatal(err)
	}
	if diff := cmp.Diff(read, known, cmpopts.EquateEmpty()); diff != "" {
		l.Fatalf("the file and what is remembered (-want +got):\n%s", diff)
	}
}
