package statedb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
)

// watch notices that an SQLite file, or its journal, was deleted or replaced
// while it is open. The system lets a program go on writing to a file that has
// no name any more, so without it answers would be given that nobody finds again.
type watch struct {
	log hclog.Logger

	mu    sync.Mutex
	names []string
	files []fs.FileInfo // of each name; nil until it was seen first
	gone  bool
}

// newWatch watches path, which must be there, and its journal from when it is.
func newWatch(path string, log hclog.Logger) (*watch, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("open the state database: %w", err)
	}
	return &watch{log: log, names: []string{path, path + "-wal"}, files: []fs.FileInfo{info, nil}}, nil
}

// check gives an error while a name stands for another file than it did, or for
// none. It is over when the file is put back.
func (w *watch) check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, name := range w.names {
		info, err := os.Stat(name)
		switch {
		case err == nil && w.files[i] == nil:
			w.files[i] = info
		case w.files[i] == nil, err == nil && os.SameFile(info, w.files[i]), err != nil && !errors.Is(err, fs.ErrNotExist):
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
