package repo

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Drop deletes refs, each only if it still has the object Old, where that is
// given. Very many go by writing the file of packed refs anew, once: git itself
// would make and remove a lock for each. Nobody else may work in the repository.
func (r *Repo) Drop(ctx context.Context, refs []Change) error {
	if len(refs) < ManyRefs && !slices.ContainsFunc(refs, func(c Change) bool { return TooLong(c.Ref) }) {
		return r.Apply(ctx, refs)
	}
	if err := r.drop(refs); !errors.Is(err, errUnusual) {
		return err
	}
	return r.Apply(ctx, refs)
}

// drop is errUnusual where git is to delete the refs, or to say why it does not.
func (r *Repo) drop(refs []Change) error {
	have, err := readRefs(r.Dir)
	if err != nil {
		return err
	}
	goes := make(map[string]bool, len(refs))
	for _, c := range refs {
		if c.New != "" || c.Old != "" && have[c.Ref] != c.Old {
			return errUnusual
		}
		goes[c.Ref] = true
	}
	// A file stands for more than its line in the list: that goes first.
	text, err := os.ReadFile(filepath.Join(r.Dir, "packed-refs"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		if err := WritePackedRefs(r.Dir, without(text, goes), false); err != nil {
			return err
		}
	}
	for _, c := range refs {
		path := filepath.Join(r.Dir, filepath.FromSlash(c.Ref))
		if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() {
			continue // it was packed alone
		}
		if err := os.Remove(path); err != nil {
			return err
		}
	}
	return SyncDisk(r.Dir)
}

// without leaves refs out of a list of packed refs, with what is said of their
// tags.
func without(text []byte, goes map[string]bool) []byte {
	var out bytes.Buffer
	gone := false
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte("^")) {
			_, name, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), " ")
			gone = goes[name]
		}
		if !gone {
			out.Write(line)
		}
	}
	return out.Bytes()
}
