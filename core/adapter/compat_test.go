package adapter_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
)

// buildFirst builds the first adapter with the first SDK, from the sources that
// are kept for it and with today's versions of other modules.
func buildFirst(t *testing.T) (dir string) {
	t.Helper()
	archive, err := txtar.ParseFile("testdata/first.txtar")
	if err != nil {
		t.Fatal(err)
	}
	root := t.TempDir()
	for _, name := range []string{"go.mod", "go.sum"} {
		raw, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		archive.Files = append(archive.Files, txtar.File{Name: name, Data: raw})
	}
	if err := txtar.Write(archive, root); err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	// Without paths of this machine in it, so that the next time finds it built.
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-o", dir, "./cmd/lorry-adapter-local")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOPROXY=off", "GOWORK=off", "GOFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("building the first adapter: %v\n%s", err, out)
	}
	return dir
}

func TestAdapterOfTheFirstSDKStillWorks(t *testing.T) {
	t.Parallel()
	up, down := t.TempDir(), t.TempDir()
	if out, err := exec.Command("git", "init", "-q", "--bare", filepath.Join(up, "group", "one.git")).CombinedOutput(); err != nil {
		t.Fatalf("git: %v: %s", err, out)
	}
	opts := impatient()
	opts.Dir = buildFirst(t)
	m := newManager(t, opts,
		adapter.Instance{Name: "tree", Type: "local", Settings: map[string]any{"path": up}},
		adapter.Instance{Name: "wrong", Type: "local", Settings: map[string]any{"path": up, "no-such": "x"}},
		adapter.Instance{Name: adapter.DownstreamName, Type: "local", Settings: map[string]any{"base-directory": down}})
	if diff := cmp.Diff([]string{"group/one"}, list(t, upstreamOf(t, m, "tree"))); diff != "" {
		t.Errorf("listing (-want +got):\n%s", diff)
	}
	repo, access, err := upstreamOf(t, m, "tree").Repo(t.Context(), "group/one")
	if err != nil || repo.CloneURL != "file://"+up+"/group/one.git" || access.URL != repo.CloneURL {
		t.Errorf("repository %+v, access %+v: %v", repo, access, err)
	}
	if _, _, err := upstreamOf(t, m, "tree").Repo(t.Context(), "none"); err == nil || core.KindOf(err) != core.KindNotFound {
		t.Errorf("missing repository: want kind %q, got %v", core.KindNotFound, err)
	}
	host, err := m.Downstream(adapter.DownstreamName)
	if err != nil {
		t.Fatal(err)
	}
	want := core.Want{Path: "up/one", Head: "refs/heads/trunk", Description: "One"}
	have, err := host.EnsureRepo(t.Context(), want)
	if err != nil || !have.Created || have.URL != "file://"+down+"/up/one.git" {
		t.Errorf("made %+v: %v", have, err)
	}
	if err := host.AfterPush(t.Context(), want); err != nil {
		t.Error(err)
	}
	if err := m.Check(t.Context(), "tree"); err != nil {
		t.Error(err)
	}
	if err := m.Check(t.Context(), "wrong"); err == nil || stateOf(t, m, "wrong").Phase != adapter.PhaseBroken {
		t.Errorf("wrong settings: %v", err)
	}
	if st := stateOf(t, m, "tree"); st.Protocol != 1 || st.Starts != 1 || st.Faults != 0 {
		t.Errorf("state %+v", st)
	}
}
