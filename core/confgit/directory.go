package confgit

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
)

// directory is a Tree that is a plain directory: CONFGIT without git.
type directory string

// List implements Tree. Hidden directories such as .git are left out.
func (d directory) List(ctx context.Context) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(string(d), func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case entry.IsDir() && name != string(d) && strings.HasPrefix(entry.Name(), "."):
			return fs.SkipDir
		case !entry.Type().IsRegular() && entry.Type() != fs.ModeSymlink:
			return nil
		}
		rel, err := filepath.Rel(string(d), name)
		paths = append(paths, filepath.ToSlash(rel))
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("CONFGIT can't be read: %w", err)
	}
	return paths, nil
}

// Read implements Tree. Links are followed as far as they stay in the directory.
func (d directory) Read(ctx context.Context, paths []string, most int, see func(path string, data []byte)) error {
	root, err := os.OpenRoot(string(d))
	if err != nil {
		return core.Errorf(core.KindUnavailable, "the directory of CONFGIT can't be read: %w", err)
	}
	defer func() { _ = root.Close() }()
	for _, path := range paths {
		if err := ctx.Err(); err != nil {
			return err
		}
		data, err := readFile(root, path, most)
		if err != nil && path == ConfFile && !errors.Is(err, fs.ErrNotExist) {
			return core.Errorf(core.KindUnavailable, "CONFGIT can't be read: %w", err)
		}
		see(path, data)
	}
	return nil
}

// readFile gives no more of a file than is needed to see that it is too large.
func readFile(root *os.Root, path string, most int) ([]byte, error) {
	f, err := root.Open(filepath.FromSlash(path))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err != nil {
		return nil, err
	}
	return data, nil
}

// directoryCommit stands for a commit: a digest of the files that matter.
func directoryCommit(ctx context.Context, dir, proxyFile string) (string, error) {
	d := directory(dir)
	paths, err := d.List(ctx)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, path := range paths {
		if path != ConfFile && path != proxyFile && path != "proxy.conf" {
			info, err := os.Stat(filepath.Join(dir, filepath.FromSlash(path)))
			if err != nil {
				continue // it went away just now
			}
			fmt.Fprintf(sum, "%q %d %d\n", path, info.Size(), info.ModTime().UnixNano())
			continue
		}
		contents, err := readAll(ctx, d, path)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(sum, "%q %q\n", path, contents[path])
	}
	return "files:" + hex.EncodeToString(sum.Sum(nil))[:40], nil
}
