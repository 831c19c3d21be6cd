package local

import (
	"io/fs"
	"os"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// plain reports whether s is text without control characters.
func plain(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}

// CheckPath implements sdk.PathChecker by the rules for names alone; what is in
// the tree is looked at when a repository is made.
func (a *Adapter) CheckPath(path string) (normal string, err error) { return path, checkPath(path) }

// checkPath refuses paths that could leave the directory, hide in it, or be
// taken for something else by git or a shell.
func checkPath(p string) error {
	fault := func(why string) error {
		return &sdk.Error{
			Kind: sdk.Invalid, Fact: "the path is not allowed: " + why, Subject: p, Hint: "choose another path for the Lorry, or another prefix for the host",
		}
	}
	if p == "" || len(p) > 1024 {
		return fault("it is empty or too long")
	}
	if !plain(p) || strings.Contains(p, "\\") {
		return fault("it has control characters, backslashes or broken UTF-8")
	}
	for part := range strings.SplitSeq(p, "/") {
		lower := strings.ToLower(part)
		switch {
		case part == "" || part == "." || part == "..":
			return fault("it has an empty, \".\" or \"..\" part")
		case len(part) > 200:
			return fault("a part of it is too long")
		case part[0] == '.' || part[0] == '-':
			return fault("a part of it starts with a dot or a dash")
		case strings.HasSuffix(lower, ".git") || strings.HasSuffix(lower, ".lock"):
			return fault("a part of it ends in .git or .lock")
		}
	}
	return nil
}

// safeParents refuses a path that leads through a symbolic link or into another
// repository, so that none is made inside another one.
func safeParents(root *os.Root, p string) error {
	for i := range len(p) {
		if p[i] != '/' {
			continue
		}
		parent := p[:i]
		info, err := root.Lstat(parent)
		if err != nil {
			return nil //nolint:nilerr // not there: nothing can be wrong with it, nor with what is below
		}
		if !info.IsDir() {
			return &sdk.Error{Kind: sdk.Invalid, Fact: "a part of the path is not a directory", Subject: parent}
		}
		if isRepository(root, parent) {
			return &sdk.Error{Kind: sdk.Invalid, Fact: "the path leads into another repository", Subject: parent}
		}
	}
	return nil
}

// isRepository reports whether a directory is a bare git repository.
func isRepository(root *os.Root, dir string) bool {
	head, err := root.Lstat(path.Join(dir, "HEAD"))
	if err != nil || head.IsDir() {
		return false
	}
	for _, name := range []string{"objects", "refs"} {
		if info, err := root.Stat(path.Join(dir, name)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// readSmall reads a file of a repository, at most limit bytes of it. A
// symbolic link is followed only within the directory.
func readSmall(root *os.Root, name string, limit int64) ([]byte, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: name, Err: fs.ErrInvalid}
	}
	f, err := root.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	return readLimited(f, limit)
}
