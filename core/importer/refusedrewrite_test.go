package importer

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestHintOfARewrite: it names what lets the rewrite through where it stands, and
// that does. An owner's alias of the branch goes with it, and is no failure of
// its own.
func TestHintOfARewrite(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		rewrites core.RewritePolicy
		status   string
		hint     string
		no       string // what does not help
		mend     func(w *world)
	}{
		"by the refspecs": {
			core.RewriteByRefspec, core.RefHeld, "approve the rewrite or put + before the refspec", "rewrites:",
			func(w *world) { w.opts.Spec.Refspecs = []string{"+refs/heads/*"} },
		},
		"hold": {
			core.RewriteHold, core.RefHeld, "approve the rewrite or let it through with rewrites: force", "+",
			func(w *world) { w.opts.Spec.Rewrites = core.RewriteForce },
		},
		"refuse": {
			core.RewriteRefuse, core.RefRejected, "let it through with rewrites: force, or with rewrites: hold", "+",
			func(w *world) { w.opts.Spec.Rewrites = core.RewriteForce },
		},
	} {
		for _, overHTTP := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " over http"}[overHTTP], func(t *testing.T) {
				t.Parallel()
				w := newWorld(t)
				if overHTTP {
					w.overHTTP()
				}
				w.opts.Spec.Refspecs, w.opts.Spec.Rewrites = []string{"refs/heads/*"}, test.rewrites
				w.mustRun()
				w.down.Git("symbolic-ref", "refs/heads/alias", "refs/heads/next")
				w.up.Rewrite("refs/heads/next", "another history")
				w.up.Git("update-ref", "refs/heads/alias", "refs/heads/next")
				before := w.down.Refs()
				report := w.mustFail(core.FailDiverged)
				if !strings.Contains(report.Failure.Hint, test.hint) || strings.Contains(report.Failure.Hint, test.no) || !strings.Contains(report.Failure.Cause, "refs/heads/next") {
					t.Errorf("got %+v", report.Failure)
				}
				want := map[string]string{"refs/heads/next": test.status, "refs/heads/alias": core.RefRejected}
				if diff := cmp.Diff(want, refStatus(report)); diff != "" {
					t.Error(diff)
				}
				if reason := reasonOf(report, "refs/heads/alias"); !strings.Contains(reason, "symbolic ref to refs/heads/next there, which was not changed") {
					t.Errorf("the alias was refused since %q", reason)
				}
				if diff := cmp.Diff(before, w.down.Refs()); diff != "" {
					t.Error(diff)
				}
				test.mend(w)
				w.mustRun()
				if diff := cmp.Diff(w.up.Refs("refs/heads/"), w.down.Refs("refs/heads/")); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
}

// TestARewriteThatDownstreamDenies: nobody here can approve what the server lets
// nobody do.
func TestARewriteThatDownstreamDenies(t *testing.T) {
	t.Parallel()
	for _, overHTTP := range []bool{false, true} {
		t.Run(map[bool]string{true: "over http", false: "here"}[overHTTP], func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if overHTTP {
				w.overHTTP()
			}
			w.opts.Spec.Rewrites = core.RewriteForce
			w.mustRun()
			w.down.Git("config", "receive.denyNonFastForwards", "true")
			w.up.Rewrite("refs/heads/next", "another history")
			before := w.down.Refs()
			report := w.mustFail(core.FailRefused)
			if !strings.Contains(report.Failure.Cause, "denyNonFastForwards") || strings.Contains(report.Failure.Hint, "approve") {
				t.Errorf("got %+v", report.Failure)
			}
			if diff := cmp.Diff(map[string]string{"refs/heads/next": core.RefRejected}, refStatus(report)); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(before, w.down.Refs()); diff != "" {
				t.Error(diff)
			}
			w.down.Git("config", "receive.denyNonFastForwards", "false")
			w.mustRun()
		})
	}
}

// TestAliasOfABranchThatDidNotArrive: why is what the push says, not that the
// alias has not changed.
func TestAliasOfABranchThatDidNotArrive(t *testing.T) {
	t.Parallel()
	c := newCutting(t)
	c.mustRun()
	c.down.Git("symbolic-ref", "refs/heads/alias", "refs/heads/next")
	c.up.Commit("refs/heads/next", "goes on")
	c.up.Git("update-ref", "refs/heads/alias", "refs/heads/next")
	c.atPush(func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "away", http.StatusServiceUnavailable) })
	c.mustFail(core.FailNetwork)
	c.mustRun()
	c.mustEqual()
}
