package pages

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// replaceFile puts a new file in the place of an old one at once, so that a
// web server never serves half of it. A symbolic link stays one. A place that
// is no file, such as a device, is left alone.
func replaceFile(name string, text []byte) error {
	if real, err := filepath.EvalSymlinks(name); err == nil {
		name = real
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".status-*.html")
	if err != nil {
		return fmt.Errorf("status page can't be written: %w", err)
	}
	_, err = f.Write(text)
	// Whoever serves the file may be another user.
	err = errors.Join(err, f.Chmod(0o644), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("status page can't be written: %w", err)
	}
	return nil
}
