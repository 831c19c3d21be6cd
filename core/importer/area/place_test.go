package area

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestNamesThatMeet(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for range 2 {
		first, second := open(t, root, "a/b_c"), open(t, root, "a_b/c")
		if want := filepath.Join(root, "a_b_c"); first.Dir != want {
			t.Errorf("want %s, got %s", want, first.Dir)
		}
		if want := filepath.Join(root, "a_b_c-02d7306b94c0.git"); second.Dir != want {
			t.Errorf("want %s, got %s", want, second.Dir)
		}
		first.Close()
		second.Close()
	}
	// One that has a directory of its own keeps it when the other has gone.
	if err := os.RemoveAll(filepath.Join(root, "a_b_c")); err != nil {
		t.Fatal(err)
	}
	if a := open(t, root, "a_b/c"); filepath.Base(a.Dir) != "a_b_c-02d7306b94c0.git" {
		t.Errorf("got %s", a.Dir)
	}
}

func TestOldWorkingAreaIsAdopted(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "a_b", "git"), 0o755); err != nil {
		t.Fatal(err)
	}
	if a := open(t, root, "a/b"); a.Dir != filepath.Join(root, "a_b") {
		t.Errorf("got %s", a.Dir)
	}
}

func TestLongNames(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	part := strings.Repeat("ü", 100)
	one, two := open(t, root, part+"/"+part), open(t, root, part+"_"+part)
	if one.Dir == two.Dir {
		t.Errorf("both are in %s", one.Dir)
	}
	if name := filepath.Base(one.Dir); len(name) > 255 || !strings.HasPrefix(name, strings.Repeat("ü", 100)+"_") || !strings.HasSuffix(name, ".git") {
		t.Errorf("got %s", name)
	}
}

func TestNamesThatMeetAtOnce(t *testing.T) {
	t.Parallel()
	for range 20 {
		root := t.TempDir()
		names := []string{"a/b/c", "a_b/c", "a/b_c", "a_b_c"}
		dirs := make([]string, len(names))
		var all sync.WaitGroup
		for i, name := range names {
			all.Go(func() {
				a, err := Open(t.Context(), root, name, 10*time.Second, time.Now)
				if err != nil {
					t.Error(err)
					return
				}
				dirs[i] = a.Dir
				a.Close()
			})
		}
		all.Wait()
		seen := map[string]string{}
		for i, dir := range dirs {
			if other := seen[dir]; other != "" {
				t.Errorf("%s and %s share %s", other, names[i], dir)
			}
			seen[dir] = names[i]
			if diff := cmp.Diff(names[i], ownerOf(dir)); diff != "" {
				t.Error(diff)
			}
		}
	}
}

// TestHostileNames draws names that come as near to each other as they can,
// and to the directories' names themselves.
func TestHostileNames(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		root := t.TempDir()
		parts := rapid.SampledFrom([]string{"a", "b", "a_b", "_", "a_b-02d7306b94c0", "git", "name", "lock", "a*", "ü"})
		dirs := map[string]string{}
		for range rapid.IntRange(2, 12).Draw(r, "names") {
			name := strings.Join(rapid.SliceOfN(parts, 1, 3).Draw(r, "parts"), rapid.SampledFrom([]string{"/", "_"}).Draw(r, "between"))
			a, err := Open(t.Context(), root, name, time.Second, time.Now)
			if err != nil {
				r.Fatalf("%q: %v", name, err)
			}
			a.Close()
			if owner := dirs[a.Dir]; owner != "" && owner != name {
				r.Fatalf("%q and %q share %s", owner, name, a.Dir)
			}
			if rel, err := filepath.Rel(root, a.Dir); err != nil || strings.Contains(rel, "/") || strings.HasPrefix(rel, ".") {
				r.Fatalf("%q is at %s", name, a.Dir)
			}
			dirs[a.Dir] = name
			if again := Dir(root, name); again != a.Dir {
				r.Fatalf("%q was at %s, then at %s", name, a.Dir, again)
			}
		}
	})
}

// TestOldTipsOutliveDamage: a repository that was set aside with old tips goes
// neither for the next one nor to make room, until they have been saved.
func TestOldTipsOutliveDamage(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	a := open(t, root, "thing")
	damaged := func() {
		if err := os.MkdirAll(filepath.Join(a.GitDir(), "refs", "lorry", "kept", "heads", "main"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(a.GitDir(), "refs", "lorry", "kept", "heads", "main", "x"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := a.SetAside(false); err != nil {
			t.Fatal(err)
		}
	}
	damaged()
	damaged()
	copies := a.FailedCopies()
	if len(copies) != 2 {
		t.Fatalf("got %q", copies)
	}
	a.Close()
	room := func(want int) {
		if err := Evict(root, 1<<60, func(string) {}); err != nil {
			t.Fatal(err)
		}
		if left := a.FailedCopies(); len(left) != want {
			t.Errorf("want %d copies, got %q", want, left)
		}
	}
	room(2)
	if err := os.WriteFile(filepath.Join(copies[0], RescuedName), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	room(2)
	if err := os.WriteFile(filepath.Join(copies[1], RescuedName), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	room(0)
}
