package daemon

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/settings"
)

// TestHostTypesAreThoseOfAdapters: of programs that are there, of paths in the
// settings, and of adapters that their authors run.
func TestHostTypesAreThoseOfAdapters(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"lorry-adapter-gitlab", "lorry-adapter-local", "lorry"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d := &Daemon{reattach: map[string]string{"mine": "unix|/run/mine"}}
	d.config.Adapters = settings.Adapters{Dir: dir, Path: map[string]string{"other": "/opt/other"}}
	if diff := cmp.Diff([]string{"gitlab", "local", "mine", "other"}, d.hostTypes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	d.config.Adapters.Enabled = []string{"local"}
	if diff := cmp.Diff([]string{"mine", "local"}, d.hostTypes()); diff != "" {
		t.Errorf("only some may run (-want +got):\n%s", diff)
	}
	d.config.FakeHosts = map[string]string{"h": "file"}
	if got := d.hostTypes(); got != nil {
		t.Errorf("with a faked listing: %q", got)
	}
}
