package forges

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// pruned is the change whose repository is also mirrored by a .lorry file with
// prune: its old default branch goes.
const pruned = 3

// change is something that happens to one repository upstream, and what is to
// come of it downstream.
type change struct {
	what string
	do   func(w *world, t *testing.T, i int)
	// gone says that there is no such repository upstream any more: its mirror
	// stays as it was.
	gone bool
	// kept are the refs that upstream has no more and the mirror still has:
	// without prune, nothing is deleted.
	kept []string
}

func changes() []change {
	return []change{
		{what: "a commit", do: func(w *world, t *testing.T, i int) {
			w.seeds.Commit(branch(i), "second")
			w.push(t, w.seeds, w.source(i), branch(i)+":refs/heads/main")
		}},
		{what: "a branch comes, another goes", kept: []string{"refs/heads/next"}, do: func(w *world, t *testing.T, i int) {
			w.push(t, w.seeds, w.source(i), branch(i)+":refs/heads/topic/one", ":refs/heads/next")
		}},
		{what: "another default branch", do: func(w *world, t *testing.T, i int) {
			w.change(t, w.source(i), map[string]any{"default_branch": "next"})
		}},
		{what: "another default branch, and the old one goes", kept: []string{"refs/heads/main"}, do: func(w *world, t *testing.T, i int) {
			w.change(t, w.source(i), map[string]any{"default_branch": "next"})
			w.unprotect(t, w.source(i), "main")
			w.push(t, w.seeds, w.source(i), ":refs/heads/main")
		}},
		{what: "history is rewritten", do: func(w *world, t *testing.T, i int) {
			w.unprotect(t, w.source(i), "main")
			w.seeds.Rewrite(branch(i), "rewritten")
			w.push(t, w.seeds, w.source(i), "+"+branch(i)+":refs/heads/main")
		}},
		{what: "another description", do: func(w *world, t *testing.T, i int) {
			w.change(t, w.source(i), map[string]any{"description": "New words"})
		}},
		{what: "archived", do: func(w *world, t *testing.T, i int) { w.archive(t, w.source(i)) }},
		{what: "deleted", gone: true, do: func(w *world, t *testing.T, i int) { w.must(t, "DELETE", w.one(w.source(i)), nil) }},
		{what: "renamed", gone: true, do: func(w *world, t *testing.T, i int) { w.rename(t, w.source(i), "renamed") }},
		{what: "nothing", do: func(*world, *testing.T, int) {}},
	}
}

// run is the scenario: everything is mirrored, then things change upstream, and
// everything is mirrored again.
func (w *world) run(t *testing.T) {
	w.start(t)
	w.mirrored(t, w.n+1)
	for i := range w.n {
		if i < len(changes()) || i%5 == 0 || w.name != "fake" { // git takes most of the time
			w.compare(t, w.source(i), w.mirror(i))
		} else if _, there := w.facts(t, w.mirror(i)); !there {
			t.Errorf("%s is missing", w.mirror(i))
		}
	}
	if t.Failed() {
		return
	}
	before := map[string]string{}
	for i, c := range changes() {
		before[c.what] = w.refs(t, w.mirror(i))
		c.do(w, t, i)
	}
	w.seed(t, w.n) // a new one
	w.sys.post(t, "/1.0/force-ls-troves")
	// The one that was deleted has gone, the renamed one has another path.
	var paths []string
	all := w.mirrored(t, w.n+1)
	for i, c := range changes() {
		if _, there := all[w.mirror(i)]; there == c.gone {
			t.Errorf("%s: there is a Lorry: %v", c.what, there)
		} else if there {
			paths = append(paths, w.mirror(i))
		}
	}
	w.again(t, paths...)
	// The old default branch can't go before the new one is chosen, so this
	// takes two jobs; the second comes by itself.
	w.sys.post(t, "/1.0/retry", "path", w.down+"/pruned")
	await(t, "the old default branch to be pruned", func() bool {
		var l lorry
		w.sys.get(t, "/1.0/lorry/"+w.down+"/pruned", &l)
		return l.LastExit == "0" && !strings.Contains(w.refs(t, w.down+"/pruned"), "refs/heads/main")
	})
	for i, c := range changes() {
		t.Run(c.what, func(t *testing.T) {
			if !c.gone {
				w.compare(t, w.source(i), w.mirror(i), c.kept...)
			} else if got := w.refs(t, w.mirror(i)); got != before[c.what] {
				t.Errorf("what is mirrored nowhere else has changed from\n%sto\n%s", before[c.what], got)
			}
		})
	}
	if diff := cmp.Diff(w.refs(t, w.source(pruned)), w.refs(t, w.down+"/pruned")); diff != "" {
		t.Errorf("with prune (-want +got):\n%s", diff)
	}
	w.compare(t, w.up+"/renamed", w.down+"/renamed")
	w.compare(t, w.source(w.n), w.mirror(w.n))
	w.compare(t, w.source(w.n-1), w.mirror(w.n-1))
}
