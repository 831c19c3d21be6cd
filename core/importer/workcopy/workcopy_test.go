package workcopy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

func refs(names ...string) map[string]string {
	m := make(map[string]string)
	for _, name := range names {
		m["refs/heads/"+name] = "1"
	}
	return m
}

func TestClashing(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name           string
		before, wanted map[string]string
		want           []string
	}{
		{"nothing", refs("a", "b"), refs("a", "c"), nil},
		{"a directory becomes a file", refs("a/b", "a/c", "d"), refs("a", "d"), []string{"a/b", "a/c"}},
		{"a file becomes a directory", refs("a", "b"), refs("a/x/y", "b"), []string{"a"}},
		{"deep", refs("a/b/c"), refs("a"), []string{"a/b/c"}},
		{"same beginning is no directory", refs("ab"), refs("a", "abc"), nil},
		{"what stays is no clash", refs("a", "b/c"), refs("a", "b/c", "b/d"), nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var want []repo.Change
			for _, name := range test.want {
				want = append(want, repo.Change{Ref: "refs/heads/" + name})
			}
			if diff := cmp.Diff(want, Clashing(test.before, test.wanted)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestDiffering(t *testing.T) {
	t.Parallel()
	before, after := refs("same", "gone", "moved"), refs("same", "new", "moved")
	after["refs/heads/moved"] = "2"
	if got := Differing(before, after); got != 3 {
		t.Errorf("want 3, got %d", got)
	}
	if got := Differing(before, refs("same", "gone", "new", "moved")); got != 1 {
		t.Errorf("want 1, got %d", got)
	}
}
