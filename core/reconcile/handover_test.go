package reconcile_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

// written is a section of .lorry files whose mirrors are archived when they go.
func written(prefix string) string {
	return `{"type": "lorries", "interval": "2h", "prefix": "` + prefix + `", "globs": ["*.lorry"], ` + archives + `}`
}

// TestAPathThatAHostGivesAsWell is dropped from a .lorry file: the listing of the
// host decides what becomes of it.
func TestAPathThatAHostGivesAsWell(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`, archives, `"ignore": ["ignored"]`), written("h")))
		w.write("a.lorry", lorryFile("a", "gone1", "gone2", "gone3", "gone4", "gone5", "ignored", "z"))
		h := w.hosts.has("h", "a", "b", "ignored")
		w.read()
		w.list(true)
		w.write("a.lorry", lorryFile("z"))
		if p := w.plan(nil); len(p.Changed) != 6 || len(p.Removed) != 1 || p.Removed[0].Path != "h/ignored" {
			t.Errorf("it is planned that %+v change and %+v go", p.Changed, p.Removed)
		}
		w.read()
		want := []string{"host:h h/a", "host:h h/b", "host:h h/gone1", "host:h h/gone2", "host:h h/gone3", "host:h h/gone4", "host:h h/gone5", "lorries:h h/z"}
		if diff := cmp.Diff(want, w.paths()); diff != "" {
			t.Error("before the listing:", diff)
		}
		if diff := cmp.Diff([]string{"h/ignored"}, w.archived()); diff != "" {
			t.Error("the host does not give what it ignores:", diff)
		}
		h.err = core.Errorf(core.KindUnavailable, "away")
		w.list(false)
		w.clock.advance(5 * time.Minute)
		if diff := cmp.Diff(want, w.paths()); diff != "" {
			t.Error("after a listing that failed:", diff)
		}
		h.err = nil
		if listed := w.list(false); len(listed) != 1 {
			t.Errorf("listed %v", listed)
		}
		if diff := cmp.Diff([]string{"host:h h/a", "host:h h/b", "lorries:h h/z"}, w.paths()); diff != "" || w.host("h").Purge != "" {
			t.Errorf("after the listing, which held %q: %s", w.host("h").Purge, diff)
		}
		if got := w.archived(); len(got) != 6 {
			t.Errorf("to be archived: %v", got)
		}
		if l := w.lorries()[0]; l.HostPath != "a" || l.Host != "h" || l.Interval != time.Hour {
			t.Errorf("the host's Lorry is not as the host gives it: %+v", l)
		}
	})
}

// TestAPathThatSeveralHostsGive: the last host in CONFGIT decides first, then those
// before it, one after the other.
func TestAPathThatSeveralHostsGive(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("a", `{"": "m"}`, archives), hostSection("b", `{"": "m"}`, archives), written("m")))
		w.write("f.lorry", lorryFile("x", "y"))
		w.hosts.has("a", "x")
		w.hosts.has("b")
		w.read()
		w.list(true)
		w.write("f.lorry", "{}")
		w.read()
		for range 3 {
			w.list(false)
		}
		if diff := cmp.Diff([]string{"host:a m/x"}, w.paths()); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"m/y"}, w.archived()); diff != "" {
			t.Error("to be archived:", diff)
		}
		if w.host("a").LsDue.Equal(w.clock.Now()) || w.host("b").LsDue.Equal(w.clock.Now()) {
			t.Error("the hosts are listed again and again")
		}
	})
}

// TestASectionThatChangesKeepsWhatWasHandedOver, as far as it could still give it.
func TestASectionThatChangesKeepsWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`), written("h")))
		w.write("a.lorry", lorryFile("a", "b", "z"))
		w.read()
		w.write("a.lorry", lorryFile("z"))
		w.read()
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`, `"ignore": ["b"]`, `"rewrites": "hold"`), written("h")))
		w.read()
		if diff := cmp.Diff([]string{"host:h h/a", "lorries:h h/z"}, w.paths()); diff != "" {
			t.Error(diff)
		}
		if l := w.lorries()[0]; l.Rewrites != core.RewriteHold {
			t.Errorf("it is not as the section says: %+v", l)
		}
	})
}

// TestAnHeirThatNeverListsKeepsNobodyOut: what was only handed to a host is no
// reason against another that has it.
func TestAnHeirThatNeverListsKeepsNobodyOut(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("a", `{"": "m"}`), hostSection("b", `{"": "m"}`), `{"type": "lorries", "interval": "2h", "prefix": "m", "globs": ["*.lorry"]}`))
		w.write("f.lorry", lorryFile("x", "z"))
		w.hosts.has("a", "x")
		w.hosts.has("b").err = core.Errorf(core.KindUnavailable, "it was switched off")
		w.read()
		w.list(true)
		w.write("f.lorry", lorryFile("z"))
		w.read()
		w.list(true)
		if diff := cmp.Diff([]string{"host:a m/x", "lorries:m m/z"}, w.paths()); diff != "" {
			t.Error(diff)
		}
	})
}

// TestWhatIsHandedOverKeepsItsRewrites until the host has listed it: it is still
// mirrored from where it was.
func TestWhatIsHandedOverKeepsItsRewrites(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("a", `{"": "m"}`), `{"type": "lorries", "interval": "2h", "prefix": "m", "rewrites": "hold", "globs": ["*.lorry"]}`))
		w.write("f.lorry", lorryFile("x", "z"))
		w.hosts.has("a").err = core.Errorf(core.KindUnavailable, "away")
		w.read()
		w.write("f.lorry", lorryFile("z"))
		for range 2 { // the second reading tunes what the host's section has
			w.read()
			w.list(true)
		}
		all := w.lorries()
		if len(all) != 2 {
			t.Fatalf("got %+v", all)
		}
		for _, l := range all {
			if l.Rewrites != core.RewriteHold {
				t.Errorf("%s %q: %q", l.Section, l.Path, l.Rewrites)
			}
		}
	})
}
