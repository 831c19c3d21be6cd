package reconcile_test

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// A few new Lorries are due at once; the first jobs of many are spread, in the
// order of their paths and within bounds.
func TestTheFirstJobsOfAMassImportAreSpread(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		due := func() []time.Duration {
			w.Helper()
			var all []time.Duration
			switch s := w.store.(type) {
			case *memoryStore:
				for _, path := range slices.Sorted(maps.Keys(s.due)) {
					all = append(all, s.due[path].Sub(w.clock.Now()))
				}
			case *statedb.DB:
				states, err := s.Lorries(t.Context(), queue.Page{})
				if err != nil {
					t.Fatal(err)
				}
				for _, l := range states {
					all = append(all, l.Due.Sub(w.clock.Now()))
				}
			}
			return all
		}
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
		w.read()
		w.hosts.has("h", numbered(0, 50)...)
		w.list(true)
		for i, d := range due() {
			if d != 0 {
				t.Errorf("number %d of 50 is due in %s", i, d)
			}
		}
		w.hosts.has("h", numbered(0, 700)...)
		w.list(true)
		all := due()
		if len(all) != 700 || all[99] != 0 || all[100] != 50*time.Millisecond || all[699] != 30*time.Second {
			t.Errorf("of %d: number 100 is due in %s, number 101 in %s, the last in %s", len(all), all[99], all[100], all[699])
		}
		for i := range all[1:] {
			if all[i+1] < all[i] {
				t.Errorf("number %d is due before the one before it", i+1)
			}
		}
		w.clock.advance(time.Hour)
		w.list(true)
		if last := due()[699]; last != 30*time.Second-time.Hour {
			t.Errorf("listing again moved the due time to %s", last)
		}
	})
}
