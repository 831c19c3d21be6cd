package repo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func seeded(t *testing.T) (*Repo, *gittest.Repo) {
	t.Helper()
	gittest.Require(t, "git")
	dir := t.TempDir()
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home")})
	if err != nil {
		t.Fatal(err)
	}
	seed := gittest.Seed(t, filepath.Join(dir, "thing.git"))
	return &Repo{Dir: seed.Dir, Git: git}, seed
}

func TestRestorePutsEveryRefBack(t *testing.T) {
	t.Parallel()
	r, seed := seeded(t)
	seed.Commit("refs/heads/a/b", "in a directory")
	seed.Commit("refs/heads/c", "a file")
	want := seed.Mirrored()
	seed.Git("update-ref", "-d", "refs/heads/a/b")
	seed.Git("update-ref", "-d", "refs/heads/c")
	seed.Commit("refs/heads/a", "now a file")
	seed.Commit("refs/heads/c/d", "now in a directory")
	seed.Commit("refs/heads/main", "moved")
	seed.Git("update-ref", "refs/lorry/kept/x", "refs/heads/main")
	if err := r.Restore(t.Context(), want, "refs/heads/", "refs/tags/"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, seed.Mirrored()); diff != "" {
		t.Error(diff)
	}
	if len(seed.Refs("refs/lorry")) != 1 {
		t.Error("a ref outside was touched")
	}
}

func TestLost(t *testing.T) {
	t.Parallel()
	r, seed := seeded(t)
	old := seed.Refs()["refs/heads/main"]
	tag := seed.Refs()["refs/tags/v1"]
	first := seed.Git("rev-parse", "refs/heads/main^")
	for _, ref := range []string{"refs/heads/next", "refs/tags/light", "refs/tags/v1"} {
		seed.Git("update-ref", "-d", ref)
	}
	seed.Rewrite("refs/heads/main", "another root")
	missing := "1234567890123456789012345678901234567890"
	got, err := r.Lost(t.Context(), []string{old, first, tag, missing, seed.Refs()["refs/heads/main"]})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]bool{old: true, first: true, tag: true}, got); diff != "" {
		t.Error(diff)
	}
}

func TestHead(t *testing.T) {
	t.Parallel()
	r, seed := seeded(t)
	if got := r.Head(); got != "refs/heads/main" {
		t.Errorf("got %q", got)
	}
	if err := r.SetHead(t.Context(), "refs/heads/next"); err != nil {
		t.Fatal(err)
	}
	if got := seed.Git("symbolic-ref", "HEAD"); got != "refs/heads/next" || r.Head() != got {
		t.Errorf("got %q and %q", got, r.Head())
	}
}

func TestMaintainPacks(t *testing.T) {
	t.Parallel()
	r, seed := seeded(t)
	for i := range manyPacks + 3 {
		seed.Commit("refs/heads/main", fmt.Sprintf("commit %d", i))
		seed.Git("repack", "-q")
	}
	seed.Branches(ManyRefs, "many")
	if err := r.Maintain(t.Context(), ManyRefs); err != nil {
		t.Fatal(err)
	}
	packs, _ := filepath.Glob(filepath.Join(r.Dir, "objects", "pack", "*.pack"))
	if len(packs) > manyPacks {
		t.Errorf("%d packs are left", len(packs))
	}
	if _, err := os.Stat(filepath.Join(r.Dir, "refs", "heads", "main")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the refs are not packed: %v", err)
	}
	seed.Fsck()
	if usage := DiskUsage(r.Dir); usage < 4096 {
		t.Errorf("disk usage is %d", usage)
	}
}

func TestSweep(t *testing.T) {
	t.Parallel()
	now := time.Now()
	left := []string{
		"HEAD.lock", "packed-refs.lock", "packed-refs.new", "config.lock", "refs/heads/main.lock", "refs/heads/a/b.lock",
		"objects/pack/tmp_pack_abc", "objects/pack/.tmp-1-pack-x.pack", "objects/ab/tmp_obj_x", "objects/tmp_objdir-incoming-x/pack/y", "objects/info/commit-graphs/x.lock",
	}
	kept := []string{"HEAD", "packed-refs", "refs/heads/tmp_branch", "refs/heads/main", "objects/pack/pack-1.pack", "objects/ab/cdef"}
	tree := func(t *testing.T) string {
		dir := t.TempDir()
		for _, name := range append(append([]string{}, left...), kept...) {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for _, test := range []struct {
		name  string
		sweep func(dir string) (int, error)
		all   bool
	}{
		{"alone", Sweep, true},
		{"of a run that began before", func(dir string) (int, error) { return SweepSince(dir, now.Add(-time.Minute), now.Add(time.Hour)) }, true},
		{"of a run that began after", func(dir string) (int, error) { return SweepSince(dir, now.Add(time.Minute), now.Add(time.Hour)) }, false},
		{"too young", func(dir string) (int, error) { return SweepSince(dir, now.Add(-time.Minute), now) }, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := tree(t)
			removed, err := test.sweep(dir)
			if err != nil {
				t.Fatal(err)
			}
			want := 0
			if test.all {
				want = len(left)
			}
			if removed != want {
				t.Errorf("want %d removed, got %d", want, removed)
			}
			for _, name := range left {
				if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) == test.all {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, name := range kept {
				if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	// A pack's .keep is somebody's unless one is alone.
	dir := tree(t)
	keep := filepath.Join(dir, "objects", "pack", "pack-1.keep")
	if err := os.WriteFile(keep, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := SweepSince(dir, now.Add(-time.Minute), now.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(keep); err != nil {
		t.Error(err)
	}
	if _, err := Sweep(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(keep); err == nil {
		t.Error("a dead run's .keep was left")
	}
	if n, err := Sweep(filepath.Join(t.TempDir(), "gone")); n != 0 || err != nil {
		t.Errorf("got %d, %v", n, err)
	}
}
