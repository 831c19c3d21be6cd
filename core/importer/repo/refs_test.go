package repo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestRefsAreThoseThatGitReads changes and packs refs in every order and
// compares with git.
func TestRefsAreThoseThatGitReads(t *testing.T) {
	t.Parallel()
	_, seed := seeded(t)
	objects := []string{seed.Git("rev-parse", "refs/heads/main"), seed.Git("rev-parse", "refs/heads/next"), seed.Git("rev-parse", "refs/tags/v1^{commit}")}
	names := []string{"refs/heads/a", "refs/heads/b/c", "refs/heads/b/d", "refs/tags/x", "refs/lorry/kept/y", "refs/heads/ünï", "refs/notes/z"}
	rapid.Check(t, func(t *rapid.T) {
		for range rapid.IntRange(1, 6).Draw(t, "steps") {
			name := rapid.SampledFrom(names).Draw(t, "name")
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0:
				seed.Git("pack-refs", "--all", "--prune")
			case 1:
				seed.Git("update-ref", "-d", name)
			default:
				seed.Git("update-ref", name, rapid.SampledFrom(objects).Draw(t, "object"))
			}
		}
		got, err := readRefs(seed.Dir)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for line := range strings.Lines(seed.Git("for-each-ref", "--format=%(objectname) %(refname)") + "\n") {
			if object, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
				want[name] = object
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
	})
}

// TestOddRefsAreGitsToRead: what may mean something else than it seems is not
// read here, and Refs gives what git says.
func TestOddRefsAreGitsToRead(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		odd  func(t *testing.T, seed *gittest.Repo) error
	}{
		{"symbolic", func(_ *testing.T, seed *gittest.Repo) error {
			seed.Git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
			return nil
		}},
		{"empty file", func(_ *testing.T, seed *gittest.Repo) error {
			return os.WriteFile(filepath.Join(seed.Dir, "refs/heads/torn"), nil, 0o644)
		}},
		{"half a name", func(_ *testing.T, seed *gittest.Repo) error {
			return os.WriteFile(filepath.Join(seed.Dir, "refs/heads/torn"), []byte("1234"), 0o644)
		}},
		{"no object", func(_ *testing.T, seed *gittest.Repo) error {
			return os.WriteFile(filepath.Join(seed.Dir, "refs/heads/zero"), []byte(strings.Repeat("0", 40)+"\n"), 0o644)
		}},
		{"a link", func(_ *testing.T, seed *gittest.Repo) error {
			seed.Git("update-ref", "refs/heads/main", "refs/heads/main")
			return os.Symlink("main", filepath.Join(seed.Dir, "refs/heads/link"))
		}},
		{"a name that is none", func(_ *testing.T, seed *gittest.Repo) error {
			return os.WriteFile(filepath.Join(seed.Dir, "refs/heads/a..b"), []byte(strings.Repeat("1", 40)+"\n"), 0o644)
		}},
		{"another table of refs", func(_ *testing.T, seed *gittest.Repo) error {
			return os.Mkdir(filepath.Join(seed.Dir, "reftable"), 0o755)
		}},
		{"packed-refs that is none", func(_ *testing.T, seed *gittest.Repo) error {
			f, err := os.OpenFile(filepath.Join(seed.Dir, "packed-refs"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintf(f, "%s\n", strings.Repeat("1", 40))
			return errors.Join(err, f.Close())
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r, seed := seeded(t)
			if err := test.odd(t, seed); err != nil {
				t.Fatal(err)
			}
			if got, err := readRefs(r.Dir); err == nil {
				t.Errorf("got %v", got)
			}
			out, failed := seed.Try("for-each-ref", "--format=%(objectname) %(refname)")
			got, err := r.Refs(t.Context())
			if (err != nil) != (failed != nil) {
				t.Fatalf("git says %v, %s; got %v", failed, out, err)
			}
			for name, object := range got {
				if !strings.Contains(out, object+" "+name) {
					t.Errorf("git does not say %s %s", object, name)
				}
			}
		})
	}
}

func FuzzReadPacked(f *testing.F) {
	f.Add("# pack-refs with: peeled fully-peeled sorted \n" + strings.Repeat("1", 40) + " refs/heads/main\n^" + strings.Repeat("2", 40) + "\n")
	f.Fuzz(func(t *testing.T, text string) {
		path := filepath.Join(t.TempDir(), "packed-refs")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		refs := map[string]string{}
		if readPacked(path, refs) != nil {
			return
		}
		for name, object := range refs {
			if !strings.HasPrefix(name, "refs/") || !PlainName(name) || !strings.Contains(text, object+" "+name) {
				t.Errorf("%q became %s %s", text, object, name)
			}
		}
	})
}
