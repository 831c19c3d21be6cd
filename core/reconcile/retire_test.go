package reconcile_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// retired gives the paths that are to be archived.
func (w *world) retired() []string {
	w.Helper()
	paths := []string{}
	switch s := w.store.(type) {
	case *memoryStore:
		paths = append(paths, s.retired...)
	case *statedb.DB:
		all, err := s.DueRetirements(w.Context(), w.clock.Now(), 1000)
		if err != nil {
			w.Fatal(err)
		}
		for _, r := range all {
			paths = append(paths, r.Path)
		}
	}
	slices.Sort(paths)
	return paths
}

func TestOnlyWhatReallyGoesIsArchived(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		const archive = `"retire": "archive"`
		w.write("a.lorry", `{"one": {"type": "git", "url": "https://example.com/one"}, "two": {"type": "git", "url": "https://example.com/two"}}`)
		own := `{"type": "lorries", "interval": "1h", "prefix": "own", "globs": ["a.lorry"], ` + archive + `}`
		w.write(confgit.ConfFile, conf(own, hostSection("h", `{"": "h"}`, archive), hostSection("left", `{"": "left"}`)))
		w.read()
		w.hosts.has("h", numbered(0, 50)...)
		w.hosts.has("left", "a", "b")
		w.list(true)

		// A listing that lacks a lot is not believed, and nothing is archived.
		w.hosts.has("h", numbered(20, 50)...)
		w.hosts.has("left", "a")
		w.list(true)
		if diff := cmp.Diff([]string{}, w.retired()); diff != "" {
			t.Errorf("held, and not wanted at all (-want +got):\n%s", diff)
		}
		w.hosts.has("h", numbered(1, 50)...)
		w.list(true)
		want := []string{"h/" + numbered(0, 1)[0]}
		if diff := cmp.Diff(want, w.retired()); diff != "" {
			t.Errorf("believed (-want +got):\n%s", diff)
		}

		// Another core reads a CONFGIT without the sections: what they said counts.
		w.restart()
		w.write("a.lorry", `{"one": {"type": "git", "url": "https://example.com/one"}}`)
		w.read()
		want = append(want, "own/two")
		if diff := cmp.Diff(want, w.retired()); diff != "" {
			t.Errorf("an entry goes (-want +got):\n%s", diff)
		}
		w.restart()
		w.write(confgit.ConfFile, conf(hostSection("left", `{"": "left"}`)))
		w.read()
		if n := len(w.retired()); n != 50+2 {
			t.Errorf("both sections are gone: %d to archive, wanted 52", n)
		}
	})
}

func TestPruneAndLFSOfAHostReachItsLorries(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c core.Clock) store { return newMemory(c) })
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	w.hosts.has("h", "a")
	w.list(true)
	plain := w.lorries()[0].Text
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`, `"prune": true, "lfs": false`)))
	w.read()
	w.list(false) // a changed section is listed at once
	want := plain[:len(plain)-len("\n    }\n}")] + ",\n        \"lfs\": false,\n        \"prune\": true\n    }\n}"
	if diff := cmp.Diff(want, w.lorries()[0].Text); diff != "" {
		t.Error(diff)
	}
}
