package statedb_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// Some minions fall silent for ever, others die at random. After a while of
// quiet no job has an expired lease, and every dead one was queued again within
// its lease and one round of the upkeep.
func TestNoJobStaysStuck(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			const upkeep = 5 * time.Second
			w := statedbtest.NewWorld(t, d.url(t))
			total, silent := soak(1000, 100_000), soak(100, 10_000)
			fill(t, w.DB, total)
			random := rand.New(rand.NewPCG(1, 2))
			dead := map[string]time.Time{}
			var worst time.Duration
			bury := func() {
				buried, err := w.Queue.BuryGhosts(w.Ctx)
				if err != nil {
					t.Fatal(err)
				}
				for _, j := range buried {
					worst = max(worst, w.Clock.Now().Sub(dead[j.Path]))
					delete(dead, j.Path)
				}
			}
			for done, second := 0, 1; done < total; second++ {
				got, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: fmt.Sprint(done), Max: 200})
				if err != nil || len(got) == 0 {
					t.Fatalf("claimed nothing: %v", err)
				}
				var reports []queue.UpdateParams
				for i, c := range got {
					if n := done + i; n < silent || random.IntN(20) == 0 { // silent, or killed
						dead[c.Path] = w.Clock.Now()
						continue
					}
					reports = append(reports, queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0"})
				}
				if _, err := w.Queue.Update(w.Ctx, reports); err != nil {
					t.Fatal(err)
				}
				done += len(got)
				w.Clock.Advance(time.Second)
				if second%int(upkeep/time.Second) == 0 {
					bury()
				}
			}
			for range int(w.Queue.Lease()/upkeep) + 1 {
				w.Clock.Advance(upkeep)
				bury()
			}
			left, err := w.Queue.Jobs(w.Ctx, queue.JobFilter{Running: true})
			if err != nil || len(left) != 0 || len(dead) != 0 {
				t.Errorf("%d jobs run and %d are not accounted for: %v", len(left), len(dead), err)
			}
			if worst > w.Queue.Lease()+upkeep {
				t.Errorf("one was queued again %s after its minion's death", worst)
			}
			t.Logf("%d Lorries, %d silent minions: jobs with an expired lease 0, longest from death to the queue %s", total, silent, worst)
		})
	}
}
