package importer

import (
	"os"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestDefaultBranchByHand: where no core sees to it, the mirror's default branch
// follows upstream's, unless the mirror's owner chose another one that is there.
func TestDefaultBranchByHand(t *testing.T) {
	t.Parallel()
	rename := func(w *world) {
		w.up.Git("update-ref", "refs/heads/trunk", "refs/heads/main")
		w.up.Git("symbolic-ref", "HEAD", "refs/heads/trunk")
		w.up.Git("update-ref", "-d", "refs/heads/main")
	}
	choose := func(name string) func(*world) {
		return func(w *world) { w.down.Git("symbolic-ref", "HEAD", name) }
	}
	own := func(w *world) {
		w.down.Git("update-ref", "refs/heads/ours", "refs/heads/main")
		choose("refs/heads/ours")(w)
	}
	for name, test := range map[string]struct {
		before func(*world) // the first run, which makes the mirror
		first  string       // what HEAD names after it
		then   []func(*world)
		want   string
		gone   string // what is not there in the end
		told   string
	}{
		"upstream renames it":               {first: "refs/heads/main", then: []func(*world){rename}, want: "refs/heads/trunk"},
		"upstream chooses another":          {first: "refs/heads/main", then: []func(*world){func(w *world) { w.up.Git("symbolic-ref", "HEAD", "refs/heads/next") }}, want: "refs/heads/next"},
		"the owner chose another":           {first: "refs/heads/main", then: []func(*world){own, rename}, want: "refs/heads/ours"},
		"the owner's is not there":          {first: "refs/heads/main", then: []func(*world){choose("refs/heads/nowhere"), rename}, want: "refs/heads/trunk"},
		"the owner came back to upstream's": {first: "refs/heads/main", then: []func(*world){own, choose("refs/heads/main"), rename}, want: "refs/heads/trunk"},
		"it is renamed and pruned": {
			before: func(w *world) { w.opts.Spec.Prune = true }, first: "refs/heads/main",
			then: []func(*world){rename}, want: "refs/heads/trunk", gone: "refs/heads/main",
		},
		"source-HEAD": {
			before: func(w *world) { w.opts.Spec.SourceHead = "refs/heads/next" }, first: "refs/heads/next",
			then: []func(*world){func(w *world) { w.opts.Spec.SourceHead = "" }}, want: "refs/heads/main",
		},
		"source-HEAD that is not there": {
			before: func(w *world) { w.opts.Spec.SourceHead = "refs/heads/nope" }, first: "refs/heads/main", want: "refs/heads/main",
			told: "warning: upstream has no refs/heads/nope, which source-HEAD names",
		},
		"source-HEAD that is left out": {
			before: func(w *world) {
				w.opts.Spec.SourceHead, w.opts.Spec.Refspecs = "refs/heads/next", []string{"refs/heads/main"}
			},
			first: "refs/heads/main", want: "refs/heads/main",
			told: "warning: the refspecs leave out refs/heads/next, which source-HEAD names",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := byHand(t)
			if err := os.RemoveAll(w.down.Dir); err != nil {
				t.Fatal(err)
			}
			if test.before != nil {
				test.before(w)
			}
			w.mustRun()
			w.down = gittest.OpenRepo(t, strings.TrimSuffix(w.down.Dir, ".git"))
			head := func() string { return w.down.Git("symbolic-ref", "HEAD") }
			if got := head(); got != test.first {
				t.Errorf("HEAD is %s at first, want %s\n%s", got, test.first, w.out)
			}
			for _, step := range test.then {
				step(w)
				w.up.Commit("refs/heads/next", "so that there is something to do")
				w.mustRun()
			}
			if got := head(); got != test.want {
				t.Errorf("HEAD is %s, want %s\n%s", got, test.want, w.out)
			}
			if strings.Contains(w.out.String(), "denyDeleteCurrent") {
				t.Errorf("it was deleted while it was the default branch:\n%s", w.out)
			}
			if w.down.Refs()[test.gone] != "" || !strings.Contains(w.out.String(), test.told) {
				t.Errorf("%s is there, or nothing is told of %q\n%s", test.gone, test.told, w.out)
			}
		})
	}
}

// TestDefaultBranchAfterARefusal: a mirror whose first push was refused in part
// has the branches that came, and one of them is what HEAD names.
func TestDefaultBranchAfterARefusal(t *testing.T) {
	t.Parallel()
	w := byHand(t)
	w.up.Git("symbolic-ref", "HEAD", "refs/heads/next")
	w.down.Git("config", "receive.hideRefs", "refs/tags/light")
	w.down.Git("symbolic-ref", "HEAD", "refs/heads/nowhere")
	w.mustFail(core.FailRefused)
	if got := w.down.Git("symbolic-ref", "HEAD"); got != "refs/heads/next" {
		t.Errorf("HEAD is %s\n%s", got, w.out)
	}
}
