package push

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestManyForcedRefs: very many rewrites go through a guard that sees to what
// leases do: a ref that somebody else changes meanwhile is not overwritten, and
// the others are.
func TestManyForcedRefs(t *testing.T) {
	t.Parallel()
	for name, meddle := range map[string]func(down *gittest.Repo){
		"nobody meddles": func(*gittest.Repo) {},
		"a ref changes":  func(down *gittest.Repo) { down.Commit("refs/heads/b/0003", "somebody else's") },
		"a ref goes":     func(down *gittest.Repo) { down.Git("update-ref", "-d", "refs/heads/b/0003") },
	} {
		for _, overHTTP := range []bool{false, true} {
			t.Run(name+map[bool]string{true: " over http"}[overHTTP], func(t *testing.T) {
				t.Parallel()
				dir := t.TempDir()
				git, err := childproc.NewGit(childproc.GitOptions{Home: filepath.Join(dir, "home")})
				if err != nil {
					t.Fatal(err)
				}
				down := gittest.Seed(t, filepath.Join(dir, "srv", "down.git"))
				down.Branches(8, "old")
				from := gittest.Seed(t, filepath.Join(dir, "from.git"))
				from.Branches(8, "other histories")
				stages := 0
				p := &Push{
					Repo: &repo.Repo{Dir: from.Dir, Git: git}, Access: core.Access{URL: down.Dir}, Local: down.Dir,
					Temp: func() (string, error) { stages++; return t.TempDir(), nil }, Out: io.Discard, Log: hclog.NewNullLogger(),
					Before: func(context.Context, map[string]string) error { meddle(down); return nil }, fewLeases: true,
				}
				if overHTTP {
					down.Git("config", "http.receivepack", "true")
					p.Access.URL, p.Local = gittest.NewServer(t, filepath.Join(dir, "srv")).URL+"/down.git", ""
				}
				var wanted []policy.Wanted
				for ref, object := range from.Refs("refs/heads/b/") {
					wanted = append(wanted, policy.Wanted{Src: ref, Dst: ref, Object: object, Force: true})
				}
				res, err := p.Run(t.Context(), wanted)
				if err != nil {
					t.Fatal(err)
				}
				want, refused := from.Refs("refs/heads/b/"), 0
				if name != "nobody meddles" {
					delete(want, "refs/heads/b/0003")
					refused = 1
				}
				if stages != 1+refused {
					t.Errorf("%d pushes", stages) // with leases only where the guard found something
				}
				got := down.Refs("refs/heads/b/")
				if got["refs/heads/b/0003"] == from.Refs()["refs/heads/b/0003"] == (refused == 1) {
					t.Errorf("b/0003 is %s", got["refs/heads/b/0003"])
				}
				if refused == 1 {
					delete(got, "refs/heads/b/0003")
				}
				if diff := cmp.Diff(want, got); diff != "" || res.Changed != 8-refused {
					t.Errorf("%d changed: %s", res.Changed, diff)
				}
				down.Fsck()
			})
		}
	}
}

// TestGuardThatCannotRun: where git would pass over the hook, none is relied on.
func TestGuardThatCannotRun(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "hooks"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if hooks, err := writeGuard(dir, nil, nil); err == nil || !strings.Contains(err.Error(), "hooks") {
		t.Errorf("got %q, %v", hooks, err)
	}
}
