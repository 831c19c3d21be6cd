package local

import (
	"context"
	"crypto/sha256"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"
)

// slack is how long before the last manifest a change may have happened that is
// not in it: its core died before it noted it.
const slack = 15 * time.Minute

// catchUp notes every repository that has changed since the manifest was
// written, every one that is not in it, and every one that is gone.
func (m *manifest) catchUp(ctx context.Context) error {
	root, err := m.open()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	removeLeftovers(root, ".", "."+manifestName+".tmp-")
	if err := m.read(root); err != nil {
		return err
	}
	for name := range m.known {
		if dir := strings.TrimPrefix(name, "/"); !fs.ValidPath(dir) || !isRepository(root, dir) {
			m.later(dir)
		}
	}
	m.through = time.Unix(0, 0)
	if m.stamp != nil {
		m.through = m.stamp.ModTime()
	}
	if err := m.walk(ctx, root, ".", m.through.Add(-slack)); err != nil {
		return err
	}
	m.through = time.Time{}
	return nil
}

// walk looks for repositories below a directory that is none. What can't be
// read is left as it is.
func (m *manifest) walk(ctx context.Context, root *os.Root, dir string, since time.Time) error {
	entries, err := readDir(root, dir)
	if err != nil && dir == "." {
		return err
	}
	for _, e := range entries {
		if ctx.Err() != nil {
			return ctx.Err() // the next start begins again
		}
		if !e.IsDir() || skipped(e.Name()) {
			continue
		}
		sub := path.Join(dir, e.Name())
		if !isRepository(root, sub) {
			if err := m.walk(ctx, root, sub, since); err != nil {
				return err
			}
			continue
		}
		if _, listed := m.known["/"+sub]; !listed || changedSince(root, sub, since) {
			m.later(sub)
		}
	}
	return nil
}

// changedSince reports whether refs, HEAD or description of a repository may
// have changed after a time.
func changedSince(root *os.Root, dir string, since time.Time) bool {
	s := scan{root: root, dir: dir, sum: sha256.New()}
	s.run()
	s.stamp("description")
	return !s.complete || s.newest.After(since)
}
