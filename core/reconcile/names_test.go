package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

// strictNames is a host that has two components and does not tell upper case
// from lower.
type strictNames struct {
	asked int
	err   error
}

func (s *strictNames) check(_ context.Context, paths []string) ([]core.PathVerdict, error) {
	s.asked++
	verdicts := make([]core.PathVerdict, len(paths))
	for i, p := range paths {
		verdicts[i] = core.PathVerdict{Path: p, Normal: strings.ToLower(p)}
		if strings.Count(p, "/") != 1 {
			verdicts[i] = core.PathVerdict{Path: p, Problem: "it has not two components", Hint: "map it"}
		}
	}
	return verdicts, s.err
}

const named = `[{"type": "lorries", "prefix": "up", "globs": ["*.lorry"], "interval": "1h"},
 {"type": "fake", "host": "git.example.com", "prefixmap": {"": ""}, "ls-interval": "1h", "interval": "1h"}]`

func TestNamesAreCheckedOnceTheyChange(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w, names := newWorld(t, open), &strictNames{}
		w.names = names.check
		w.restart()
		w.hosts.has("git.example.com", "up/ONE", "a/b/c", "fine/x", "fine/y")
		w.write(confgit.ConfFile, named)
		w.write("a.lorry", `{"one": {"type": "git", "url": "https://git.example.org/one"},
 "deep/er": {"type": "git", "url": "https://git.example.org/er"}}`)
		w.read()
		w.list(true)
		got, err := w.store.Problems(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []core.Problem{
			{File: "a.lorry", Line: 2, Key: "deep/er", Severity: core.SeverityError, Message: `path "up/deep/er": it has not two components; map it`},
			{File: confgit.ConfFile, Key: "git.example.com", Severity: core.SeverityError, Message: `path "a/b/c": it has not two components; map it`},
			{
				File: confgit.ConfFile, Key: "git.example.com", Severity: core.SeverityError,
				Message: `path "up/ONE": mirrors to the same path as "up/one": both are "up/one" to the Downstream Host; this one is not mirrored until it has another path`,
			},
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if first, none := w.r.Taken("up/ONE"), w.r.Taken("up/one"); first != "up/one" || none != "" {
			t.Errorf("taken by %q and %q", first, none)
		}
		asked := names.asked
		w.read()
		w.list(true)
		if names.asked != asked {
			t.Errorf("it was asked %d times more although nothing changed", names.asked-asked)
		}
		w.write("a.lorry", `{"one": {"type": "git", "url": "https://git.example.org/one"}}`)
		w.read()
		w.list(false) // the host could give that path as well
		if got, err := w.store.Problems(t.Context()); err != nil || len(got) != 2 {
			t.Errorf("a problem that is mended is still told: %v, %v", got, err)
		}
	})
}

func TestNamesAreAskedAgainWhenTheHostIsBack(t *testing.T) {
	t.Parallel()
	w, names := newWorld(t, func(clock core.Clock) store { return newMemory(clock) }), &strictNames{err: errors.New("not now")}
	w.names = names.check
	w.restart()
	w.write(confgit.ConfFile, named)
	w.write("a.lorry", `{"deep/er": {"type": "git", "url": "https://git.example.org/er"}}`)
	if got := w.read(); len(got) != 0 {
		t.Errorf("problems without a verdict: %q", got)
	}
	names.err = nil
	if got := w.read(); len(got) != 1 || names.asked != 2 {
		t.Errorf("got %q after %d questions", got, names.asked)
	}
}

func TestManyNamesAreToldInFew(t *testing.T) {
	t.Parallel()
	c := &confgit.Config{}
	for i := range 50_000 {
		c.Lorries = append(c.Lorries, core.Lorry{Path: fmt.Sprintf("a/b/%d", i), Section: "lorries:a"})
	}
	got, err := reconcile.CheckNames(t.Context(), (&strictNames{}).check, c)
	if err != nil || len(got) != 21 || !strings.Contains(fmt.Sprint(got), "49980 more paths of lorries:a") {
		t.Errorf("got %d problems, %v", len(got), err)
	}
}

func TestNamesWithoutRulesAreNoProblem(t *testing.T) {
	t.Parallel()
	none := func(context.Context, []string) ([]core.PathVerdict, error) { return nil, nil }
	c := &confgit.Config{Lorries: []core.Lorry{{Path: "a"}, {Path: "A"}}}
	if got, err := reconcile.CheckNames(t.Context(), none, c); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
	short := func(context.Context, []string) ([]core.PathVerdict, error) { return make([]core.PathVerdict, 1), nil }
	if _, err := reconcile.CheckNames(t.Context(), short, c); err == nil {
		t.Error("a verdict that is missing is not noticed")
	}
}
