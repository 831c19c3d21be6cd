package daemon

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

// Whatever is wrong with the file, the setting is named, and what to do.
func TestAStateDatabaseThatCantBeOpenedSaysWhatToDo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "state.db")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, path string
		cause      error
		fact, hint string
	}{
		{"the file's mode", file, syscall.EACCES, "can't be read and written: permission denied", "right to read and to write it"},
		{"the directory's mode", filepath.Join(dir, "new.db"), syscall.EACCES, "the directory", "right to write to that directory"},
		{"no directory", filepath.Join(dir, "none", "state.db"), syscall.ENOENT, "can't be written to", "make the directory"},
		{"a directory", dir, syscall.EISDIR, "is a directory", "state.db"},
		{"read-only", file, syscall.EROFS, "read-only file system", "mount its file system"},
	} {
		config := settings.Controller{StateDB: core.NewSecret(c.path), StateDBSource: "--statedb"}
		err := stateDBError(config, &fs.PathError{Op: "open", Path: c.path, Err: c.cause})
		var told *core.Error
		if !errors.As(err, &told) {
			t.Fatalf("%s: %v", c.name, err)
		}
		if text := err.Error(); !strings.HasPrefix(text, "--statedb: "+c.path+": ") || !strings.Contains(text, c.fact) || !strings.Contains(told.Hint, c.hint) {
			t.Errorf("%s: %q, hint %q", c.name, text, told.Hint)
		}
	}
}
