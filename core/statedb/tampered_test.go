package statedb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// What is wrong with tables that another program has changed is told with what
// to do, on reading and on writing.
func TestTablesThatWereChangedByHand(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			w := statedbtest.NewWorld(t, d.url(t))
			if err := statedb.Script(t.Context(), w.DB, `ALTER TABLE lorries DROP COLUMN listed_head; DROP TABLE settings`); err != nil {
				t.Fatal(err)
			}
			_, reading := w.Queue.Lorry(t.Context(), "a")
			for doing, err := range map[string]error{
				"reading": reading,
				"writing": w.DB.SetSetting(t.Context(), "a", "b"),
				"adding":  w.DB.PutLorries(t.Context(), []core.Lorry{statedbtest.NewLorry("a")}),
			} {
				var known *core.Error
				if !errors.As(err, &known) || known.Kind != core.KindInternal || !strings.Contains(known.Hint, "restore the state database from a backup") {
					t.Errorf("%s: got %+v", doing, err)
				}
			}
		})
	}
}
