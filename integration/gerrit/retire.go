package gerrit

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// retires makes a project read-only and active again; its description, branches
// and default branch stay.
func (r run) retires(t *testing.T) {
	down := r.session(t, sdk.RoleDownstream, r.Admin, map[string]any{"parent-project": r.Parent})
	up := Session(t, sdk.RoleUpstream, r.Admin, map[string]any{"api": "rest"})
	want := sdk.Want{Path: r.prefix + "retired", Head: "refs/heads/trunk", Description: `It's "kept"`}
	ensure(t, down, want)
	r.Push(t, want.Path, want.Head)
	r.Push(t, want.Path, "refs/heads/other")
	if err := down.AfterPush(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	low := r.session(t, sdk.RoleDownstream, r.Low, nil)
	wantKind(t, "retiring without the right", low.Retire(t.Context(), want.Path), sdk.Denied, sdk.Unavailable)
	facts := func(archived bool) {
		t.Helper()
		repo, _, err := up.Repo(t.Context(), want.Path)
		if err != nil || repo.Archived != archived || repo.Description != want.Description || repo.Head != want.Head {
			t.Errorf("it is %+v (%v), want archived = %v and all else as it was", repo, err, archived)
		}
	}
	facts(false)
	for range 2 {
		if err := down.Retire(t.Context(), want.Path); err != nil {
			t.Fatalf("retiring: %v", err)
		}
		facts(true)
	}
	if have := ensure(t, down, want); have.ReadOnlyReason == "" {
		t.Errorf("unasked, it is taken for a project that takes a push: %+v", have)
	}
	facts(true)
	revive := want
	revive.Revive = true
	for range 2 {
		if have := ensure(t, down, revive); have.ReadOnlyReason != "" || len(have.Unsupported) > 0 {
			t.Errorf("revived, it is %+v", have)
		}
		facts(false)
	}
	r.Push(t, want.Path, want.Head)
	if err := down.Retire(t.Context(), r.prefix+"never-was"); err != nil {
		t.Errorf("retiring what is not there: %v", err)
	}
}
