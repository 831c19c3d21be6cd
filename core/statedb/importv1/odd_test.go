package importv1_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/statedb/importv1"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// An interval that can't be read is a day, as in CONFGIT: none at all would have
// the Lorry mirrored without a pause.
func TestAnUnreadableIntervalIsADay(t *testing.T) {
	t.Parallel()
	path := oldFile(t, trovesSchema+`
INSERT INTO lorries VALUES ('odd/hour', '{}', '', '', NULL, 0, '1h', 3600, 0);
INSERT INTO lorries VALUES ('odd/blob', '{}', '', '', NULL, 0, x'ff', 3600, 0);
INSERT INTO lorries VALUES ('odd/text', '{}', '', '', NULL, 0, ' 60 ', 3600, 0);
INSERT INTO lorries VALUES ('odd/zero', '{}', '', '', NULL, 0, 0, 3600, 0);`)
	w := statedbtest.NewWorld(t, databases[0].url(t))
	if _, err := importv1.Import(w.Ctx, path, w.DB); err != nil {
		t.Fatal(err)
	}
	got := map[string]time.Duration{}
	for _, path := range []string{"odd/hour", "odd/blob", "odd/text", "odd/zero"} {
		l, err := w.Queue.Lorry(w.Ctx, path)
		if err != nil {
			t.Fatal(err)
		}
		got[path] = l.Interval
	}
	want := map[string]time.Duration{"odd/hour": 24 * time.Hour, "odd/blob": 24 * time.Hour, "odd/text": time.Minute, "odd/zero": 0}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
