package adapter_test

import (
	"context"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
)

// newManager makes a Manager for a test and ends it with the test.
func newManager(t *testing.T, opts adapter.Options, instances ...adapter.Instance) *adapter.Manager {
	t.Helper()
	if opts.Dir == "" {
		opts.Dir = bin
	}
	if opts.Log == nil {
		opts.Log = hclog.NewNullLogger()
	}
	m := adapter.NewManager(opts)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := m.Close(ctx); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	if err := m.Apply(t.Context(), instances); err != nil {
		t.Fatalf("applying: %v", err)
	}
	return m
}

func upstreamOf(t *testing.T, m *adapter.Manager, name string) core.Upstream {
	t.Helper()
	up, err := m.Upstream(name)
	if err != nil {
		t.Fatal(err)
	}
	return up
}

func stateOf(t *testing.T, m *adapter.Manager, name string) adapter.State {
	t.Helper()
	for _, s := range m.States() {
		if s.Name == name {
			return s
		}
	}
	t.Fatalf("no state of %q", name)
	return adapter.State{}
}

// list gives the paths of a listing, in their order.
func list(t *testing.T, up core.Upstream) []string {
	t.Helper()
	var paths []string
	for repo, err := range up.Repos(t.Context()) {
		if err != nil {
			t.Fatalf("listing: %v", err)
		}
		paths = append(paths, repo.Path)
	}
	slices.Sort(paths)
	return paths
}

func TestLocalAdapterServesBothRoles(t *testing.T) {
	t.Parallel()
	upDir, downDir := t.TempDir(), filepath.Join(t.TempDir(), "mirrors")
	for _, name := range []string{"group/one.git", "group/deep/two.git", "three"} {
		if out, err := exec.Command("git", "init", "-q", "--bare", filepath.Join(upDir, name)).CombinedOutput(); err != nil {
			t.Fatalf("git: %v: %s", err, out)
		}
	}
	m := newManager(t, adapter.Options{},
		adapter.Instance{Name: "tree", Type: "local", Settings: map[string]any{"path": upDir}},
		adapter.Instance{Name: adapter.DownstreamName, Type: "local", Settings: map[string]any{"base-directory": downDir}})
	if diff := cmp.Diff([]string{"group/deep/two", "group/one", "three"}, list(t, upstreamOf(t, m, "tree"))); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
	repo, access, err := upstreamOf(t, m, "tree").Repo(t.Context(), "group/one")
	if err != nil {
		t.Fatal(err)
	}
	want := core.Repo{
		Path: "group/one", CloneURL: "file://" + upDir + "/group/one.git", Head: repo.Head, Empty: true, ChangeHint: repo.ChangeHint,
	}
	if diff := cmp.Diff(want, repo); diff != "" {
		t.Errorf("repository (-want +got):\n%s", diff)
	}
	if access.URL != want.CloneURL {
		t.Errorf("access URL: want %q, got %q", want.CloneURL, access.URL)
	}
	_, _, err = upstreamOf(t, m, "tree").Repo(t.Context(), "none")
	if err == nil || core.KindOf(err) != core.KindNotFound {
		t.Errorf("missing repository: want kind %q, got %v", core.KindNotFound, err)
	}
	down, err := m.Downstream(adapter.DownstreamName)
	if err != nil {
		t.Fatal(err)
	}
	for _, created := range []bool{true, false} {
		have, err := down.EnsureRepo(t.Context(), core.Want{Path: "up/one", Description: "One", Head: "refs/heads/trunk"})
		if err != nil {
			t.Fatal(err)
		}
		wantHave := core.Have{Access: core.Access{URL: "file://" + downDir + "/up/one.git"}, Created: created}
		if diff := cmp.Diff(wantHave.URL, have.URL); diff != "" || have.Created != created {
			t.Errorf("want created %v at %s, got %+v", created, wantHave.URL, have)
		}
	}
	if err := m.Check(t.Context(), "tree"); err != nil {
		t.Error(err)
	}
	if st := stateOf(t, m, "tree"); st.Phase != adapter.PhaseReady || st.PID == 0 || st.Starts != 1 || len(st.Checksum) != 64 || st.Protocol != 1 {
		t.Errorf("state: %+v", st)
	}
}
