package area

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Free is how much an ordinary user can still write below dir, in bytes.
func Free(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Evict makes room below root: it empties the directories of the Lorries that
// were worked on longest ago, until there are least bytes free or nothing is
// left to go. What a Lorry pushed stays on record, and a directory that is in
// use, or that holds old tips of rewritten refs, stays as it is. told gets a
// line for each. A Lorry that lost its repository here fetches it anew.
func Evict(root string, least int64, told func(string)) error {
	free, err := Free(root)
	if err != nil || free >= least {
		return err
	}
	entries, err := os.ReadDir(root)
	if err != nil {
		return err
	}
	type candidate struct {
		dir  string
		used time.Time
	}
	var list []candidate
	for _, e := range entries {
		dir := filepath.Join(root, e.Name())
		if !e.IsDir() || strings.HasPrefix(e.Name(), ".") || !exists(filepath.Join(dir, lockName)) || !exists(filepath.Join(dir, nameName)) {
			continue
		}
		c := candidate{dir: dir}
		for _, name := range []string{nameName, healthName, pushedName} {
			if info, err := os.Stat(filepath.Join(dir, name)); err == nil && info.ModTime().After(c.used) {
				c.used = info.ModTime()
			}
		}
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b candidate) int { return cmp.Or(a.used.Compare(b.used), strings.Compare(a.dir, b.dir)) })
	for _, c := range list {
		emptied, err := empty(c.dir)
		switch {
		case errors.Is(err, errKept):
			told(fmt.Sprintf("%s stays: %v", filepath.Base(c.dir), err))
		case err != nil && !errors.Is(err, syscall.EWOULDBLOCK):
			return err
		case emptied:
			told(fmt.Sprintf("%s was removed to make room; it is fetched anew when its turn comes", filepath.Base(c.dir)))
		}
		if free, err = Free(root); err != nil || free >= least {
			return err
		}
	}
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// empty removes everything from a Lorry's directory but what it is and what it
// pushed. It reports whether there was anything.
func empty(dir string) (bool, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0)
	if err != nil {
		return false, err
	}
	defer func() { _ = lock.Close() }()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return false, err
	}
	if holdsKept(filepath.Join(dir, gitName)) || slices.ContainsFunc((&Area{Dir: dir}).FailedCopies(), holdsUnrescued) {
		return false, errKept
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false, err
	}
	emptied := false
	// The repository goes first: without it the rest says nothing.
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return -cmp.Compare(weight(a.Name()), weight(b.Name())) })
	for _, e := range entries {
		switch e.Name() {
		case lockName, nameName, pushedName, meantName, headName, pushName:
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return emptied, err
		}
		emptied = true
	}
	return emptied, nil
}

func weight(name string) int {
	if name == gitName {
		return 1
	}
	return 0
}

// holdsUnrescued reports the same of one that was set aside, as long as they are
// nowhere else.
func holdsUnrescued(aside string) bool {
	return holdsKept(aside) && !exists(filepath.Join(aside, RescuedName))
}

// holdsKept reports whether a repository has refs of ours for old tips. One
// that cannot be read may.
func holdsKept(git string) bool {
	if !exists(git) {
		return false
	}
	found := false
	err := filepath.WalkDir(filepath.Join(git, "refs", "lorry", "kept"), func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		found = found || err != nil || !d.IsDir()
		return err
	})
	if err != nil || found {
		return true
	}
	packed, err := os.ReadFile(filepath.Join(git, "packed-refs"))
	return err == nil && strings.Contains(string(packed), " refs/lorry/kept/") || err != nil && !errors.Is(err, fs.ErrNotExist)
}
