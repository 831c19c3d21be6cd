package importer

import (
	"errors"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// LocalPath is the path that a checked git address leads to on this machine,
// or "" for one elsewhere.
func LocalPath(address string) string {
	if strings.HasPrefix(address, "/") {
		return address
	}
	path, ok := strings.CutPrefix(address, "file://")
	if !ok {
		return ""
	}
	if plain, err := url.PathUnescape(path); err == nil {
		return plain
	}
	return path
}

// readable refuses a path that a job from elsewhere may not read, and one below
// a directory that has been taken away: who knows what comes in its place.
func (j *job) readable(a core.Access) error {
	path := LocalPath(a.URL)
	if path == "" || j.Request == nil {
		return nil
	}
	switch inside, missing := below(path, j.Request.FileRoots); {
	case inside:
		if place := outside(path, realDirs(j.Request.FileRoots)); place != "" {
			return gitfail.New(core.FailSpec, gitfail.Upstream, "list that directory in the controller's setting file-roots, too, if it is meant to be read",
				"upstream: the repository borrows from %s, which is not below a directory that may be read", place)
		}
		return nil
	case missing != "":
		return gitfail.New(core.FailGone, gitfail.Upstream, "bring the directory back, or mount it; if it is gone for good, remove the Lorry or correct its url",
			"upstream: the directory %s is not there any more", missing)
	}
	return gitfail.New(core.FailSpec, gitfail.Upstream, "list its directory in the controller's setting file-roots",
		"upstream: the path %s is not below a directory that may be read", path)
}

// realDirs are the directories that are there, with all links followed.
func realDirs(roots []string) (list []string) {
	for _, root := range roots {
		if dir, err := filepath.EvalSymlinks(root); err == nil {
			list = append(list, dir)
		}
	}
	return list
}

// below reports whether a path, with all links followed, lies in one of the
// directories. If not, missing is the directory, if any, in which it would lie
// were that one there.
func below(path string, roots []string) (inside bool, missing string) {
	var real []string
	for _, root := range roots {
		if dir, err := filepath.EvalSymlinks(root); err == nil {
			real = append(real, dir)
		} else if contains(filepath.Clean(root), filepath.Clean(path)) && absent(err) {
			missing = root
		}
	}
	places, ok := leadsTo(path)
	if !ok {
		return false, missing
	}
	for _, place := range places {
		inside = false
		for _, root := range real {
			inside = inside || contains(root, place)
		}
		if !inside {
			return false, missing
		}
	}
	return true, ""
}

// leadsTo gives where a path really leads to, as far as it is there: beyond
// that, the program that reads it says best what it misses. It is false for
// what leads nowhere yet, and might lead anywhere by the time it is read.
func leadsTo(path string) (places []string, ok bool) {
	var exact []string
	if slices.Contains(strings.Split(path, "/"), "..") {
		exact = append(exact, path) // some programs follow links before that, some do not
	}
	for _, ending := range []string{"/.git", ".git", ".git/.git"} { // git tries them
		if other := strings.TrimRight(path, "/") + ending; exists(other) {
			exact = append(exact, other)
		}
	}
	at := filepath.Clean(path)
	for !exists(at) && at != filepath.Dir(at) {
		at = filepath.Dir(at)
	}
	for _, p := range append(exact, at) {
		place, err := filepath.EvalSymlinks(p)
		if err != nil {
			return nil, false
		}
		places = append(places, place)
	}
	return places, true
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// contains reports whether a path is a directory or lies in it; both are clean.
func contains(dir, path string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && filepath.IsLocal(rel)
}

// absent reports whether an error says that a directory is not there, or that
// a link to it leads nowhere.
func absent(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}
