package adapter_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/adapter"
)

// TestLongTemporaryDirectory: the sockets go where their paths are short enough,
// and nothing is left there.
func TestLongTemporaryDirectory(t *testing.T) {
	long := filepath.Join(t.TempDir(), strings.Repeat("deep/", 20)+"tmp")
	if err := os.MkdirAll(long, 0o700); err != nil {
		t.Fatal(err)
	}
	for name, dir := range map[string]string{"as TMPDIR": "", "as a setting": long} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("TMPDIR", long)
			opts := impatient()
			opts.TempDir = dir
			m := newManager(t, opts, adapter.Instance{Name: "tree", Type: "local", Settings: map[string]any{"path": t.TempDir()}})
			if err := m.Check(t.Context(), "tree"); err != nil {
				t.Fatal(err)
			}
			if st := stateOf(t, m, "tree"); st.Phase != adapter.PhaseReady {
				t.Errorf("state %+v", st)
			}
		})
	}
}
