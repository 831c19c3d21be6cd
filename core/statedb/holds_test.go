package statedb_test

import (
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// An admin's endless hold is being committed just when a job ends, or begins,
// that the host refused for a while.
func TestAnAdminsHoldThatIsUnderWayIsNotShortened(t *testing.T) {
	t.Parallel()
	for name, hold := range map[string]func(w *statedbtest.World, c queue.Claimed) error{
		"by a job's end": func(w *statedbtest.World, c queue.Claimed) error {
			_, err := w.Queue.Update(w.Ctx, []queue.UpdateParams{{
				Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "1", Failure: core.Failure{Kind: core.FailRateLimited, Cause: "429"},
			}})
			return err
		},
		"by an adapter": func(w *statedbtest.World, _ queue.Claimed) error {
			return w.Queue.HoldHostLonger(w.Ctx, "up.example.org", w.Clock.Now().Add(time.Minute), "slow down")
		},
		"by the end of an adapter's hold": func(w *statedbtest.World, _ queue.Claimed) error {
			return w.Queue.EndHold(w.Ctx, "up.example.org", "slow down")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := postgres(t)
			w := statedbtest.NewWorld(t, url)
			if err := w.DB.PutLorries(w.Ctx, []core.Lorry{statedbtest.NewLorry("a")}); err != nil {
				t.Fatal(err)
			}
			got, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m"})
			if err != nil || len(got) != 1 {
				t.Fatalf("claimed %v: %v", got, err)
			}
			if err := w.Queue.HoldHostLonger(w.Ctx, "up.example.org", w.Clock.Now().Add(time.Second), "slow down"); err != nil {
				t.Fatal(err)
			}
			admin := startLocker(t, url, `UPDATE host_holds SET until = 4102444800000000, reason = 'do not touch'`)
			done := make(chan error)
			go func() { done <- hold(w, got[0]) }()
			admin.awaited()
			admin.do("COMMIT")
			if err := <-done; err != nil {
				t.Fatal(err)
			}
			holds, err := w.Queue.HostHolds(w.Ctx)
			if h := holds["up.example.org"]; err != nil || h.Reason != "do not touch" {
				t.Errorf("the host is held until %s: %s (%v)", h.Until, h.Reason, err)
			}
		})
	}
}
