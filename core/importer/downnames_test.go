package importer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// overHTTP serves the mirror over HTTP and pushes there.
func (w *world) overHTTP() {
	w.t.Helper()
	w.down.Git("config", "http.receivepack", "true")
	w.opts.Request.Push = &protocol.Access{URL: gittest.NewServer(w.t, filepath.Join(w.dir, "down")).URL + "/group/thing.git"}
}

// reasonOf gives why a ref was refused.
func reasonOf(report protocol.ImportReport, ref string) string {
	for _, r := range report.Refs {
		if r.Ref == ref && r.Status == core.RefRejected {
			return r.Reason
		}
	}
	return ""
}

// TestChangedDuringThePush: what was as it shall be, and is changed while other
// refs are pushed, is no success.
func TestChangedDuringThePush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.overHTTP()
	w.mustRun()
	hook := filepath.Join(w.down.Dir, "hooks", "post-receive")
	if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(hook, []byte("#!/bin/sh\ngit update-ref -d refs/heads/next\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.up.Commit("refs/heads/main", "more")
	report := w.mustFail(core.FailRefused)
	want := map[string]string{"refs/heads/main": core.RefUpdated, "refs/heads/next": core.RefRejected}
	if diff := cmp.Diff(want, refStatus(report)); diff != "" {
		t.Error(diff)
	}
	if err := os.Remove(hook); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	w.mustEqual()
}

// TestSymbolicRefsDownstream: a symbolic ref that the mirror's owner made leads
// no push to another ref.
func TestSymbolicRefsDownstream(t *testing.T) {
	t.Parallel()
	for name, http := range map[string]bool{"on disk": false, "over http": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if http {
				w.overHTTP()
			}
			w.opts.Spec.Prune, w.opts.Spec.Refspecs = true, []string{"+refs/heads/*"}
			w.up.Commit("refs/heads/old", "will go")
			w.mustRun()
			ours := w.down.Commit("refs/heads/ours", "local work")
			w.down.Git("symbolic-ref", "refs/heads/stable", "refs/heads/ours")
			w.down.Git("symbolic-ref", "refs/heads/dangling", "refs/heads/nowhere")
			w.down.Git("update-ref", "refs/heads/copy", "refs/heads/old")
			w.down.Git("symbolic-ref", "refs/heads/old", "refs/heads/copy")
			w.down.Git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
			copied := w.down.Refs()["refs/heads/copy"]

			w.up.Commit("refs/heads/main", "more")
			w.up.Git("update-ref", "-d", "refs/heads/old")
			for _, ref := range []string{"stable", "alias"} {
				w.up.Git("update-ref", "refs/heads/"+ref, "refs/heads/main")
			}
			report := w.mustFail(core.FailRefused)
			want := map[string]string{
				"refs/heads/main": core.RefUpdated, "refs/heads/alias": core.RefUpdated,
				"refs/heads/stable": core.RefRejected, "refs/heads/old": core.RefRejected,
			}
			if diff := cmp.Diff(want, refStatus(report)); diff != "" {
				t.Errorf("%s\n%s", diff, w.out)
			}
			for ref, to := range map[string]string{"refs/heads/stable": "refs/heads/ours", "refs/heads/old": "refs/heads/copy"} {
				if reason := reasonOf(report, ref); !strings.Contains(reason, "symbolic ref to "+to) {
					t.Errorf("%s was refused since %q", ref, reason)
				}
			}
			if !strings.Contains(report.Failure.Hint, "symbolic ref") {
				t.Errorf("the hint is %q", report.Failure.Hint)
			}
			got := w.down.Refs("refs/heads/ours", "refs/heads/copy", "refs/heads/alias")
			main := w.up.Refs()["refs/heads/main"]
			if diff := cmp.Diff(map[string]string{"refs/heads/ours": ours, "refs/heads/copy": copied, "refs/heads/alias": main}, got); diff != "" {
				t.Error(diff)
			}
			w.up.Commit("refs/heads/dangling", "leads nowhere there")
			if reason := reasonOf(w.mustFail(core.FailRefused), "refs/heads/dangling"); !strings.Contains(reason, "refs/heads/nowhere") {
				t.Errorf("what leads nowhere was refused since %q", reason)
			}
		})
	}
}

// TestDirectoryInPlaceOfFileDownstream: a branch whose name is a directory
// downstream says so; what prune deletes makes way for it.
func TestDirectoryInPlaceOfFileDownstream(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ http, prune bool }{
		"on disk": {}, "over http": {http: true}, "prune on disk": {prune: true}, "prune over http": {true, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if test.http {
				w.overHTTP()
			}
			w.opts.Spec.Prune = test.prune
			w.up.Commit("refs/heads/a/b", "a directory")
			w.up.Commit("refs/heads/x", "a file")
			w.mustRun()
			w.up.Git("update-ref", "-d", "refs/heads/a/b")
			w.up.Git("update-ref", "-d", "refs/heads/x")
			w.up.Commit("refs/heads/a", "a file")
			w.up.Commit("refs/heads/x/y/z", "a directory")
			w.up.Commit("refs/heads/main", "more")
			if test.prune {
				w.mustRun()
				w.mustEqual()
				return
			}
			report := w.mustFail(core.FailRefused)
			for ref, other := range map[string]string{"refs/heads/a": "refs/heads/a/b", "refs/heads/x/y/z": "refs/heads/x"} {
				if reason := reasonOf(report, ref); !strings.HasPrefix(reason, other+" is there") {
					t.Errorf("%s was refused since %q", ref, reason)
				}
			}
			if refStatus(report)["refs/heads/main"] != core.RefUpdated || !strings.Contains(report.Failure.Hint, "refs/heads/a/b") {
				t.Errorf("got %+v", report)
			}
		})
	}
}

// TestNamesThatGitPushesNot: a refspec that gives a name that is none stops that
// ref alone.
func TestNamesThatGitPushesNot(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Refspecs = []string{"refs/heads/main", "refs/heads/next*:refs/heads/*", "refs/st*"}
	w.up.Commit("refs/heads/next-one", "a good name")
	w.up.Git("update-ref", "refs/stash", "refs/heads/main")
	report := w.mustFail(core.FailRefused)
	want := map[string]string{
		"refs/heads/main": core.RefNew, "refs/heads/-one": core.RefNew, "refs/heads/": core.RefRejected, "refs/stash": core.RefRejected,
	}
	if diff := cmp.Diff(want, refStatus(report)); diff != "" {
		t.Errorf("%s\n%s", diff, w.out)
	}
	if !strings.Contains(report.Failure.Hint, "refspecs") {
		t.Errorf("the hint is %q", report.Failure.Hint)
	}
}
