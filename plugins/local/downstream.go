package local

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// repositoryConfig is that of "git init --bare"; packs that arrive stay packs,
// because a mirror gets much at a time.
const repositoryConfig = `[core]
	repositoryformatversion = 0
	filemode = true
	bare = true
[receive]
	unpackLimit = 1
`

// leftover is the age from which a half-made repository is taken for one whose
// maker has died.
const leftover = time.Hour

// Ensure implements sdk.Downstream.
func (a *Adapter) Ensure(_ context.Context, want sdk.Want) (sdk.Have, error) {
	root, err := a.downstreamRoot()
	if err != nil {
		return sdk.Have{}, err
	}
	defer func() { _ = root.Close() }()
	dir, err := a.target(root, want)
	if err != nil {
		return sdk.Have{}, err
	}
	have := sdk.Have{Access: sdk.Access{URL: a.location(a.settings.BaseDirectory, dir)}}
	if want.Visibility != sdk.VisibilityUnknown {
		have.Unsupported = append(have.Unsupported, "visibility")
	}
	if !isRepository(root, dir) {
		if have.Created, err = a.create(root, dir, want); err != nil {
			return sdk.Have{}, err
		}
	}
	if !isRepository(root, dir) {
		return sdk.Have{}, sdk.WithHint(&sdk.Error{Kind: sdk.Conflict, Fact: "something that is not a repository is in the way", Subject: dir},
			"look at it and move it away")
	}
	if err := a.offer(root, dir); err != nil {
		return sdk.Have{}, err
	}
	if have.Created {
		return have, nil
	}
	described, err := describe(root, dir, want.Description)
	if described {
		a.noted(dir)
	}
	return have, err
}

// AfterPush implements sdk.AfterPusher: HEAD names the default branch once that
// has arrived.
func (a *Adapter) AfterPush(_ context.Context, want sdk.Want) error {
	root, err := a.downstreamRoot()
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	dir, err := a.target(root, want)
	if err != nil {
		return err
	}
	if !isRepository(root, dir) {
		return &sdk.Error{Kind: sdk.NotFound, Fact: "there is no such repository", Subject: want.Path}
	}
	if _, err := describe(root, dir, want.Description); err != nil {
		return err
	}
	defer a.noted(dir)
	if want.Head == "" || want.Head == readHead(root, dir) || !hasRef(root, dir, want.Head) {
		return nil
	}
	return replace(root, path.Join(dir, "HEAD"), "ref: "+want.Head+"\n")
}

func (a *Adapter) downstreamRoot() (*os.Root, error) {
	if a.settings.BaseDirectory == "" {
		return nil, sdk.Errorf(sdk.Unsupported, "there is no setting base-directory, so no repository can be made")
	}
	root, err := os.OpenRoot(a.settings.BaseDirectory)
	if err != nil {
		return nil, problem(err)
	}
	return root, nil
}

// target checks a wish and gives the repository's directory.
func (a *Adapter) target(root *os.Root, want sdk.Want) (string, error) {
	if err := checkPath(want.Path); err != nil {
		return "", err
	}
	if want.Head != "" && !validRef(want.Head) {
		return "", &sdk.Error{Kind: sdk.Invalid, Fact: "the default branch is not the full ref of a branch", Subject: want.Head}
	}
	if err := safeParents(root, want.Path); err != nil {
		return "", err
	}
	dir := want.Path + ".git"
	if info, err := root.Lstat(dir); err == nil && !info.IsDir() {
		return "", &sdk.Error{Kind: sdk.Conflict, Fact: "something that is not a directory is in the way", Subject: dir}
	}
	return dir, nil
}

// create makes a repository aside and moves it into place, so that nobody ever
// sees half of one. Losing the race against another maker is not an error.
func (a *Adapter) create(root *os.Root, dir string, want sdk.Want) (created bool, err error) {
	parent, name := path.Split(dir)
	if parent != "" {
		if err := root.MkdirAll(path.Clean(parent), 0o755); err != nil {
			return false, problem(err)
		}
	}
	prefix := "." + name + ".tmp-"
	removeLeftovers(root, path.Clean(parent), prefix)
	aside := path.Join(parent, prefix+rand.Text())
	defer func() {
		if !created {
			_ = root.RemoveAll(aside)
		}
	}()
	if err := a.populate(root, aside, want); err != nil {
		return false, problem(err)
	}
	switch err := root.Rename(aside, dir); {
	case err == nil:
		return true, nil
	case errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTEMPTY):
		return false, nil
	default:
		return false, problem(err)
	}
}

// populate writes what git needs to find a bare repository.
func (a *Adapter) populate(root *os.Root, dir string, want sdk.Want) error {
	for _, sub := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags"} {
		if err := root.MkdirAll(path.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	head := want.Head
	if head == "" {
		head = branchRef(a.settings.DefaultBranch)
	}
	files := map[string]string{"HEAD": "ref: " + head + "\n", "config": repositoryConfig}
	if want.Description != "" {
		files["description"] = line(want.Description)
	}
	for name, content := range files {
		if err := write(root, path.Join(dir, name), content, 0); err != nil {
			return err
		}
	}
	return nil
}

// describe writes the description when a new one is wanted, and reports
// whether it did.
func describe(root *os.Root, dir, want string) (bool, error) {
	if want == "" || line(want) == line(readDescription(root, dir)) {
		return false, nil
	}
	return true, replace(root, path.Join(dir, "description"), line(want))
}

// line makes one line of a text.
func line(s string) string { return strings.Join(strings.Fields(s), " ") + "\n" }

// replace replaces a file as git does: whoever makes NAME.lock may write.
func replace(root *os.Root, name, content string) error {
	lock := name + ".lock"
	err := write(root, lock, content, os.O_EXCL)
	if errors.Is(err, fs.ErrExist) {
		return sdk.WithHint(&sdk.Error{Kind: sdk.Conflict, Fact: "another process is changing it", Subject: name},
			"if no git is running there, remove the .lock file")
	}
	if err == nil {
		err = root.Rename(lock, name)
	}
	if err != nil {
		_ = root.Remove(lock)
		return problem(err)
	}
	return nil
}

func write(root *os.Root, name, content string, flags int) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|flags, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	return errors.Join(err, f.Sync(), f.Close())
}

// removeLeftovers removes what makers who died have left of the same name.
func removeLeftovers(root *os.Root, parent, prefix string) {
	entries, err := readDir(root, path.Clean("./"+parent))
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), prefix) {
			continue
		}
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > leftover {
			_ = root.RemoveAll(path.Join(parent, e.Name()))
		}
	}
}
