package local

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/sdk"
)

func git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v: %s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func newAdapter(t *testing.T, s Settings) *Adapter {
	t.Helper()
	if s.DefaultBranch == "" {
		s.DefaultBranch = "main"
	}
	a, err := open(t.Context(), sdk.Env{Log: hclog.NewNullLogger()}, s)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// listed gives the paths of a listing and its error.
func listed(a *Adapter) (paths []string, err error) {
	for repo, e := range a.Repos(context.Background(), sdk.Query{}) {
		if e != nil {
			err = e
			continue
		}
		paths = append(paths, repo.Path)
	}
	slices.Sort(paths)
	return paths, err
}

func mkdir(t *testing.T, parts ...string) string {
	t.Helper()
	dir := filepath.Join(parts...)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestListingLeavesOutWhatIsNoRepository(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	for _, name := range []string{"a.git", "plain", "group/b.git", "both", "both.git", "outside/x.git", "evil\nname.git", ".hidden/c.git", "y.tmp-1/d.git", "lost+found/e.git"} {
		git(t, "init", "-q", "--bare", mkdir(t, base, "tree", name))
	}
	git(t, "init", "-q", mkdir(t, base, "tree", "worktree"))
	git(t, "init", "-q", "--bare", mkdir(t, base, "tree", "worktree", "inner.git"))
	git(t, "init", "-q", "--bare", mkdir(t, base, "tree", "a.git", "nested.git"))
	git(t, "init", "-q", "--bare", mkdir(t, base, "elsewhere", "f.git"))
	if err := os.Symlink(filepath.Join(base, "elsewhere"), filepath.Join(base, "tree", "link")); err != nil {
		t.Fatal(err)
	}
	mkdir(t, base, "tree", "empty", "directory")
	got, err := listed(newAdapter(t, Settings{Path: filepath.Join(base, "tree")}))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a", "both", "group/b", "outside/x", "plain"}, got); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
}

func TestListingOfAMissingDirectoryFails(t *testing.T) {
	t.Parallel()
	if _, err := listed(newAdapter(t, Settings{Path: filepath.Join(t.TempDir(), "none")})); err == nil || sdk.KindOf(err) != sdk.Unavailable {
		t.Errorf("want an error of kind %q, got %v", sdk.Unavailable, err)
	}
}

func TestFactsOfARepository(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	a := newAdapter(t, Settings{Path: base})
	dir := filepath.Join(base, "repo.git")
	git(t, "init", "-q", "--bare", "-b", "trunk", dir)
	fact := func() sdk.Repo {
		t.Helper()
		repo, _, err := a.Repo(t.Context(), "repo")
		if err != nil {
			t.Fatal(err)
		}
		return repo
	}
	first := fact()
	want := sdk.Repo{Path: "repo", CloneURL: "file://" + dir, Head: "refs/heads/trunk", Empty: true, ChangeHint: first.ChangeHint}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("empty repository (-want +got):\n%s", diff)
	}
	work := filepath.Join(t.TempDir(), "work")
	git(t, "init", "-q", "-b", "trunk", work)
	git(t, "-C", work, "commit", "-q", "--allow-empty", "-m", "one")
	git(t, "-C", work, "push", "-q", dir, "trunk")
	second := fact()
	if second.Empty || second.ChangeHint == first.ChangeHint {
		t.Errorf("after a push: empty %v, hint %q as before", second.Empty, second.ChangeHint)
	}
	if again := fact(); again.ChangeHint != second.ChangeHint {
		t.Errorf("the hint changed by itself from %q to %q", second.ChangeHint, again.ChangeHint)
	}
	git(t, "--git-dir", dir, "pack-refs", "--all")
	if packed := fact(); packed.Empty {
		t.Error("a repository with packed refs is empty")
	}
	if err := os.WriteFile(filepath.Join(dir, "description"), []byte(" Some words \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("Some words", fact().Description); diff != "" {
		t.Errorf("description (-want +got):\n%s", diff)
	}
}

func TestEnsuredRepositoryTakesAPushAndItsHeadFollows(t *testing.T) {
	t.Parallel()
	base := filepath.Join(t.TempDir(), "not", "yet")
	a := newAdapter(t, Settings{BaseDirectory: base})
	want := sdk.Want{Path: "group/repo", Description: "Two\nlines", Head: "refs/heads/trunk"}
	have, err := a.Ensure(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(base, "group/repo.git")
	if got := git(t, "--git-dir", dir, "symbolic-ref", "HEAD"); got != "refs/heads/trunk" {
		t.Errorf("HEAD is %s", got)
	}
	if got := git(t, "--git-dir", dir, "config", "receive.unpackLimit"); got != "1" {
		t.Errorf("receive.unpackLimit is %s", got)
	}
	work := filepath.Join(t.TempDir(), "work")
	git(t, "init", "-q", "-b", "trunk", work)
	git(t, "-C", work, "commit", "-q", "--allow-empty", "-m", "one")
	git(t, "-C", work, "push", "-q", have.URL, "trunk:trunk", "trunk:next")
	for _, step := range []struct{ head, result string }{{"refs/heads/absent", "refs/heads/trunk"}, {"refs/heads/next", "refs/heads/next"}} {
		want.Head = step.head
		if err := a.AfterPush(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got := git(t, "--git-dir", dir, "symbolic-ref", "HEAD"); got != step.result {
			t.Errorf("after a push with the default branch %s, HEAD is %s, want %s", step.head, got, step.result)
		}
	}
	git(t, "--git-dir", dir, "fsck", "--strict")
	if raw, _ := os.ReadFile(filepath.Join(dir, "description")); string(raw) != "Two lines\n" {
		t.Errorf("description %q", raw)
	}
}

func TestRefusedPaths(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	a := newAdapter(t, Settings{BaseDirectory: filepath.Join(base, "mirrors")})
	git(t, "init", "-q", "--bare", mkdir(t, base, "mirrors", "bare"))
	if err := os.Symlink(base, filepath.Join(base, "mirrors", "link")); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{
		"", ".", "..", "../x", "/x", "x/", "x//y", "x/../y", "x\x00", "x\ny", "x\\y", ".x", "x/.git/y", "-x", "x/-y", "x.git", "X.GIT", "x.git/y",
		"x.lock", "x.lock/y", "bare/inner", "link/escaped", strings.Repeat("a", 201), strings.Repeat("a/", 600) + "a", "x\xff",
	} {
		if _, err := a.Ensure(t.Context(), sdk.Want{Path: p}); err == nil || sdk.KindOf(err) != sdk.Invalid {
			t.Errorf("%.30q: want an error of kind %q, got %v", p, sdk.Invalid, err)
		}
	}
	if _, err := os.Lstat(filepath.Join(base, "escaped.git")); err == nil {
		t.Error("a repository was made outside the base directory")
	}
	if _, err := a.Ensure(t.Context(), sdk.Want{Path: "x", Head: "refs/heads/a..b"}); err == nil || sdk.KindOf(err) != sdk.Invalid {
		t.Errorf("a bad branch: got %v", err)
	}
}

func TestSomethingElseInTheWayIsKept(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	a := newAdapter(t, Settings{BaseDirectory: base})
	keep := filepath.Join(mkdir(t, base, "x.git"), "precious")
	if err := os.WriteFile(keep, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(base, "y.git")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"x", "y"} {
		if _, err := a.Ensure(t.Context(), sdk.Want{Path: path}); err == nil || sdk.KindOf(err) != sdk.Conflict {
			t.Errorf("%s: want an error of kind %q, got %v", path, sdk.Conflict, err)
		}
	}
	for _, kept := range []string{keep, file} {
		if _, err := os.Stat(kept); err != nil {
			t.Error(err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(base, ".*")); len(left) > 0 {
		t.Errorf("left over: %v", left)
	}
}

func TestLeftoversOfADeadMakerAreRemoved(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	old, fresh := mkdir(t, base, ".x.git.tmp-OLD"), mkdir(t, base, ".x.git.tmp-FRESH")
	long := time.Now().Add(-2 * leftover)
	if err := os.Chtimes(old, long, long); err != nil {
		t.Fatal(err)
	}
	if _, err := newAdapter(t, Settings{BaseDirectory: base}).Ensure(t.Context(), sdk.Want{Path: "x"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old one is still there")
	}
	if _, err := os.Stat(fresh); err != nil {
		t.Error("the fresh one is gone: its maker may be at work")
	}
}

func FuzzCheckPath(f *testing.F) {
	for _, p := range []string{"a", "a/b", "../a", "a\x00", ".git", "a.lock/b"} {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, p string) {
		if checkPath(p) != nil {
			return
		}
		if !filepath.IsLocal(p) || filepath.Clean(p) != p || strings.Contains(strings.ToLower(p), ".git/") {
			t.Errorf("%q is allowed", p)
		}
	})
}

func FuzzValidRef(f *testing.F) {
	for _, ref := range []string{"refs/heads/main", "refs/heads/a..b", "refs/heads/@{", "refs/tags/x", "refs/heads/-x"} {
		f.Add(ref)
	}
	f.Fuzz(func(t *testing.T, ref string) {
		if validRef(ref) && strings.ContainsAny(ref, "\n\x00 ~^:") {
			t.Errorf("%q is allowed", ref)
		}
	})
}
