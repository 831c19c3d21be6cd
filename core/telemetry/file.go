package telemetry

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core/settings"
)

// file is a log file that is turned when it would grow too large: FILE becomes
// FILE.1, FILE.1 becomes FILE.2, and so on, and the oldest goes.
type file struct {
	opts settings.Log
	mu   sync.Mutex
	f    *os.File
	size int64
	turn bool // it is an ordinary file and may be turned
}

func openFile(opts settings.Log) (*file, error) {
	if opts.Mode == 0 {
		opts.Mode = 0o600
	}
	w := &file{opts: opts}
	if err := w.open(); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *file) open() error {
	f, err := os.OpenFile(w.opts.To, os.O_WRONLY|os.O_APPEND|os.O_CREATE, w.opts.Mode)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		_ = f.Close()
		return err
	}
	w.f, w.size, w.turn = f, info.Size(), info.Mode().IsRegular()
	return nil
}

func (w *file) reopen() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	old := w.f
	if err := w.open(); err != nil {
		return fmt.Errorf("log: %w", err)
	}
	if old != nil {
		return old.Close()
	}
	return nil
}

func (w *file) write(_ hclog.Level, line string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.turn && w.opts.Max > 0 && w.size > 0 && w.size+int64(len(line)) > w.opts.Max {
		if err := w.rotate(); err != nil {
			return err
		}
	}
	if w.f == nil {
		return fs.ErrClosed
	}
	n, err := w.f.WriteString(line)
	w.size += int64(n)
	return err
}

// rotate moves the files on and opens a new one. If that fails, the old one
// goes on to be written: a line too many is better than one lost.
func (w *file) rotate() error {
	for i := w.opts.Keep; i > 0; i-- {
		from := fmt.Sprintf("%s.%d", w.opts.To, i-1)
		if i == 1 {
			from = w.opts.To
		}
		err := os.Rename(from, fmt.Sprintf("%s.%d", w.opts.To, i))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			w.size = 0 // try again when as much has been written once more
			return nil
		}
	}
	if w.opts.Keep == 0 {
		if err := w.f.Truncate(0); err != nil {
			return err
		}
		w.size = 0
		return nil
	}
	old := w.f
	if err := w.open(); err != nil {
		w.size = 0
		return nil
	}
	return old.Close()
}

func (w *file) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.f == nil {
		return nil
	}
	err := w.f.Close()
	w.f = nil
	return err
}
