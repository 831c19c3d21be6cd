package local

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Repos implements sdk.Upstream. The tree is walked once; symbolic links are
// not followed, and what is inside a repository is not looked at. A directory
// that can't be read makes the listing incomplete.
func (a *Adapter) Repos(ctx context.Context, _ sdk.Query) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		root, err := a.upstreamRoot()
		if err != nil {
			yield(sdk.Repo{}, err)
			return
		}
		defer func() { _ = root.Close() }()
		w := walker{ctx: ctx, a: a, root: root, yield: yield}
		switch w.dir("."); {
		case w.left:
		case ctx.Err() != nil:
			yield(sdk.Repo{}, ctx.Err())
		case w.missed != "":
			yield(sdk.Repo{}, sdk.Incomplete(w.missed))
		}
	}
}

func (a *Adapter) upstreamRoot() (*os.Root, error) {
	if a.settings.Path == "" {
		return nil, sdk.Errorf(sdk.Unsupported, "there is no setting path, so nothing can be listed")
	}
	root, err := os.OpenRoot(a.settings.Path)
	if err != nil {
		return nil, problem(err)
	}
	return root, nil
}

// walker is the state of one listing.
type walker struct {
	ctx    context.Context
	a      *Adapter
	root   *os.Root
	yield  func(sdk.Repo, error) bool
	left   bool   // the caller has seen enough
	missed string // why the listing is not complete, or ""
}

// dir lists what is below a directory that is no repository.
func (w *walker) dir(dir string) {
	entries, err := readDir(w.root, dir)
	if err != nil {
		if dir == "." {
			w.left = true
			w.yield(sdk.Repo{}, problem(err))
			return
		}
		w.a.log.Warn("can't read a directory", "directory", dir, "err", err)
		w.missed = "can't read " + dir
		return
	}
	has := func(name string) bool {
		return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return e.Name() == name })
	}
	if has(".git") {
		return // somebody's working tree
	}
	for _, e := range entries {
		if w.left || w.ctx.Err() != nil {
			return
		}
		name := e.Name()
		if !e.IsDir() || skipped(name) {
			continue
		}
		sub := path.Join(dir, name)
		switch {
		case !isRepository(w.root, sub):
			w.dir(sub)
		case !plain(sub) || strings.Contains(sub, "\\"):
			w.a.log.Warn("left out a repository whose name is not plain text", "directory", sub)
		case strings.HasSuffix(name, ".git") && has(strings.TrimSuffix(name, ".git")) && isRepository(w.root, strings.TrimSuffix(sub, ".git")):
			w.a.log.Warn("left out a repository, there is one without .git beside it", "directory", sub)
		default:
			w.left = !w.yield(w.a.facts(w.root, sub), nil)
		}
	}
}

// skipped reports whether a directory is not looked at: hidden ones, ones that
// are being made, and the one that file systems have for their repairs.
func skipped(name string) bool {
	return strings.HasPrefix(name, ".") || strings.Contains(name, ".tmp-") || name == "lost+found" || name == ".git"
}

func readDir(root *os.Root, dir string) ([]fs.DirEntry, error) {
	f, err := root.Open(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	entries, err := f.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, err
}

// Repo implements sdk.Upstream.
func (a *Adapter) Repo(_ context.Context, p string) (sdk.Repo, sdk.Access, error) {
	root, err := a.upstreamRoot()
	if err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	defer func() { _ = root.Close() }()
	dir, err := find(root, p)
	if err != nil {
		return sdk.Repo{}, sdk.Access{}, err
	}
	repo := a.facts(root, dir)
	return repo, sdk.Access{URL: repo.CloneURL}, nil
}

// find gives the directory of a repository that a listing would have given.
func find(root *os.Root, p string) (string, error) {
	missing := &sdk.Error{Kind: sdk.NotFound, Fact: "there is no such repository", Subject: p}
	if !fs.ValidPath(p) || p == "." || !plain(p) || strings.HasSuffix(p, ".git") {
		return "", missing
	}
	parts := strings.Split(p, "/")
	dir := "."
	for i, part := range parts {
		if skipped(part) {
			return "", missing
		}
		if i == len(parts)-1 {
			break
		}
		dir = path.Join(dir, part)
		if info, err := root.Lstat(dir); err != nil || !info.IsDir() || isRepository(root, dir) {
			return "", missing
		}
	}
	for _, name := range []string{p, p + ".git"} {
		if info, err := root.Lstat(name); err == nil && info.IsDir() && isRepository(root, name) {
			return name, nil
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", problem(err)
		}
	}
	return "", missing
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, limit))
}
