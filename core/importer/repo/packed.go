package repo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// packedHeader begins a list of refs that says of each tag what it leads to.
const packedHeader = "# pack-refs with: peeled fully-peeled sorted \n"

// PackRefs moves all refs into one file. git itself would take a lock for each
// file that it then removes; whoever holds the lock of the directory need not.
func (r *Repo) PackRefs(ctx context.Context) error {
	if err := r.Git.Run(ctx, r.Call("pack-refs", "--all", "--no-prune")); err != nil {
		return fmt.Errorf("cannot pack the refs: %w", err)
	}
	packed := make(map[string]string)
	if err := readPacked(filepath.Join(r.Dir, "packed-refs"), packed); err != nil {
		return fmt.Errorf("cannot pack the refs: %w", err)
	}
	var dirs []string
	err := filepath.WalkDir(filepath.Join(r.Dir, "refs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := filepath.ToSlash(path[len(r.Dir)+1:])
		if d.IsDir() {
			if strings.Count(name, "/") > 1 { // refs/heads and its like stay
				dirs = append(dirs, path)
			}
			return nil
		}
		object, err := os.ReadFile(path)
		if err != nil || packed[name] == "" || strings.TrimSuffix(string(object), "\n") != packed[name] {
			return err
		}
		return os.Remove(path)
	})
	if err != nil {
		return fmt.Errorf("cannot pack the refs: %w", err)
	}
	for _, dir := range slices.Backward(dirs) {
		_ = os.Remove(dir) // one that is not empty stays
	}
	return nil
}

// Add makes refs that are not there yet. Very many go straight into the file of
// packed refs: a file for each, some in a directory of its own, would take
// minutes.
func (r *Repo) Add(ctx context.Context, refs []Change) error {
	if len(refs) < ManyRefs {
		return r.Apply(ctx, refs)
	}
	objects := make([]string, 0, len(refs))
	for _, c := range refs {
		objects = append(objects, c.New)
	}
	slices.Sort(objects)
	commits, _, err := r.sortOut(ctx, slices.Compact(objects))
	if err != nil {
		return err
	}
	isCommit := make(map[string]bool, len(commits))
	for _, object := range commits {
		isCommit[object] = true
	}
	var plain, others []Change // of a tag, the file says more
	for _, c := range refs {
		if isCommit[c.New] {
			plain = append(plain, c)
		} else {
			others = append(others, c)
		}
	}
	if err := r.addPacked(ctx, plain); errors.Is(err, errUnusual) {
		others = refs
	} else if err != nil {
		return err
	}
	return r.Apply(ctx, others)
}

// addPacked adds refs to commits to the file of packed refs. errUnusual says
// that they cannot stand there.
func (r *Repo) addPacked(ctx context.Context, refs []Change) error {
	have, err := r.Refs(ctx)
	if err != nil {
		return err
	}
	path := filepath.Join(r.Dir, "packed-refs")
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = []byte(packedHeader), nil
	}
	if err != nil {
		return err
	}
	header, rest, _ := bytes.Cut(text, []byte("\n"))
	if string(header)+"\n" != packedHeader || clashes(have, refs) {
		return errUnusual
	}
	// One entry is the line of a ref and perhaps one of what its tag leads to.
	entries := make(map[string]string)
	var names []string
	for line := range strings.Lines(string(rest)) {
		if strings.HasPrefix(line, "^") && len(names) > 0 {
			entries[names[len(names)-1]] += line
			continue
		}
		_, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if !ok {
			return errUnusual
		}
		names, entries[name] = append(names, name), line
	}
	for _, c := range refs {
		names, entries[c.Ref] = append(names, c.Ref), c.New+" "+c.Ref+"\n"
	}
	slices.Sort(names)
	var out bytes.Buffer
	out.WriteString(packedHeader)
	for _, name := range slices.Compact(names) {
		out.WriteString(entries[name])
	}
	return WritePackedRefs(r.Dir, out.Bytes(), false)
}

// clashes reports whether a new ref is there, or stands where another needs a
// directory.
func clashes(have map[string]string, refs []Change) bool {
	names, dirs := make(map[string]bool), make(map[string]bool)
	add := func(name string) {
		names[name] = true
		for i := strings.LastIndexByte(name, '/'); i > 0 && !dirs[name[:i]]; i = strings.LastIndexByte(name[:i], '/') {
			dirs[name[:i]] = true
		}
	}
	for name := range have {
		add(name)
	}
	for _, c := range refs {
		if names[c.Ref] {
			return true
		}
		add(c.Ref)
	}
	for _, c := range refs {
		if dirs[c.Ref] {
			return true
		}
		for i := strings.LastIndexByte(c.Ref, '/'); i > 0; i = strings.LastIndexByte(c.Ref[:i], '/') {
			if names[c.Ref[:i]] {
				return true
			}
		}
	}
	return false
}

// WritePackedRefs replaces the file of packed refs as git does: under the lock
// that git takes for it, and it is on the disk then. With fresh there must be
// none yet.
func WritePackedRefs(dir string, text []byte, fresh bool) (err error) {
	path := filepath.Join(dir, "packed-refs")
	lock, err := os.OpenFile(path+".lock", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(lock.Name())
		}
	}()
	_, err = lock.Write(text)
	if err == nil {
		err = lock.Sync()
	}
	if cerr := lock.Close(); err == nil {
		err = cerr
	}
	if _, there := os.Lstat(path); err == nil && fresh && !errors.Is(there, fs.ErrNotExist) {
		err = fmt.Errorf("%s: somebody else has made it meanwhile", path)
	}
	if err == nil {
		err = os.Rename(lock.Name(), path)
	}
	if err == nil {
		err = SyncDir(dir)
	}
	return err
}

// SyncDir brings the names in a directory to the disk.
func SyncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	return d.Sync()
}
