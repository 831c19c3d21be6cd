package reconcile_test

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

func inMemory(clock core.Clock) store { return newMemory(clock) }

func (w *world) plan(files map[string][]byte) reconcile.Plan {
	w.Helper()
	p, err := w.r.Plan(w.Context(), reconcile.PlanParams{Files: files})
	if err != nil {
		w.Fatal(err)
	}
	return p
}

func TestAPlanSaysWhatWouldChangeAndChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inMemory)
	const section = `{"type": "lorries", "interval": "1h", "prefix": "a", "globs": ["a.lorry"]}`
	w.write("lorry-controller.conf", `[`+section+`, {"type": "lorries", "interval": "1h", "prefix": "b", "globs": ["b.lorry"]},
		{"type": "gitlab", "host": "git.example.com", "prefixmap": {"g": "g"}, "interval": "1h", "ls-interval": "1h"}]`)
	w.write("a.lorry", `{"one": {"type": "git", "url": "https://up.example.org/one"}, "two": {"type": "git", "url": "https://up.example.org/two"}}`)
	w.write("b.lorry", `{"three": {"type": "git", "url": "https://up.example.org/three"}}`)
	w.read()
	before := w.paths()

	files := map[string][]byte{
		"lorry-controller.conf": []byte(`[{"type": "lorries", "interval": "2h", "prefix": "a", "globs": ["a.lorry"]},
			{"type": "gitea", "host": "new.example.com", "prefixmap": {"n": "n"}, "interval": "1h", "ls-interval": "1h"}, {"type": "lorries"}]`),
		"a.lorry": []byte(`{"one": {"type": "git", "url": "https://up.example.org/one"}, "four": {"type": "git", "url": "https://up.example.org/four"}}`),
	}
	p := w.plan(files)
	want := reconcile.Plan{
		Commit: p.Commit, Current: p.Current,
		Added:   []reconcile.PlannedLorry{{Path: "a/four", Section: "lorries:a"}},
		Removed: []reconcile.PlannedLorry{{Path: "a/two", Section: "lorries:a"}, {Path: "b/three", Section: "lorries:b"}},
		Changed: []reconcile.PlannedLorry{{Path: "a/one", Section: "lorries:a", What: []string{"interval: 1h0m0s -> 2h0m0s"}}},

		HostsAdded: []string{"new.example.com"}, HostsRemoved: []string{"git.example.com"},
		Kept: p.Kept, KeptAll: p.KeptAll, Problems: p.Problems,
	}
	if p.KeptAll { // the broken section could not be told from others
		want.Removed, want.HostsRemoved, want.Unchanged = nil, nil, 2
	}
	if diff := cmp.Diff(want, p, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(p.Problems) == 0 || p.Problems[0].File != "lorry-controller.conf" || p.Problems[0].Line == 0 {
		t.Errorf("want a problem with file and line, got %+v", p.Problems)
	}
	if diff := cmp.Diff(before, w.paths()); diff != "" {
		t.Errorf("planning changed Lorries (-want +got):\n%s", diff)
	}
}

func TestAPlanForWhatIsInForceIsEmpty(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inMemory)
	w.write("lorry-controller.conf", `[{"type": "lorries", "interval": "1h", "prefix": "a", "globs": ["a.lorry"]}]`)
	w.write("a.lorry", `{"one": {"type": "git", "url": "https://up.example.org/one"}}`)
	w.read()
	p := w.plan(nil)
	if diff := cmp.Diff(reconcile.Plan{Commit: p.Current, Current: p.Current, Unchanged: 1}, p, cmpopts.EquateEmpty()); diff != "" || p.Current == "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := w.r.Plan(t.Context(), reconcile.PlanParams{Commit: "main"}); err == nil || core.KindOf(err) != core.KindUnsupported {
		t.Errorf("a directory has no commits, but got %v", err)
	}
}

func TestAPlanForSomethingBrokenSaysSo(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inMemory)
	w.write("lorry-controller.conf", `[]`)
	w.read()
	p := w.plan(map[string][]byte{"lorry-controller.conf": []byte("[\n{")})
	if p.Broken == "" || len(p.Problems) != 1 || p.Problems[0].Line != 2 || p.Current == "" {
		t.Errorf("got %+v", p)
	}
}

func TestALorryThatMovesBetweenSectionsHasChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inMemory)
	w.write("lorry-controller.conf", `[{"type": "lorries", "interval": "1h", "prefix": "", "globs": ["a.lorry"]}]`)
	w.write("a.lorry", `{"x/one": {"type": "git", "url": "https://up.example.org/one"}}`)
	w.read()
	p := w.plan(map[string][]byte{
		"lorry-controller.conf": []byte(`[{"type": "lorries", "interval": "1h", "prefix": "x", "globs": ["a.lorry"]}]`),
		"a.lorry":               []byte(`{"one": {"type": "git", "url": "https://up.example.org/one"}}`),
	})
	want := []reconcile.PlannedLorry{{Path: "x/one", Section: "lorries:x", What: []string{`section: "lorries:" -> "lorries:x"`}}}
	if diff := cmp.Diff(want, p.Changed); diff != "" || len(p.Added)+len(p.Removed) > 0 {
		t.Errorf("%+v (-want +got):\n%s", p, diff)
	}
}

// TestAPlanForWhatWasHandedOver: rewrites that the section would let through stay
// held until the host has listed the repository, and the plan says no more.
func TestAPlanForWhatWasHandedOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t, inMemory)
	files := `{"type": "lorries", "interval": "2h", "prefix": "m", "rewrites": "hold", "globs": ["*.lorry"]}`
	w.write(confgit.ConfFile, conf(hostSection("a", `{"": "m"}`), files))
	w.write("f.lorry", lorryFile("x", "z"))
	w.hosts.has("a").err = core.Errorf(core.KindUnavailable, "away")
	w.read()
	w.write("f.lorry", lorryFile("z"))
	w.read()

	section := conf(hostSection("a", `{"": "m"}`, `"rewrites": "force"`, `"lorry-timeout": "3h"`), files)
	p := w.plan(map[string][]byte{confgit.ConfFile: []byte(section), "f.lorry": []byte(lorryFile("z"))})
	if len(p.Changed) != 1 || p.Changed[0].Path != "m/x" {
		t.Fatalf("got %+v", p)
	}
	before := w.lorries()[0]
	w.write(confgit.ConfFile, section)
	w.read()
	after := w.lorries()[0]
	want := []string{fmt.Sprintf("lorry-timeout: %s -> %s", before.Timeout, after.Timeout)}
	if diff := cmp.Diff(want, p.Changed[0].What); diff != "" || after.Rewrites != core.RewriteHold {
		t.Errorf("it became %+v; the plan says (-want +got):\n%s", after, diff)
	}
}
