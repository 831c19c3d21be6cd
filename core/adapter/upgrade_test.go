package adapter_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/adapter"
)

// TestReplacedProgramTakesOver: the program is replaced under a running manager,
// as a package manager does it; no call fails, and one that is being written is
// left alone.
func TestReplacedProgramTakesOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	program := filepath.Join(dir, "lorry-adapter-local")
	old, err := os.ReadFile(filepath.Join(bin, "lorry-adapter-local"))
	if err != nil {
		t.Fatal(err)
	}
	put := func(content []byte) {
		t.Helper()
		if err := os.WriteFile(program+".new", content, 0o700); err != nil { //nolint:gosec // a program
			t.Fatal(err)
		}
		if err := os.Rename(program+".new", program); err != nil {
			t.Fatal(err)
		}
	}
	put(old)
	opts := impatient()
	opts.Dir = dir
	m := newManager(t, opts, adapter.Instance{Name: "tree", Type: "local", Settings: map[string]any{"path": t.TempDir()}})
	up := upstreamOf(t, m, "tree")
	list(t, up)
	before := stateOf(t, m, "tree")
	m.Refresh()
	m.Refresh()
	list(t, up)
	if st := stateOf(t, m, "tree"); st.PID != before.PID {
		t.Fatalf("it was replaced although nothing changed: %+v", st)
	}
	put(append(old, "more"...)) // what follows an ELF program is ignored
	m.Refresh()
	list(t, up)
	if st := stateOf(t, m, "tree"); st.PID != before.PID {
		t.Errorf("a program that may still be being written was started: %+v", st)
	}
	m.Refresh()
	await(t, "the new program to be used", func() bool {
		list(t, up)
		return stateOf(t, m, "tree").Checksum != before.Checksum
	})
	if st := stateOf(t, m, "tree"); st.Faults != 0 || st.Starts != 2 || st.Phase != adapter.PhaseReady {
		t.Errorf("state %+v", st)
	}
}
