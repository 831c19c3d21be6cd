package importer

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// TestProgressTellsOfRefs: while a job pushes, it is told of how many refs it is
// known what became of them, and in the end of all, refused ones too.
func TestProgressTellsOfRefs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.up.Branches(20, "many")
	var mu sync.Mutex
	var done [][2]int
	w.opts.Progress = func(p protocol.Progress) {
		mu.Lock()
		defer mu.Unlock()
		if now := [2]int{p.RefsDone, p.Refs}; len(done) == 0 || done[len(done)-1] != now {
			done = append(done, now)
		}
	}
	told := func(want ...[2]int) {
		t.Helper()
		mu.Lock()
		defer mu.Unlock()
		if diff := cmp.Diff(want, done); diff != "" {
			t.Errorf("done of all refs: %s", diff)
		}
		done = nil
	}
	w.mustRun()
	told([2]int{0, 0}, [2]int{0, 24}, [2]int{24, 24})
	w.up.Commit("refs/heads/main", "one more")
	w.up.Rewrite("refs/heads/b/0003", "rewritten")
	w.mustFail(core.FailDiverged)
	told([2]int{0, 0}, [2]int{0, 24}, [2]int{22, 24}, [2]int{24, 24})
}
