package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// TestConvertedObjectsAreExamined: what another system may hold and git must
// not is refused before any ref changes, here and downstream.
func TestConvertedObjectsAreExamined(t *testing.T) {
	t.Parallel()
	w, trunk, _ := bzrWorld(t)
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Access: core.Access{URL: trunk}}
	w.mustRun()
	good, here := w.down.Mirrored(), w.area().Mirrored()
	if err := os.Mkdir(filepath.Join(trunk, ".git"), 0o755); err != nil {
		t.Fatal(err)
	}
	bzrCommit(t, trunk, ".git/config", "[core]\n", "evil")
	for range 2 { // it stays refused
		report := w.mustFail(core.FailCorrupt)
		if !strings.Contains(strings.ToLower(report.Failure.Cause), ".git") {
			t.Errorf("got %+v", report.Failure)
		}
	}
	if diff := cmp.Diff(good, w.down.Mirrored()) + cmp.Diff(here, w.area().Mirrored()); diff != "" {
		t.Error(diff)
	}
	if strings.Contains(w.out.String(), "damaged") {
		t.Errorf("what upstream holds is no damage here:\n%s", w.out)
	}
}
