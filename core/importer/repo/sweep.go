package repo

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Sweep removes lock files and temporary files that dead runs left in a
// repository. It is only safe for who alone works on it. It gives how many it
// removed.
func Sweep(dir string) (int, error) {
	// What protects a pack while it is being made is nobody's either: it would
	// stand in the way of the same pack the next time.
	return sweep(dir, func(fs.FileInfo) bool { return true }, ".keep")
}

// SweepSince removes what a dead run of ours left in a repository that others
// may use too: only what was made at or after start and is older than a
// moment, which no living program holds a lock for.
func SweepSince(dir string, start, now time.Time) (int, error) {
	return sweep(dir, func(info fs.FileInfo) bool {
		made := info.ModTime()
		return !made.Before(start.Add(-2*time.Second)) && now.Sub(made) >= StaleAge
	})
}

// StaleAge is the age at which a lock belongs to no living program: git holds
// one for milliseconds.
const StaleAge = time.Second

// sweep removes locks, temporary files and what ends in one of more.
func sweep(dir string, stale func(fs.FileInfo) bool, more ...string) (int, error) {
	removed := 0
	remove := func(path string, d fs.DirEntry) error {
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) || err == nil && !stale(info) {
			return nil
		}
		if err == nil {
			err = os.RemoveAll(path)
		}
		if err == nil {
			removed++
		}
		return err
	}
	walk := func(root string, match func(name string) bool) error {
		return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			if path == root || !match(d.Name()) {
				return nil
			}
			if err := remove(path, d); err != nil {
				return err
			}
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		})
	}
	top, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, d := range top {
		if !d.IsDir() && (isLock(d.Name()) || strings.HasPrefix(d.Name(), "packed-refs.new")) {
			if err := remove(filepath.Join(dir, d.Name()), d); err != nil {
				return removed, err
			}
		}
	}
	if err := walk(filepath.Join(dir, "refs"), isLock); err != nil {
		return removed, err
	}
	err = walk(filepath.Join(dir, "objects"), func(name string) bool {
		return isLock(name) || isTemporary(name) || slices.ContainsFunc(more, func(end string) bool { return strings.HasSuffix(name, end) })
	})
	return removed, err
}

func isLock(name string) bool { return strings.HasSuffix(name, ".lock") }

// isTemporary knows the names that git gives to unfinished objects, packs and
// quarantine directories.
func isTemporary(name string) bool {
	for _, prefix := range []string{"tmp_", ".tmp-", "incoming-", "tmp-objdir-"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}
