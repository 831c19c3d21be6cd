package statedb_test

import (
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// How far a job is, which is for people only, can't be read of one of two: that
// keeps nobody from either of them.
func TestAnUnreadableProgressIsNone(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		for _, odd := range []string{`{"phase"`, `[]`, `{"done": "many"}`} {
			t.Run(d.name+" "+odd, func(t *testing.T) {
				t.Parallel()
				w := statedbtest.NewWorld(t, d.url(t))
				if err := w.DB.PutLorries(w.Ctx, []core.Lorry{statedbtest.NewLorry("a"), statedbtest.NewLorry("b"), statedbtest.NewLorry("c")}); err != nil {
					t.Fatal(err)
				}
				got, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m", Max: 3})
				if err != nil || len(got) != 3 {
					t.Fatalf("claimed %v: %v", got, err)
				}
				if err := statedb.Script(w.Ctx, w.DB, `UPDATE jobs SET progress = '`+odd+`' WHERE id < 3`); err != nil {
					t.Fatal(err)
				}
				if tails, err := w.Queue.Tails(w.Ctx, []core.JobID{1, 2, 3}); err != nil || len(tails) != 3 || tails[0].Progress != nil {
					t.Errorf("how far they are: %+v, %v", tails, err)
				}
				if j, err := w.Queue.Job(w.Ctx, 1); err != nil || j.Progress != nil {
					t.Errorf("the job: %+v, %v", j, err)
				}
				p := queue.UpdateParams{Job: 1, Fence: got[0].Job.Fence, Progress: &core.Progress{Phase: "sending", Done: 3}}
				if rs, err := w.Queue.Update(w.Ctx, []queue.UpdateParams{p}); err != nil || rs[0].Stale {
					t.Errorf("a report: %v, %v", rs, err)
				}
				if j, err := w.Queue.Job(w.Ctx, 1); err != nil || j.Progress == nil || j.Progress.Done != 3 {
					t.Errorf("after the report: %+v, %v", j, err)
				}
				if err := statedb.Script(w.Ctx, w.DB, `UPDATE jobs SET lease = 1 WHERE id = 3`); err != nil {
					t.Fatal(err)
				}
				if ghosts, err := w.Queue.BuryGhosts(w.Ctx); err != nil || len(ghosts) != 1 || ghosts[0].ID != 3 {
					t.Errorf("buried %v: %v", ghosts, err)
				}
				w.Clock.Advance(time.Second)
				if back, err := w.Queue.ReturnJobs(w.Ctx, "m"); err != nil || len(back) != 2 {
					t.Errorf("handed back %v: %v", back, err)
				}
			})
		}
	}
}
