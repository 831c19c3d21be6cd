package repo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestPackRefs moves every ref into one file and leaves no directory behind;
// what cannot be packed stays as it is.
func TestPackRefs(t *testing.T) {
	t.Parallel()
	r, seed := seeded(t)
	seed.Branches(30, "many")
	seed.Git("symbolic-ref", "refs/heads/link", "refs/heads/main")
	seed.Git("update-ref", "refs/lorry/kept/heads/deep/below/x", "refs/heads/main")
	before := seed.Git("for-each-ref", "--format=%(refname) %(objectname) %(*objectname) %(symref)")
	for range 2 {
		if err := r.PackRefs(t.Context()); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(before, seed.Git("for-each-ref", "--format=%(refname) %(objectname) %(*objectname) %(symref)")); diff != "" {
			t.Error(diff)
		}
	}
	var left []string
	err := filepath.WalkDir(filepath.Join(r.Dir, "refs"), func(path string, _ os.DirEntry, err error) error {
		left = append(left, strings.TrimPrefix(path, r.Dir+"/"))
		return err
	})
	if diff := cmp.Diff([]string{"refs", "refs/heads", "refs/heads/link", "refs/lorry", "refs/tags"}, left); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	seed.Git("update-ref", "-d", "refs/lorry/kept/heads/deep/below/x")
	seed.Git("update-ref", "refs/lorry/kept/heads/deep", "refs/heads/main^")
	seed.Fsck()
}

// TestAddManyRefs: refs that are added in bulk are there as those that git makes,
// beside packed and loose ones, tags too.
func TestAddManyRefs(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(seed *gittest.Repo){
		"nothing is packed":      func(*gittest.Repo) {},
		"all is packed":          func(seed *gittest.Repo) { seed.Git("pack-refs", "--all") },
		"one in another's way":   func(seed *gittest.Repo) { seed.Git("update-ref", "refs/lorry/kept/heads/0002/sub", "refs/heads/main") },
		"packed without peels":   func(seed *gittest.Repo) { packedPlainly(seed) },
		"one is there, the same": func(seed *gittest.Repo) { seed.Git("update-ref", "refs/lorry/kept/heads/0003", "refs/heads/main") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, seed := seeded(t)
			prepare(seed)
			want := seed.Refs()
			var refs []Change
			for i := range 40 {
				object := seed.Git("rev-parse", "refs/heads/main")
				if i%7 == 0 {
					object = seed.Git("rev-parse", "refs/tags/v1")
				}
				refs = append(refs, Change{Ref: fmt.Sprintf("refs/lorry/kept/heads/%04d", i), New: strings.TrimSpace(object)})
			}
			err := r.Add(t.Context(), refs)
			if name == "one in another's way" {
				if err == nil {
					t.Fatal("two refs in each other's way were made")
				}
			} else {
				for _, c := range refs {
					want[c.Ref] = c.New
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(want, seed.Refs()); diff != "" {
				t.Error(diff)
			}
			seed.Git("pack-refs", "--all")
			if got := strings.TrimSpace(seed.Git("rev-parse", "refs/tags/v1^{}")); !strings.Contains(seed.Git("show-ref", "-d"), got+" refs/tags/v1^{}") {
				t.Error("what the tag leads to is lost")
			}
			seed.Fsck()
		})
	}
}

// packedPlainly packs refs as programs do that do not say what tags lead to.
func packedPlainly(seed *gittest.Repo) {
	seed.Git("pack-refs", "--all")
	path := filepath.Join(seed.Dir, "packed-refs")
	text, err := os.ReadFile(path)
	if err != nil {
		panic(err)
	}
	lines := []string{"# pack-refs with: sorted \n"}
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "^") {
			lines = append(lines, line)
		}
	}
	if err := os.WriteFile(path, []byte(strings.Join(lines, "")), 0o644); err != nil {
		panic(err)
	}
}
