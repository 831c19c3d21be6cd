package statedbtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// faultTests gives what stays true when many come at once or somebody goes away.
func faultTests() []test {
	return []test{
		{"sixteen minions never get the same Lorry", sixteenMinions},
		{"two cores never give out the same Lorry nor exceed max-jobs", twoCores},
		{"a caller that has gone away gets nothing and leaves nothing behind", goneCaller},
		{"one failing request does not harm those that share its transaction", badNeighbour},
	}
}

func manyPaths(n int) []string {
	var ps []string
	for i := range n {
		ps = append(ps, fmt.Sprintf("p/%04d", i))
	}
	return ps
}

// claimAll lets n minions claim until none gets anything, and finish what they
// got; it counts the claims of each path.
func claimAll(w *World, n int, pick func(i int) *queue.Queue) map[string]int {
	var mu sync.Mutex
	seen := map[string]int{}
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			q := pick(i)
			for {
				got, err := q.Claim(w.Ctx, queue.ClaimParams{Minion: fmt.Sprintf("m%d", i), Max: 1 + i%3})
				if err != nil {
					w.Errorf("claim: %v", err)
					return
				}
				if len(got) == 0 {
					return
				}
				var reports []queue.UpdateParams
				mu.Lock()
				for _, c := range got {
					seen[c.Path]++
					reports = append(reports, queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0"})
				}
				mu.Unlock()
				rs, err := q.Update(w.Ctx, reports)
				if err != nil || slices.Contains(rs, queue.UpdateResult{Stale: true}) {
					w.Errorf("update: %v %v", rs, err)
				}
			}
		})
	}
	wg.Wait()
	return seen
}

func checkOnce(w *World, all []string, seen map[string]int) {
	w.Helper()
	same(w, "claimed", all, slices.Sorted(maps.Keys(seen)))
	for p, n := range seen {
		if n != 1 {
			w.Errorf("%q was claimed %d times", p, n)
		}
	}
}

func sixteenMinions(w *World) {
	all := manyPaths(400)
	w.put(all...)
	checkOnce(w, all, claimAll(w, 16, func(int) *queue.Queue { return w.Queue }))
	jobs, err := w.Queue.Jobs(w.Ctx, queue.JobFilter{})
	w.ok(err)
	same(w, "jobs", len(all), len(jobs))
}

func twoCores(w *World) {
	other := queue.New(queue.Options{Store: w.DB, Clock: w.Clock.Now})
	cores := []*queue.Queue{w.Queue, other}
	all := manyPaths(200)
	w.put(all...)
	checkOnce(w, all, claimAll(w, 8, func(i int) *queue.Queue { return cores[i%2] }))

	w.Clock.Advance(Hour)
	five := 5
	w.ok(w.Queue.SetMaxJobs(w.Ctx, &five))
	var wg sync.WaitGroup
	got := make([]int, 8)
	for i := range got {
		wg.Go(func() {
			c, err := cores[i%2].Claim(w.Ctx, queue.ClaimParams{Minion: "m", Max: 3})
			if err != nil {
				w.Errorf("claim: %v", err)
			}
			got[i] = len(c)
		})
	}
	wg.Wait()
	total := 0
	for _, n := range got {
		total += n
	}
	same(w, "running", five, total)
}

func goneCaller(w *World) {
	w.put("a")
	ctx, cancel := context.WithCancel(w.Ctx)
	cancel()
	got, err := w.Queue.Claim(ctx, queue.ClaimParams{Minion: "m"})
	if !errors.Is(err, context.Canceled) || len(got) != 0 {
		w.Errorf("want nothing and context.Canceled, got %v and %v", got, err)
	}
	if _, err := w.Queue.Lorry(ctx, "a"); err == nil {
		w.Error("a read with an ended context succeeded")
	}
	err = w.DB.Write(ctx, func(ctx context.Context, tx queue.Tx) error { return tx.SetRunning(ctx, false) })
	if !errors.Is(err, context.Canceled) {
		w.Errorf("want context.Canceled, got %v", err)
	}
	// One that goes away in the middle is carried through.
	ctx, cancel = context.WithCancel(w.Ctx)
	w.ok(w.DB.Write(ctx, func(ctx context.Context, tx queue.Tx) error {
		cancel()
		return tx.SetRunning(ctx, false)
	}))
	status, err := w.Queue.Status(w.Ctx)
	w.ok(err)
	same(w, "stopped", false, status.Running)
}

func badNeighbour(w *World) {
	w.put("a")
	broken := errors.New("broken")
	var wg sync.WaitGroup
	for i := range 30 {
		wg.Go(func() {
			err := w.DB.Write(w.Ctx, func(ctx context.Context, tx queue.Tx) error {
				n := i
				if err := tx.SetMaxJobs(ctx, &n); err != nil {
					return err
				}
				switch i % 3 {
				case 0:
					return broken
				case 1: // the database itself refuses
					if _, _, err := tx.Gate(ctx, queue.ReadyParams{Now: Start, Limit: 1}); err != nil {
						return err
					}
					_, err := tx.StartJobs(ctx, []core.Job{{Path: "none"}})
					return err
				}
				return nil
			})
			if (i%3 == 2) != (err == nil) || (i%3 == 0) != errors.Is(err, broken) {
				w.Errorf("request %d: %v", i, err)
			}
		})
	}
	wg.Wait()
	status, err := w.Queue.Status(w.Ctx)
	w.ok(err)
	if status.MaxJobs == nil || *status.MaxJobs%3 != 2 {
		w.Errorf("a request that failed left its mark: %v", status.MaxJobs)
	}
	jobs, err := w.Queue.Jobs(w.Ctx, queue.JobFilter{})
	w.ok(err)
	same(w, "jobs", 0, len(jobs))
}
