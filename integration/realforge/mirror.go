package realforge

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// mirrors follows one mirror through its life.
func (a Adapter) mirrors(t *testing.T, s Server) {
	group := s.Parent + unique("down")
	path := group + "/" + a.forge.Repo
	down := a.session(t, sdk.RoleDownstream, s, a.forge.Push)
	want := sdk.Want{Path: path, Head: "refs/heads/main", Description: "A mirror"}
	have, err := down.Ensure(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	after := func(head string) {
		t.Helper()
		want.Head = head
		if err := down.AfterPush(t.Context(), want); err != nil {
			t.Fatalf("after the push: %v", err)
		}
		if out := mustGit(t, ".", have.Access, "ls-remote", "--symref", have.URL, "HEAD"); !strings.HasPrefix(out, "ref: "+head+"\t") {
			t.Errorf("want HEAD at %s, got %s", head, out)
		}
	}
	repo := seed(t)
	mustGit(t, repo.Dir, have.Access, "push", have.URL, "refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
	after("refs/heads/main")

	// The default branch changes, and the old one can go.
	after("refs/heads/next")
	mustGit(t, repo.Dir, have.Access, "push", have.URL, ":refs/heads/main")
	mustGit(t, repo.Dir, have.Access, "push", have.URL, "refs/heads/main:refs/heads/main")
	if out, err := git(t, repo.Dir, have.Access, "push", have.URL, ":refs/heads/next"); err == nil {
		t.Errorf("the default branch can be deleted: %s", out)
	}
	// Rewritten history is taken.
	repo.Rewrite("refs/heads/main", "rewritten")
	repo.Rewrite("refs/heads/next", "rewritten too")
	mustGit(t, repo.Dir, have.Access, "push", "--force", have.URL, "refs/heads/*:refs/heads/*")

	a.listed(t, s, group, path, repo)

	if err := down.Retire(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	if have, err = down.Ensure(t.Context(), want); err != nil || have.ReadOnlyReason == "" {
		t.Errorf("archived: %+v, %v", have, err)
	}
	repo.Commit("refs/heads/next", "late")
	if out, err := git(t, repo.Dir, have.Access, "push", have.URL, "refs/heads/next:refs/heads/next"); err == nil {
		t.Errorf("an archived repository takes a push: %s", out)
	}
}

// listed wants what is there to be what was pushed, as an Upstream Host too.
func (a Adapter) listed(t *testing.T, s Server, group, path string, pushed *gittest.Repo) {
	t.Helper()
	up := a.session(t, sdk.RoleUpstream, s, map[string]any{a.forge.Below: group})
	listed := 0
	for r, err := range up.Repos(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if listed++; r.Path != path || r.Head != "refs/heads/next" || r.Empty {
			t.Errorf("listed as %+v", r)
		}
	}
	_, access, err := up.Repo(t.Context(), path)
	if err != nil || listed != 1 {
		t.Fatalf("%d repositories, %v", listed, err)
	}
	copied := filepath.Join(t.TempDir(), "copy.git")
	mustGit(t, ".", access, "clone", "-q", "--mirror", access.URL, copied)
	if diff := cmp.Diff(pushed.Refs(a.forge.Refs...), gittest.OpenRepo(t, copied).Refs(a.forge.Refs...)); diff != "" {
		t.Errorf("refs (-want +got):\n%s", diff)
	}
}
