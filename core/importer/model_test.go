package importer

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestRandomHistories changes upstream in random ways (new, moved, rewritten,
// deleted and recreated branches and tags, files that become directories, other
// HEADs) and imports after each few. With and without "+", the downstream never
// loses history that it was not allowed to lose, and the working area always
// has upstream's refs and every old tip.
func TestRandomHistories(t *testing.T) {
	t.Parallel()
	count := 0
	rapid.Check(t, func(rt *rapid.T) {
		if count++; count > 12 && !soak() {
			return // each sequence costs some hundred processes
		}
		force := rapid.Bool().Draw(rt, "force")
		w := newWorld(t)
		if force {
			w.opts.Spec.Refspecs = []string{"+refs/heads/*", "+refs/tags/*"}
		}
		seen := maps.Clone(w.up.Mirrored())
		history := make(map[string]bool)
		for range rapid.IntRange(1, 6).Draw(rt, "runs") {
			for range rapid.IntRange(1, 4).Draw(rt, "changes") {
				changeUpstream(rt, w)
			}
			for ref, object := range w.area0() {
				history[object] = history[object] || strings.HasPrefix(ref, "refs/heads/")
			}
			before := w.down.Mirrored()
			report := w.run()
			if len(w.up.Mirrored()) == 0 {
				if report.Failure.Kind != core.FailEmpty {
					rt.Fatalf("upstream is empty and the report is %+v", report)
				}
				continue
			}
			w.checkDownstream(rt, force, before, report.Exit, report.Failure)
			if diff := cmp.Diff(w.up.Mirrored(), w.area().Mirrored()); diff != "" {
				rt.Fatalf("working area: %s", diff)
			}
			maps.Copy(seen, w.up.Mirrored())
			w.checkOldTips(rt, history)
		}
		w.down.Fsck()
	})
}

// soak reports whether the long versions of the tests run.
func soak() bool { return os.Getenv("LORRY_TEST_SOAK") != "" }

// area0 gives the working area's refs, none before the first run.
func (w *world) area0() map[string]string {
	if out, err := w.area().Try("rev-parse", "--git-dir"); err != nil || out == "" {
		return nil
	}
	return w.area().Mirrored()
}

func changeUpstream(rt *rapid.T, w *world) {
	branches := []string{"refs/heads/main", "refs/heads/next", "refs/heads/a", "refs/heads/a/b", "refs/heads/c"}
	ref := rapid.SampledFrom(branches).Draw(rt, "branch")
	have := w.up.Refs()
	clash := func(name string) {
		for other := range w.up.Refs() {
			if strings.HasPrefix(other, name+"/") || strings.HasPrefix(name, other+"/") {
				w.up.Git("update-ref", "-d", other)
			}
		}
	}
	message := fmt.Sprintf("change %d", rapid.IntRange(0, 1<<30).Draw(rt, "message"))
	switch rapid.IntRange(0, 8).Draw(rt, "change") {
	case 0, 1:
		clash(ref)
		w.up.Commit(ref, message)
	case 2:
		clash(ref)
		w.up.Rewrite(ref, message)
	case 3:
		if have[ref] != "" {
			w.up.Git("update-ref", "-d", ref)
		}
	case 4:
		if have[ref] != "" {
			w.up.Git("update-ref", "refs/tags/v1", ref)
		}
	case 5:
		if have[ref] != "" {
			w.up.Git("symbolic-ref", "HEAD", ref)
		}
	case 7: // a tag of its own, deleted and made again elsewhere
		if have["refs/tags/v2"] != "" {
			w.up.Git("update-ref", "-d", "refs/tags/v2")
		}
		if have[ref] != "" {
			w.up.Git("tag", "-a", "-m", message, "v2", ref)
		}
	case 8: // a rebase: the same change on another parent
		if have[ref] != "" && have["refs/heads/main"] != "" {
			w.up.Git("update-ref", ref, w.up.Git("commit-tree", "-m", message, "-p", "refs/heads/main", ref+"^{tree}"))
		}
	case 6:
		if parent, err := w.up.Try("rev-parse", "-q", "--verify", ref+"^"); err == nil {
			w.up.Git("update-ref", ref, parent)
		}
	}
}

// checkDownstream compares each downstream ref with what it may be.
func (w *world) checkDownstream(rt *rapid.T, force bool, before map[string]string, exit int, failure core.Failure) {
	up, down := w.up.Mirrored(), w.down.Mirrored()
	for ref, old := range before {
		now := down[ref]
		switch {
		case now == "":
			rt.Fatalf("%s was deleted downstream", ref)
		case now == old, force && now == up[ref]:
		case now != up[ref]:
			rt.Fatalf("%s is %s downstream, neither %s nor upstream's %s", ref, now, old, up[ref])
		case strings.HasPrefix(ref, "refs/tags/"):
			rt.Fatalf("the tag %s was moved without force", ref)
		default:
			if _, err := w.down.Try("merge-base", "--is-ancestor", old, now); err != nil {
				rt.Fatalf("%s went from %s to %s, which loses history, without force", ref, old, now)
			}
		}
	}
	arrived := true
	for ref, object := range up {
		arrived = arrived && down[ref] == object
	}
	if arrived != (exit == ExitDone) {
		rt.Fatalf("everything arrived: %v, but exit %d (%+v)", arrived, exit, failure)
	}
	if exit != ExitDone && !slices.Contains([]core.FailureKind{core.FailDiverged, core.FailRefused}, failure.Kind) {
		rt.Fatalf("got %+v", failure)
	}
}

// checkOldTips holds that whatever the working area once had, a ref still
// leads to.
func (w *world) checkOldTips(rt *rapid.T, history map[string]bool) {
	reachable := w.area().Git("rev-list", "--all", "--glob=refs/lorry/kept/*")
	for object, branch := range history {
		if branch && !strings.Contains(reachable, object) {
			rt.Fatalf("the old tip %s is lost", object)
		}
	}
}
