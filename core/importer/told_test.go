package importer

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// A ref whose name is no UTF-8 is told by a name that JSON can carry, and is
// approved by that.
func TestARewriteOfANameThatIsNoUTF8IsApproved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	names := []string{"refs/heads/la\xe9tin", "refs/heads/la\xe8tin"}
	for _, name := range names {
		w.up.Commit(name, "first")
	}
	w.mustRun()
	for _, name := range names {
		w.up.Rewrite(name, "another history")
	}
	report := w.mustFail(core.FailDiverged)
	want := map[string]string{"refs/heads/la%E9tin": core.RefHeld, "refs/heads/la%E8tin": core.RefHeld}
	if diff := cmp.Diff(want, refStatus(report)); diff != "" {
		t.Fatal(diff)
	}
	for _, r := range report.Refs {
		w.opts.Request.Approved = append(w.opts.Request.Approved, protocol.Approval{Ref: r.Ref, Old: r.Old, New: r.New})
	}
	for ref := range want {
		want[ref] = core.RefForced
	}
	if diff := cmp.Diff(want, refStatus(w.mustRun())); diff != "" {
		t.Error(diff)
	}
	w.mustEqual()
}
