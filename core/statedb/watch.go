package statedb

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sys/unix"

	"github.com/lorry-controller/lorry-controller/core"
)

// watch notices that an SQLite file, or its journal, was deleted or replaced
// while it is open. The system lets a program go on writing to a file that has
// no name any more, so without it answers would be given that nobody finds again.
type watch struct {
	log hclog.Logger

	mu    sync.Mutex
	names []string
	files []identity // of each name; zero until it was seen first
	gone  bool
}

// identity is which file a name stands for.
type identity struct {
	major, minor uint32
	inode        uint64
}

// identify asks for the inode alone, as stat(2) can't: since Linux 6.13 the first
// write after somebody has asked for a file's times gets a time of its own, which
// the fsync behind it has to put into the journal of the file system. A commit
// took a quarter longer so.
func identify(name string) (identity, error) {
	var s unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, name, 0, unix.STATX_INO, &s)
	if err == nil {
		return identity{s.Dev_major, s.Dev_minor, s.Ino}, nil
	}
	// Some sandboxes refuse what they do not know.
	var old unix.Stat_t
	if err := unix.Stat(name, &old); err != nil {
		return identity{}, &fs.PathError{Op: "stat", Path: name, Err: err}
	}
	return identity{unix.Major(old.Dev), unix.Minor(old.Dev), old.Ino}, nil
}

// newWatch watches path, which must be there, and its journal from when it is.
func newWatch(path string, log hclog.Logger) (*watch, error) {
	file, err := identify(path)
	if err != nil {
		return nil, fmt.Errorf("open the state database: %w", err)
	}
	return &watch{log: log, names: []string{path, path + "-wal"}, files: []identity{file, {}}}, nil
}

// check gives an error while a name stands for another file than it did, or for
// none. It is over when the file is put back.
func (w *watch) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, name := range w.names {
		file, err := identify(name)
		known := w.files[i] != identity{}
		switch {
		case err == nil && !known:
			w.files[i] = file
		case !known, err == nil && file == w.files[i], err != nil && !errors.Is(err, fs.ErrNotExist):
			// As it was; what can't be looked at now, such as a directory whose
			// mode was changed, is no proof.
		default:
			lost := w.lost(name, err)
			if !w.gone {
				w.gone = true
				w.log.Error("the state database is gone: nothing is accepted until it is back", "file", name, "hint", lost.Hint)
			}
			return lost
		}
	}
	if w.gone {
		w.gone = false
		w.log.Info("the state database is back", "file", w.names[0])
	}
	return nil
}

func (w *watch) lost(name string, err error) *core.Error {
	what := "replaced"
	if err != nil {
		what = "deleted"
	}
	return &core.Error{
		Kind: core.KindUnavailable, Fact: fmt.Sprintf("state database: %s was %s while in use", name, what), Err: err,
		Hint: "put the file back where it was, or stop the controller, restore a backup and start it again; " +
			"without one the queue is made anew from CONFGIT, and the mirrors stay",
	}
}
