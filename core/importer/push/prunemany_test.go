package push

import (
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// refuse is a hook of the mirror that keeps one ref from being deleted.
const refuse = "#!/bin/sh\n[ \"$1\" != refs/heads/b/0003 ]\n"

// TestManyPrunedRefs: very many refs are deleted without a lease for each, and
// still none that is not as it was seen, nor any other; what others have put
// there stays, whether its objects are known here or not.
func TestManyPrunedRefs(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		before func(down *gittest.Repo)
		early  func(down *gittest.Repo) // after the mirror was looked at first
		meddle func(down *gittest.Repo) // after it was looked at last
		stays  []string                 // of those to be deleted
		left   int                      // so many are left for leases
	}{
		{name: "nobody meddles"},
		{name: "others' refs", before: func(down *gittest.Repo) {
			down.Commit("refs/heads/ours", "local work")
			down.Commit("refs/heads/b/ours", "more of it")
			down.Git("tag", "-m", "local tag", "local", "refs/heads/ours")
		}},
		{name: "one changes", meddle: func(down *gittest.Repo) { down.Commit("refs/heads/b/0003", "somebody else's") }, stays: []string{"refs/heads/b/0003"}, left: 9},
		{name: "one has changed", early: func(down *gittest.Repo) { down.Commit("refs/heads/b/0003", "somebody else's") }, stays: []string{"refs/heads/b/0003"}, left: 1},
		{name: "one has gone", early: func(down *gittest.Repo) { down.Git("update-ref", "-d", "refs/heads/b/0003") }, left: 1},
		{name: "another has changed", early: func(down *gittest.Repo) { down.Commit("refs/heads/main", "somebody else's") }},
		{name: "one goes", meddle: func(down *gittest.Repo) { down.Git("update-ref", "-d", "refs/heads/b/0003") }, left: 9},
		{name: "another comes", meddle: func(down *gittest.Repo) { down.Commit("refs/heads/b/new", "somebody else's") }, left: 9},
		{name: "another goes back", meddle: func(down *gittest.Repo) { down.Git("update-ref", "refs/heads/main", "refs/heads/main~1") }, left: 9},
		{name: "one is refused", before: func(down *gittest.Repo) {
			if err := os.MkdirAll(filepath.Join(down.Dir, "hooks"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(down.Dir, "hooks", "update"), []byte(refuse), 0o755); err != nil {
				t.Fatal(err)
			}
		}, stays: []string{"refs/heads/b/0003"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home")})
			if err != nil {
				t.Fatal(err)
			}
			from := gittest.Seed(t, filepath.Join(dir, "from.git"))
			from.Commit("refs/heads/main", "two")
			from.Branches(8, "old")
			from.Git("tag", "b/v", "refs/heads/main")
			from.Git("clone", "-q", "--mirror", from.Dir, filepath.Join(dir, "srv", "down.git"))
			down := gittest.OpenRepo(t, filepath.Join(dir, "srv", "down.git"))
			down.Git("config", "http.receivepack", "true")
			if test.before != nil {
				test.before(down)
			}
			stages := 0
			p := &Push{
				Repo: &repo.Repo{Dir: from.Dir, Git: git}, Access: core.Access{URL: gittest.NewServer(t, filepath.Join(dir, "srv")).URL + "/down.git"},
				Temp: func() (string, error) {
					if stages++; stages == 1 && test.meddle != nil {
						test.meddle(down)
					}
					return t.TempDir(), nil
				}, Out: io.Discard, Log: hclog.NewNullLogger(), fewLeases: true,
			}
			have, err := p.List(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			gone := []string{"refs/tags/b/v"}
			for ref := range from.Refs("refs/heads/b/") {
				gone = append(gone, ref)
			}
			slices.Sort(gone)
			if test.early != nil {
				test.early(down)
			}
			want := down.Refs()
			said, left := p.pruneMany(t.Context(), gone, have)
			if len(left) != test.left || len(said) != len(gone)-test.left || stages != 1 {
				t.Fatalf("%v is left, %v was said, %d pushes", left, said, stages)
			}
			if test.meddle != nil {
				want = down.Refs() // nothing else was done
			}
			if test.left > 0 {
				more, _ := p.prune(t.Context(), left, have)
				maps.Copy(said, more)
			}
			for _, ref := range gone {
				if !slices.Contains(test.stays, ref) {
					delete(want, ref)
				}
			}
			if diff := cmp.Diff(want, down.Refs()); diff != "" {
				t.Errorf("%s\n%v", diff, said)
			}
			for _, ref := range gone {
				if refused := slices.Contains(test.stays, ref); said[ref].flag == '-' == refused && test.name != "one goes" && test.name != "one has gone" {
					t.Errorf("%s: %+v", ref, said[ref])
				}
			}
			down.Fsck()
		})
	}
}

// TestPruneManyOfWhatNothingIsKnown: when none of what stays is known here, git
// cannot be shown that it stays.
func TestPruneManyOfWhatNothingIsKnown(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home")})
	if err != nil {
		t.Fatal(err)
	}
	from, down := gittest.NewRepo(t, filepath.Join(dir, "from.git")), gittest.Seed(t, filepath.Join(dir, "down.git"))
	down.Branches(3, "others'")
	before := down.Refs()
	p := &Push{
		Repo: &repo.Repo{Dir: from.Dir, Git: git}, Access: core.Access{URL: down.Dir},
		Temp: func() (string, error) { return t.TempDir(), nil }, Out: io.Discard, Log: hclog.NewNullLogger(), fewLeases: true,
	}
	gone := []string{"refs/heads/b/0001"}
	if said, left := p.pruneMany(t.Context(), gone, before); len(said) > 0 || !slices.Equal(left, gone) {
		t.Errorf("%v was said, %v is left", said, left)
	}
	if diff := cmp.Diff(before, down.Refs()); diff != "" {
		t.Error(diff)
	}
}
