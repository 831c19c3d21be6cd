package adapter_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/adapter"
)

func TestProgramIsTried(t *testing.T) {
	t.Parallel()
	file := fmt.Sprintf(`{"downstream": {"settings": {"base-directory": %q}}, "upstream": {"settings": {"path": %q}}, "repos": ["none"]}`, t.TempDir(), t.TempDir())
	var failed []string
	err := adapter.TryProgram(t.Context(), filepath.Join(bin, "lorry-adapter-local"), []byte(file), func(name string, err error) {
		if err != nil {
			failed = append(failed, name)
		}
	})
	// The fixture names a repository that is not there.
	if len(failed) != 3 || err == nil || !strings.Contains(err.Error(), "3 of") {
		t.Errorf("failed %q: %v", failed, err)
	}
	none := filepath.Join(t.TempDir(), "none")
	if err := adapter.TryProgram(t.Context(), none, []byte(`{"settings": {}}`), nil); err == nil || !strings.Contains(err.Error(), `unknown field "settings"`) {
		t.Errorf("a wrong file: %v", err)
	}
	if err := adapter.TryProgram(t.Context(), none, []byte(`{}`), nil); err == nil || !strings.Contains(err.Error(), "there is no adapter program") {
		t.Errorf("no program: %v", err)
	}
}
