package statedb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// A full file system makes requests fail, loses nothing, and is over when there
// is space again.
func TestAFullDiskRefusesAndHealsItself(t *testing.T) {
	t.Parallel()
	w := statedbtest.NewWorld(t, sqliteFile(t))
	if err := w.DB.PutLorries(w.Ctx, []core.Lorry{statedbtest.NewLorry("a")}); err != nil {
		t.Fatal(err)
	}
	got, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m"})
	if err != nil || len(got) != 1 {
		t.Fatalf("claimed %v: %v", got, err)
	}
	limit := func(sql string) {
		t.Helper()
		if err := statedb.Script(t.Context(), w.DB, sql); err != nil {
			t.Fatal(err)
		}
	}
	limit(`PRAGMA max_page_count = 1`) // as many as there are
	large := strings.Repeat("output\n", 20000)
	report := []queue.UpdateParams{{Job: got[0].Job.ID, Fence: got[0].Job.Fence, Output: large, Done: true, Exit: "0"}}
	_, err = w.Queue.Update(w.Ctx, report)
	var kind *core.Error
	if !errors.As(err, &kind) || kind.Kind != core.KindUnavailable || kind.Hint == "" {
		t.Errorf("want an unavailable database and what to do, got %v", err)
	}
	j, err := w.Queue.Job(w.Ctx, got[0].Job.ID)
	if err != nil || !j.Running() {
		t.Errorf("half of the report was stored: %+v %v", j, err)
	}
	limit(`PRAGMA max_page_count = 1000000`)
	rs, err := w.Queue.Update(w.Ctx, report)
	if err != nil || rs[0].Stale {
		t.Errorf("after the disk had space again: %v %v", rs, err)
	}
	out, err := w.Queue.Output(w.Ctx, got[0].Job.ID, 0, 0)
	if err != nil || out != large {
		t.Errorf("%d bytes of %d were kept: %v", len(out), len(large), err)
	}
}
