// Package repo works on one bare repository on disk: its refs, what a dead run
// left in it, its health and its packing. Whoever uses it holds the lock of
// the directory that the repository lies in.
//
// It must not talk to another repository.
package repo

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// Repo is a bare repository.
type Repo struct {
	Dir string
	Git *childproc.Git
	// Files are inherited by every child, so that the lock that they hold
	// lasts until the last of them has ended.
	Files []*os.File
}

// Call makes a call of git in the repository.
func (r *Repo) Call(args ...string) childproc.GitCall {
	return childproc.GitCall{GitDir: r.Dir, Args: args, ExtraFiles: r.Files}
}

// Exists reports whether there is anything at the place.
func (r *Repo) Exists() bool {
	_, err := os.Lstat(r.Dir)
	return err == nil
}

// ForgetRemote removes what a clone wrote down of where it came from: the
// address is the specification's, which may change.
func (r *Repo) ForgetRemote() error {
	path := filepath.Join(r.Dir, "config")
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var kept strings.Builder
	remote := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "[") {
			remote = strings.HasPrefix(line, "[remote ")
		}
		if !remote {
			kept.WriteString(line)
		}
	}
	return os.WriteFile(path, []byte(kept.String()), 0o644)
}

// Refs gives the refs below the given prefixes ("refs/heads/"), or all.
func (r *Repo) Refs(ctx context.Context, prefixes ...string) (map[string]string, error) {
	refs, _, err := r.Links(ctx, prefixes...)
	return refs, err
}

// Links gives beside the refs, as Refs does, what those stand for that are
// symbolic: by name the full name of the other.
func (r *Repo) Links(ctx context.Context, prefixes ...string) (refs, links map[string]string, err error) {
	if refs, err = readRefs(r.Dir); err == nil { // it reads no symbolic ones
		maps.DeleteFunc(refs, func(name, _ string) bool { return !below(name, prefixes) })
		return refs, nil, nil
	}
	out, err := r.Git.Output(ctx, r.Call(append([]string{"for-each-ref", "--format=%(objectname) %(refname) %(symref)"}, prefixes...)...))
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the refs: %w", err)
	}
	refs, links = make(map[string]string), make(map[string]string)
	for line := range strings.Lines(out) {
		// A name may have spaces of Unicode, not that of ASCII.
		words := strings.Split(strings.TrimSuffix(line, "\n"), " ")
		if len(words) != 3 {
			continue
		}
		if refs[words[1]] = words[0]; words[2] != "" {
			links[words[1]] = words[2]
		}
	}
	return refs, links, nil
}

