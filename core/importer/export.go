package importer

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// When says whether a bundle or a tarball is written.
type When string

// The choices of When; "" is WhenNever.
const (
	WhenFirst  When = "first" // if there is none yet
	WhenAlways When = "always"
	WhenNever  When = "never"
)

// Export says which copies of the repository are written as files, and where.
// Their names are the ones that build tools look for.
type Export struct {
	// FetchBase is the URL below which those tools know the repositories.
	FetchBase             string
	Bundle, Tarball       When
	BundleDir, TarballDir string
}

// quoted is a repository's name as a file name: what is no letter, digit, "%"
// or "_" becomes "_".
func (e Export) quoted(name string) string {
	return strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '%' || c == '_' {
			return c
		}
		return '_'
	}, strings.TrimSuffix(e.FetchBase, "/")+"/"+name)
}

// exported is one copy of a repository: create writes it to a path.
type exported struct {
	when   When
	path   string
	create func(ctx context.Context, r *repo.Repo, path string) error
}

func (e Export) files(name string) []exported {
	return []exported{
		{e.Bundle, filepath.Join(e.BundleDir, e.quoted(name)+".bndl"), func(ctx context.Context, r *repo.Repo, path string) error {
			return r.Git.Run(ctx, r.Call("bundle", "create", "--quiet", path, "--branches", "--tags"))
		}},
		{e.Tarball, filepath.Join(e.TarballDir, e.quoted(name)+".tar"), func(ctx context.Context, r *repo.Repo, path string) error {
			return tarTo(ctx, path, r.Dir)
		}},
	}
}

// due reports whether the file is to be written.
func (f exported) due() bool {
	_, err := os.Stat(f.path)
	return f.when == WhenAlways || f.when == WhenFirst && errors.Is(err, fs.ErrNotExist)
}

// due reports whether write has anything to write.
func (e Export) due(name string) bool {
	return slices.ContainsFunc(e.files(name), exported.due)
}

// write writes what is wanted. Each file appears whole or not at all: it may
// be served to others at the same moment.
func (e Export) write(ctx context.Context, r *repo.Repo, name string, out io.Writer) error {
	for _, f := range e.files(name) {
		if !f.due() {
			continue
		}
		path, err := filepath.Abs(f.path)
		if err != nil {
			return gitfail.From(err, gitfail.Local)
		}
		fmt.Fprintf(out, ".. writing %s\n", path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return gitfail.From(err, gitfail.Local)
		}
		err = f.create(ctx, r, path+".tmp")
		if err == nil {
			err = os.Rename(path+".tmp", path)
		}
		if err != nil {
			_ = os.Remove(path + ".tmp")
			return gitfail.From(err, gitfail.Local)
		}
	}
	return nil
}

// tarTo writes the contents of a directory to an uncompressed tar file.
func tarTo(ctx context.Context, path, dir string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	w := tar.NewWriter(f)
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !d.IsDir() && !d.Type().IsRegular() {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		header, err := tar.FileInfoHeader(info, "")
		if err != nil {
			return err
		}
		header.Name = "./" + name
		if name == "." {
			header.Name = "./"
		}
		header.Uname, header.Gname, header.Uid, header.Gid = "", "", 0, 0
		if err := w.WriteHeader(header); err != nil || d.IsDir() {
			return err
		}
		in, err := root.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }()
		_, err = io.Copy(w, in)
		return err
	})
	if err != nil {
		return err
	}
	return w.Close()
}
