package daemon

import (
	"context"
	"errors"
	"iter"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

// fakeHosts is one Upstream Host and the Downstream Host, which remember what
// they were asked.
type fakeHosts struct {
	calls    []string
	repo     core.Repo
	access   core.Access
	have     core.Have
	fail     error
	finished []core.Want
}

func (f *fakeHosts) Upstream(string) (core.Upstream, error)     { return f, nil }
func (f *fakeHosts) Downstream(string) (core.Downstream, error) { return f, nil }
func (f *fakeHosts) Repos(context.Context) iter.Seq2[core.Repo, error] {
	return func(func(core.Repo, error) bool) {}
}

func (f *fakeHosts) Repo(_ context.Context, path string) (core.Repo, core.Access, error) {
	f.calls = append(f.calls, "repo "+path)
	return f.repo, f.access, f.fail
}

func (f *fakeHosts) EnsureRepo(_ context.Context, want core.Want) (core.Have, error) {
	f.calls = append(f.calls, "ensure "+want.Path+" "+want.Head)
	return f.have, f.fail
}

func (f *fakeHosts) AfterPush(_ context.Context, want core.Want) error {
	f.finished = append(f.finished, want)
	return f.fail
}

func newPreparer(f *fakeHosts, now *time.Time) *preparer {
	return &preparer{
		adapters:  f,
		access:    func(core.LorryState) *core.Access { return nil },
		fileRoots: func(core.LorryState) []string { return []string{"/srv"} },
		clock:     func() time.Time { return *now },
	}
}

func generated() core.LorryState {
	var l core.LorryState
	l.Path, l.Host, l.HostPath, l.Timeout = "up/one", "up", "one", time.Hour
	return l
}

func TestPrepareAsksOnceAndAgainWhenItMust(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &fakeHosts{repo: core.Repo{Path: "one", CloneURL: "https://up.example.com/one.git", Head: "refs/heads/trunk"}}
	p := newPreparer(f, &now)
	prepare := func(l core.LorryState) minions.Prepared {
		t.Helper()
		got, err := p.Prepare(t.Context(), l)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	got := prepare(generated())
	if want := "https://up.example.com/one.git"; got.Fetch == nil || got.Fetch.URL != want {
		t.Errorf("want to fetch from %q, got %v", want, got.Fetch)
	}
	once := []string{"repo one", "ensure up/one refs/heads/trunk"}
	prepare(generated())
	if diff := cmp.Diff(once, f.calls); diff != "" {
		t.Errorf("a second job asked the hosts again (-want +got):\n%s", diff)
	}
	failed := generated()
	failed.LastFailure = core.Failure{Kind: core.FailRefused}
	prepare(failed)
	if diff := cmp.Diff(append(once, once...), f.calls); diff != "" {
		t.Errorf("after a failure the hosts must be asked (-want +got):\n%s", diff)
	}
	now = now.Add(factsMaxAge + time.Second)
	prepare(generated())
	if got, want := len(f.calls), 6; got != want {
		t.Errorf("want %d calls once the facts are old, got %d", want, got)
	}
}

func TestPrepareRefusesAReadOnlyRepository(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &fakeHosts{have: core.Have{ReadOnlyReason: "it is archived"}, repo: core.Repo{Path: "one"}}
	_, err := newPreparer(f, &now).Prepare(t.Context(), generated())
	if err == nil || core.KindOf(err) != core.KindReadOnly {
		t.Fatalf("want kind %s, got %v", core.KindReadOnly, err)
	}
}

func TestPrepareKeepsTheKindOfAFailure(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &fakeHosts{fail: core.Errorf(core.KindRateLimited, "asked too often")}
	_, err := newPreparer(f, &now).Prepare(t.Context(), generated())
	if core.KindOf(err) != core.KindRateLimited {
		t.Errorf("want kind %s, got %v", core.KindRateLimited, err)
	}
	f.fail = errors.New("no")
	if _, err = newPreparer(f, &now).Prepare(t.Context(), generated()); core.KindOf(err) != core.KindInternal {
		t.Errorf("want kind %s, got %v", core.KindInternal, err)
	}
}

func TestPushedTellsTheHostEachChangeOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &fakeHosts{repo: core.Repo{Path: "one"}}
	p := newPreparer(f, &now)
	if _, err := p.Prepare(t.Context(), generated()); err != nil {
		t.Fatal(err)
	}
	for _, head := range []string{"refs/heads/main", "refs/heads/main", "refs/heads/trunk"} {
		if err := p.Pushed(t.Context(), generated(), head); err != nil {
			t.Fatal(err)
		}
	}
	want := []core.Want{{Path: "up/one", Head: "refs/heads/main"}, {Path: "up/one", Head: "refs/heads/trunk"}}
	if diff := cmp.Diff(want, f.finished); diff != "" {
		t.Errorf("AfterPush (-want +got):\n%s", diff)
	}
}
