package importer

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestBzrMoves: directories that are renamed together with what is in them, and
// files that become directories, give in every revision what brz gives.
func TestBzrMoves(t *testing.T) {
	t.Parallel()
	gittest.Require(t, "brz")
	w := newWorld(t)
	dir := filepath.Join(w.dir, "bzr")
	bzr(t, w.dir, "init", "-q", dir)
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	commit := func(message string) {
		t.Helper()
		bzr(t, dir, "add", "-q")
		bzr(t, dir, "commit", "-q", "-m", message)
	}
	in := func(name string) string { return filepath.Join(dir, name) }
	do(os.MkdirAll(in("d/deep"), 0o755))
	do(os.WriteFile(in("d/deep/a"), []byte("a"), 0o755))
	do(os.WriteFile(in("d/b"), []byte("b"), 0o644))
	do(os.WriteFile(in("d/stays"), []byte("s"), 0o644))
	do(os.WriteFile(in("f"), []byte("f"), 0o644))
	do(os.Symlink("f", in("link")))
	commit("one")
	bzr(t, dir, "mv", "-q", "d", "e")
	bzr(t, dir, "mv", "-q", "e/deep/a", "a")
	do(os.Remove(in("f")))
	do(os.Mkdir(in("f"), 0o755))
	do(os.WriteFile(in("e/b"), []byte("changed"), 0o644))
	commit("two")
	bzr(t, dir, "mv", "-q", "e/deep", "f/deep")
	bzr(t, dir, "mv", "-q", "e/b", "f/deep/b")
	bzr(t, dir, "mv", "-q", "e", "f/deep/e")
	bzr(t, dir, "mv", "-q", "f/deep", "d")
	do(os.Remove(in("link")))
	do(os.Mkdir(in("link"), 0o755))
	commit("three")

	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Bzr, Access: core.Access{URL: dir}}
	w.mustRun()
	for i, revision := range []string{"trunk~2", "trunk~1", "trunk"} {
		there, here := filepath.Join(w.dir, "there", revision), filepath.Join(w.dir, "here", revision)
		do(os.MkdirAll(filepath.Dir(there), 0o755))
		do(os.MkdirAll(here, 0o755))
		bzr(t, dir, "export", "-q", "-r", strconv.Itoa(i+1), there)
		w.down.Git("--work-tree="+here, "checkout", "-q", "-f", revision, "--", ".")
		if diff := cmp.Diff(files(t, there), files(t, here)); diff != "" {
			t.Errorf("revision %d: %s", i+1, diff)
		}
	}
}

// files are the contents, modes and targets of what is in a directory.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			all[name], err = os.Readlink(path)
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		text, err := os.ReadFile(path)
		all[name] = info.Mode().String() + " " + string(text)
		return err
	})
	if err != nil || len(all) == 0 {
		t.Fatalf("%s: %v", dir, err)
	}
	return all
}