func below(name string, prefixes []string) bool {
	return len(prefixes) == 0 || slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// Head is the full name that HEAD holds, or "".
func (r *Repo) Head() string {
	text, err := os.ReadFile(filepath.Join(r.Dir, "HEAD"))
	if err != nil {
		return ""
	}
	name, _ := strings.CutPrefix(strings.TrimSpace(string(text)), "ref: ")
	if !strings.HasPrefix(name, "refs/") {
		return ""
	}
	return name
}

// SetHead makes HEAD name a branch, which need not exist.
func (r *Repo) SetHead(ctx context.Context, name string) error {
	if r.Head() == name {
		return nil
	}
	return r.Git.Run(ctx, r.Call("symbolic-ref", "HEAD", name))
}

// Change is one change of a ref: New "" deletes it, and with Old it is made only
// if the ref still has that object.
type Change struct{ Ref, New, Old string }

// ManyRefs is how many changed refs make one sync of the file system cheaper
// than one for each ref.
const ManyRefs = 16

// SyncDisk brings everything on the file system of a directory to the disk.
func SyncDisk(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { _ = d.Close() }()
	if err := unix.Syncfs(int(d.Fd())); err != nil {
		return fmt.Errorf("cannot sync the disk of %s: %w", dir, err)
	}
	return nil
}

// Apply makes the changes in one transaction, and they are on disk after it.
func (r *Repo) Apply(ctx context.Context, changes []Change) error {
	if len(changes) == 0 {
		return nil
	}
	var in strings.Builder
	for _, c := range changes {
		if c.New == "" {
			fmt.Fprintf(&in, "delete %s\x00%s\x00", c.Ref, c.Old)
		} else {
			fmt.Fprintf(&in, "update %s\x00%s\x00%s\x00", c.Ref, c.New, c.Old)
		}
	}
	call := r.Call("update-ref", "--stdin", "-z", "--no-deref")
	call.Stdin = strings.NewReader(in.String())
	call.DeferRefSync = len(changes) >= ManyRefs
	if err := r.Git.Run(ctx, call); err != nil {
		return fmt.Errorf("cannot change %d refs: %w", len(changes), err)
	}
	if call.DeferRefSync {
		return SyncDisk(r.Dir)
	}
	return nil
}

// Restore makes the refs below the given prefixes what they were, in two
// transactions: a name may stand in another's way.
func (r *Repo) Restore(ctx context.Context, want map[string]string, prefixes ...string) error {
	have, err := r.Refs(ctx, prefixes...)
	if err != nil {
		return err
	}
	return r.Turn(ctx, have, want)
}

// Turn makes the refs that the repository has what is wanted, as Restore does;
// those that are in neither stay as they are.
func (r *Repo) Turn(ctx context.Context, have, want map[string]string) error {
	if err := r.Drop(ctx, deletions(have, want)); err != nil {
		return err
	}
	var put []Change
	for name, object := range want {
		if have[name] != object {
			put = append(put, Change{Ref: name, New: object})
		}
	}
	sortChanges(put)
	return r.Apply(ctx, put)
}

// deletions removes what is not wanted.
func deletions(have, want map[string]string) []Change {
	var list []Change
	for name := range have {
		if want[name] == "" {
			list = append(list, Change{Ref: name})
		}
	}
	sortChanges(list)
	return list
}

func sortChanges(list []Change) {
	sort.Slice(list, func(i, j int) bool { return list[i].Ref < list[j].Ref })
}

// Lost gives those of the given objects that no ref leads to any more. Objects
// that are no commits count as lost.
func (r *Repo) Lost(ctx context.Context, objects []string) (map[string]bool, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	commits, lost, err := r.sortOut(ctx, objects)
	if err != nil || len(commits) == 0 {
		return lost, err
	}
	call := r.Call("rev-list", "--stdin", "--not", "--branches", "--tags")
	call.Stdin = strings.NewReader(strings.Join(commits, "\n") + "\n")
	out, err := r.Git.Output(ctx, call)
	if err != nil {
		return nil, fmt.Errorf("cannot compare histories: %w", err)
	}
	gone := make(map[string]bool)
	for line := range strings.Lines(out) {
		gone[strings.TrimSpace(line)] = true
	}
	for _, c := range commits {
		if gone[c] {
			lost[c] = true
		}
	}
	return lost, nil
}

// Missing gives those of the given objects that are not here.
func (r *Repo) Missing(ctx context.Context, objects []string) (map[string]bool, error) {
	commits, others, err := r.sortOut(ctx, objects)
	if err != nil {
		return nil, err
	}
	missing := make(map[string]bool)
	for _, object := range objects {
		missing[object] = !others[object]
	}
	for _, object := range commits {
		missing[object] = false
	}
	return missing, nil
}

// sortOut separates commits from other objects; what is missing is in neither.
func (r *Repo) sortOut(ctx context.Context, objects []string) (commits []string, others map[string]bool, err error) {
	call := r.Call("cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer")
	call.Stdin = strings.NewReader(strings.Join(objects, "\n") + "\n")
	out, err := r.Git.Output(ctx, call)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot look up old tips: %w", err)
	}
	others = make(map[string]bool)
	for line := range strings.Lines(out) {
		switch object, kind, _ := strings.Cut(strings.TrimSpace(line), " "); kind {
		case "commit":
			commits = append(commits, object)
		case "tag", "tree", "blob":
			others[object] = true
		}
	}
	return commits, others, nil
}

// Check runs git fsck: whether every object that a ref leads to is there, or
// with full also whether each is whole.
func (r *Repo) Check(ctx context.Context, full bool) error {
	args := []string{"fsck", "--no-dangling", "--no-progress"}
	if !full {
		args = append(args, "--connectivity-only")
	}
	if err := r.Git.Run(ctx, r.Call(args...)); err != nil {
		return core.Errorf(core.KindInternal, "the repository is damaged: %w", err)
	}
	return nil
}
