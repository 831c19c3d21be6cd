package push

import (
	"errors"
	"io"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestMeaning: what a push is about to make or change is told before anything
// is, and nothing beside; where it cannot be noted, nothing is pushed.
func TestMeaning(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home")})
	if err != nil {
		t.Fatal(err)
	}
	down, from := gittest.NewRepo(t, filepath.Join(dir, "down.git")), gittest.Seed(t, filepath.Join(dir, "from.git"))
	from.Commit("refs/heads/changed", "will go on")
	down.Git("fetch", "-q", "--no-tags", from.Dir, "refs/heads/*:refs/heads/*")
	down.Git("symbolic-ref", "refs/heads/alias", "refs/heads/main")
	for _, ref := range []string{"refs/heads/changed", "refs/heads/new", "refs/heads/alias"} {
		from.Commit(ref+"-", "new here")
	}
	wanted := []policy.Wanted{{Src: "refs/heads/in-the-way", Dst: "refs/heads/main/below", Object: from.Refs()["refs/heads/main"]}}
	for ref, object := range from.Refs("refs/heads/") {
		if last := len(ref) - 1; ref[last] == '-' {
			ref = ref[:last]
		} else if ref == "refs/heads/changed" {
			continue
		}
		wanted = append(wanted, policy.Wanted{Src: ref, Dst: ref, Object: object, Force: true})
	}
	before := down.Refs()
	full := errors.New("the disk is full")
	var told []string
	p := &Push{
		Repo: &repo.Repo{Dir: from.Dir, Git: git}, Access: core.Access{URL: down.Dir}, Local: down.Dir,
		Temp: func() (string, error) { return t.TempDir(), nil }, Out: io.Discard, Log: hclog.NewNullLogger(),
		Meaning: func(refs []policy.Wanted, have map[string]string) error {
			for _, w := range refs {
				told = append(told, w.Dst)
			}
			if diff := cmp.Diff(before, have) + cmp.Diff(before, down.Refs()); diff != "" {
				t.Errorf("it is told too late: %s", diff)
			}
			return full
		},
	}
	if _, err := p.Run(t.Context(), wanted); !errors.Is(err, full) {
		t.Errorf("got %v", err)
	}
	if diff := cmp.Diff(before, down.Refs()); diff != "" {
		t.Errorf("it was pushed: %s", diff)
	}
	full = nil
	if _, err := p.Run(t.Context(), wanted); err != nil {
		t.Error(err)
	}
	want := []string{"refs/heads/changed", "refs/heads/new"}
	if diff := cmp.Diff(append(want, want...), told, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
		t.Error(diff)
	}
	p.Meaning = func([]policy.Wanted, map[string]string) error { t.Error("there is nothing to push"); return nil }
	if res, err := p.Run(t.Context(), wanted); err != nil || res.Changed > 0 {
		t.Errorf("%+v, %v", res, err)
	}
}
