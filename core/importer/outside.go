package importer

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// maxPointers is how many places a repository may name, its own among them.
const maxPointers = 100

// outside finds where a repository on this machine sends its readers to files
// that lie in none of the directories, which are real ones: by a link, or by
// one of the files with which repositories name others. "" means nowhere.
//
// It looks where the programs look, so that what is checked out beside a
// repository does not matter.
func outside(path string, roots []string) string {
	o := &outsiders{roots: roots, seen: make(map[string]bool)}
	for _, ending := range []string{"", ".git", "/.git", ".git/.git"} { // git tries them
		o.repository(strings.TrimRight(path, "/") + ending)
	}
	// A url of Subversion goes on within the repository.
	for at := filepath.Clean(path); at != filepath.Dir(at); at = filepath.Dir(at) {
		place, err := filepath.EvalSymlinks(at)
		if err == nil && !o.within(place) {
			break
		}
		o.links(filepath.Join(at, "db"))
	}
	return o.found
}

type outsiders struct {
	roots []string
	seen  map[string]bool
	found string
}

// inside reports whether a path leads into the directories, and keeps one that
// does not. What is not there leads nowhere, but a link that leads there.
func (o *outsiders) inside(path string) bool {
	if !exists(path) {
		return false
	}
	place, err := filepath.EvalSymlinks(path)
	if err != nil {
		place = path
	}
	if err == nil && o.within(place) {
		return true
	}
	if o.found == "" {
		o.found = place
	}
	return false
}

func (o *outsiders) within(place string) bool {
	return slices.ContainsFunc(o.roots, func(root string) bool { return contains(root, place) })
}

// again reports whether a place was looked at before. Who names very many has
// something else in mind than to borrow.
func (o *outsiders) again(dir string) bool {
	if o.seen[dir] {
		return true
	}
	o.seen[dir] = true
	if len(o.seen) > maxPointers && o.found == "" {
		o.found = dir
	}
	return len(o.seen) > maxPointers
}

// repository looks at one of git or Mercurial, and at those that it names.
func (o *outsiders) repository(dir string) {
	if !o.inside(dir) || o.again(dir) {
		return
	}
	if text, ok := pointer(dir); ok { // a file in place of a repository
		if to, ok := strings.CutPrefix(text, "gitdir: "); ok {
			o.repository(from(filepath.Dir(dir), to))
		}
		return
	}
	if text, ok := pointer(filepath.Join(dir, "commondir")); ok {
		o.repository(from(dir, text))
	}
	for _, name := range []string{"HEAD", "config", "packed-refs", "refs", ".hg", ".bzr"} {
		o.inside(filepath.Join(dir, name))
	}
	o.objects(filepath.Join(dir, "objects"))
	hg := filepath.Join(dir, ".hg")
	o.links(filepath.Join(hg, "store"))
	o.links(filepath.Join(dir, ".bzr", "repository"))
	if text, ok := pointer(filepath.Join(hg, "sharedpath")); ok {
		o.repository(filepath.Dir(from(hg, text)))
	}
}

// objects looks at a directory of git's objects and those that it borrows from.
func (o *outsiders) objects(dir string) {
	if !o.inside(dir) || o.again(dir) {
		return
	}
	o.links(dir)
	o.links(filepath.Join(dir, "pack"))
	o.links(filepath.Join(dir, "info"))
	text, err := os.ReadFile(filepath.Join(dir, "info", "alternates"))
	if err != nil {
		return
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\n"); line != "" && !strings.HasPrefix(line, "#") {
			o.objects(from(dir, strings.Trim(line, `"`)))
		}
	}
}

// links looks at a directory and what lies in it.
func (o *outsiders) links(dir string) {
	if !o.inside(dir) {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if e.Type()&os.ModeSymlink != 0 {
			o.inside(filepath.Join(dir, e.Name()))
		}
	}
}

// pointer gives the first line of a small file.
func pointer(path string) (string, bool) {
	info, err := os.Stat(path)
	if err != nil || !info.Mode().IsRegular() || info.Size() > 64<<10 {
		return "", false
	}
	text, err := os.ReadFile(path)
	line, _, _ := strings.Cut(string(text), "\n")
	return strings.TrimRight(line, "\r "), err == nil
}

// from completes a path that a file in a directory names.
func from(dir, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(dir, path)
}
