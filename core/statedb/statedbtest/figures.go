package statedbtest

import (
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

func figures(w *World) {
	bounds := []time.Duration{Hour, 24 * Hour}
	read := func() statedb.Figures {
		w.Helper()
		f, err := w.DB.Figures(w.Ctx, bounds)
		w.ok(err)
		return f
	}
	same(w, "empty", statedb.Figures{Within: []int{0, 0}}, read())
	w.put("a", "b", "c", "d")
	for i, c := range w.claim(3) {
		w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", Digest: "d", DiskUsage: int64(i + 1)})
		w.Clock.Advance(2 * Hour)
	}
	same(w, "four, one never", statedb.Figures{
		Within: []int{0, 3}, Equal: 3, Never: 1, Sum: 12 * Hour, Worst: 6 * Hour, DiskUsage: 6, Overdue: 6 * Hour,
	}, read())
	w.Clock.Advance(23 * Hour)
	same(w, "later", []int{0, 0}, read().Within)
	for _, c := range w.claim(4) {
		w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", DiskUsage: 1<<63 - 1})
	}
	same(w, "no more than can be", int64(4e15), read().DiskUsage)
}
