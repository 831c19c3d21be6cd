package repo

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestDropManyRefs: refs that are deleted in bulk are gone wherever they stood,
// tags too; others stay, and nothing goes when one is not as it should be.
func TestDropManyRefs(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(seed *gittest.Repo){
		"nothing is packed":   func(*gittest.Repo) {},
		"all is packed":       func(seed *gittest.Repo) { seed.Git("pack-refs", "--all") },
		"packed and changed":  func(seed *gittest.Repo) { seed.Git("pack-refs", "--all"); seed.Branches(20, "newer") },
		"packed, no peels":    func(seed *gittest.Repo) { seed.Git("pack-refs", "--all"); packedPlainly(seed) },
		"a link among others": func(seed *gittest.Repo) { seed.Git("symbolic-ref", "refs/heads/link", "refs/heads/main") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, seed := seeded(t)
			seed.Branches(30, "many")
			for i := range 3 {
				seed.Git("tag", "-m", "x", fmt.Sprintf("t%d", i), "refs/heads/main")
			}
			prepare(seed)
			want := seed.Refs()
			var drop []Change
			for i := range 25 {
				ref := fmt.Sprintf("refs/heads/b/%04d", i)
				drop = append(drop, Change{Ref: ref, Old: want[ref]})
			}
			for _, ref := range []string{"refs/tags/t0", "refs/tags/t2", "refs/heads/none"} {
				drop = append(drop, Change{Ref: ref})
			}
			wrong := append([]Change{{Ref: "refs/heads/b/0026", Old: want["refs/heads/main"]}}, drop...)
			if err := r.Drop(t.Context(), wrong); err == nil {
				t.Error("a ref that is not as it should be was no error")
			}
			if diff := cmp.Diff(want, seed.Refs()); diff != "" {
				t.Error(diff)
			}
			for range 2 {
				if err := r.Drop(t.Context(), drop); err != nil {
					t.Fatal(err)
				}
				maps.DeleteFunc(want, func(ref, _ string) bool {
					for _, c := range drop {
						if c.Ref == ref {
							return true
						}
					}
					return false
				})
				if diff := cmp.Diff(want, seed.Refs()); diff != "" {
					t.Error(diff)
				}
				for i := range drop {
					drop[i].Old = ""
				}
			}
			seed.Fsck()
			if _, err := os.Lstat(filepath.Join(r.Dir, "packed-refs.lock")); err == nil {
				t.Error("a lock is left")
			}
		})
	}
}
