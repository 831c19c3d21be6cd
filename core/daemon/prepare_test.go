package daemon

import (
	"context"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/retire"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

// fakeHosts is one Upstream Host and the Downstream Host, which remember what
// they were asked.
type fakeHosts struct {
	calls  []string
	repo   core.Repo
	access core.Access
	have   core.Have
	fail   error
	// failDownstream leaves the Upstream Host out of fail.
	failDownstream bool
	finished       []core.Want
	wished         []core.Want
}

func (f *fakeHosts) Upstream(string) (core.Upstream, error)     { return f, nil }
func (f *fakeHosts) Downstream(string) (core.Downstream, error) { return f, nil }
func (f *fakeHosts) Repos(context.Context) iter.Seq2[core.Repo, error] {
	return func(func(core.Repo, error) bool) {}
}

func (f *fakeHosts) Repo(_ context.Context, path string) (core.Repo, core.Access, error) {
	f.calls = append(f.calls, "repo "+path)
	if f.failDownstream {
		return core.Repo{Path: path}, f.access, nil
	}
	return f.repo, f.access, f.fail
}

func (f *fakeHosts) EnsureRepo(_ context.Context, want core.Want) (core.Have, error) {
	f.calls = append(f.calls, "ensure "+want.Path+" "+want.Head)
	f.wished = append(f.wished, want)
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

func TestPushOptionsGoWithTheJob(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &fakeHosts{repo: core.Repo{Path: "one"}, have: core.Have{PushOptions: []string{"skip-validation"}}}
	p := newPreparer(f, &now)
	for range 2 { // asked, and remembered
		got, err := p.Prepare(t.Context(), generated())
		if diff := cmp.Diff(f.have.PushOptions, got.PushOptions); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
}

// TestAMirrorThatWasMadeAnewIsToldOnce: the job that comes with it must not
// believe that what was pushed earlier is there.
func TestAMirrorThatWasMadeAnewIsToldOnce(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &fakeHosts{repo: core.Repo{Path: "one"}, have: core.Have{Created: true}}
	p := newPreparer(f, &now)
	var got []bool
	for range 2 {
		prepared, err := p.Prepare(t.Context(), generated())
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, prepared.Created)
	}
	if diff := cmp.Diff([]bool{true, false}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// archive remembers what was archived.
type archive map[string]int // attempts, by path

func (a archive) Retirement(_ context.Context, path string) (retire.Retirement, bool, error) {
	attempts, found := a[path]
	return retire.Retirement{Path: path, Attempts: attempts}, found, nil
}

func (a archive) ForgetRetirement(_ context.Context, path string) error {
	delete(a, path)
	return nil
}

func TestLorriesThatAreBackAreRevived(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for name, tt := range map[string]struct {
		retired archive
		revive  bool
	}{
		"never archived": {archive{}, false},
		"not yet tried":  {archive{"up/one": 0}, false},
		"perhaps":        {archive{"up/one": 1}, true},
	} {
		f := &fakeHosts{repo: core.Repo{Path: "one", CloneURL: "https://up.example.com/one.git"}}
		p := newPreparer(f, &now)
		for range 2 { // what is remembered must not hide that it was archived
			f.wished = nil
			if _, err := p.Prepare(t.Context(), generated()); err != nil {
				t.Fatal(err)
			}
			p.retired = tt.retired
		}
		if got := len(f.wished) == 1 && f.wished[0].Revive; got != tt.revive {
			t.Errorf("%s: revived: %v, wanted %v", name, f.wished, tt.revive)
		}
		if len(tt.retired) > 0 {
			t.Errorf("%s: still %v", name, tt.retired)
		}
	}
	// One that can't be revived is tried again with the next job.
	f := &fakeHosts{repo: core.Repo{Path: "one"}, have: core.Have{ReadOnlyReason: "it is archived"}}
	p := newPreparer(f, &now)
	p.retired = archive{"up/one": 1}
	if _, err := p.Prepare(t.Context(), generated()); err == nil || len(p.retired.(archive)) != 1 {
		t.Errorf("got %v, and %v is left", err, p.retired)
	}
}

func TestObjectsOfLFSAreWishedFor(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for key, want := range map[string]bool{``: true, `, "lfs": true`: true, `, "lfs": false`: false} {
		f := &fakeHosts{}
		l := generated()
		l.Host, l.Text = "", `{"up/one": {"type": "git", "url": "https://up.example.com/one.git"`+key+`}}`
		if _, err := newPreparer(f, &now).Prepare(t.Context(), l); err != nil {
			t.Fatal(err)
		}
		if len(f.wished) != 1 || f.wished[0].LFS != want {
			t.Errorf("with %q: got %+v", key, f.wished)
		}
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

func TestADirectoryIsToldOfEveryPush(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &fakeHosts{repo: core.Repo{Path: "one"}}
	p := newPreparer(f, &now)
	p.always = true
	for range 3 {
		if err := p.Pushed(t.Context(), generated(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if len(f.finished) != 3 {
		t.Errorf("told %d times of 3 pushes", len(f.finished))
	}
}

func TestRepositoryThatIsGoneAfterThePushIsEnsuredAgain(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &fakeHosts{repo: core.Repo{Path: "one"}}
	p := newPreparer(f, &now)
	if _, err := p.Prepare(t.Context(), generated()); err != nil {
		t.Fatal(err)
	}
	f.fail = core.Errorf(core.KindNotFound, "there is no such repository")
	if err := p.Pushed(t.Context(), generated(), "refs/heads/main"); core.KindOf(err) != core.KindNotFound {
		t.Fatalf("want kind %q, got %v", core.KindNotFound, err)
	}
	f.fail, f.calls = nil, nil
	if _, err := p.Prepare(t.Context(), generated()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"repo one", "ensure up/one "}, f.calls); diff != "" {
		t.Errorf("calls (-want +got):\n%s", diff)
	}
}

// The words of a .lorry file reach the Downstream Host; those of a Lorry that a
// host gave come from its listing.
func TestPrepareDescribes(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	f := &fakeHosts{repo: core.Repo{Path: "one"}}
	p := newPreparer(f, &now)
	written, listed := core.LorryState{}, generated()
	written.Path = "tool"
	written.Text = `{"tool": {"type": "git", "url": "https://git.example.org/tool.git", "description": "A tool"}}`
	listed.ListedDescription = "One of them"
	for _, l := range []core.LorryState{written, listed} {
		if err := p.Pushed(t.Context(), l, "refs/heads/main"); err != nil {
			t.Fatal(err)
		}
	}
	want := []core.Want{
		{Path: "tool", Head: "refs/heads/main", Description: "A tool", LFS: true},
		{Path: "up/one", Head: "refs/heads/main", Description: "One of them"},
	}
	if diff := cmp.Diff(want, f.finished); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

func TestAForgeDoesNotLeadIntoTheFileSystem(t *testing.T) {
	t.Parallel()
	now := time.Unix(1000, 0)
	for _, url := range []string{"file:///srv/private.git", "/srv/private.git"} {
		p := newPreparer(&fakeHosts{repo: core.Repo{Path: "one", CloneURL: url}}, &now)
		if _, err := p.Prepare(t.Context(), generated()); err != nil {
			t.Errorf("%s: with a root, as hosts of type local have one: %v", url, err)
		}
		p.fileRoots = func(core.LorryState) []string { return nil }
		if _, err := p.Prepare(t.Context(), generated()); err == nil || core.KindOf(err) != core.KindInvalid || !strings.Contains(err.Error(), url) {
			t.Errorf("%s: got %v, want a refusal that names it", url, err)
		}
	}
}
