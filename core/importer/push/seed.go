package push

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/meter"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// sumSize is the length of the checksum, SHA-1, that ends a pack and its index.
const sumSize = sha1.Size

// seed fills an empty repository on this machine with one that is as it was
// cloned or collected: one pack, and no ref but the wanted ones. A push would
// pack, index and walk through everything that git has packed, indexed and
// walked through before; here the files are copied, each held against the
// checksum that git wrote at its end, and the refs come last, all at once. It
// reports whether the case was such a one: if not, nothing was done.
func (p *Push) seed(ctx context.Context, wanted []policy.Wanted, have map[string]string) (bool, error) {
	if !p.Whole || p.Local == "" || len(have) > 0 || len(p.Options) > 0 || !isPlain(p.Local) {
		return false, nil
	}
	refs, ok, err := p.packedRefs(ctx, wanted)
	if err != nil || !ok {
		return err != nil, err
	}
	pack, total := onlyPack(p.Repo.Dir)
	if pack == "" || !isEmpty(p.Local, pack) {
		return false, nil
	}
	to := filepath.Join(p.Local, "objects", "pack")
	err = copyPack(ctx, filepath.Join(p.Repo.Dir, "objects", "pack"), to, pack, meter.Bytes(p.Progress, nil, "Copying objects", total))
	if err == nil {
		err = repo.WritePackedRefs(p.Local, refs, true)
	}
	if err != nil {
		if _, refs := os.Lstat(filepath.Join(p.Local, "packed-refs")); errors.Is(refs, fs.ErrNotExist) {
			// Nobody needs the pack without a ref to it, and the disk may be full.
			for _, end := range slices.Backward(packEnds()) {
				_ = os.Remove(filepath.Join(to, pack+end))
			}
		}
		return true, gitfail.From(err, gitfail.Downstream)
	}
	return true, nil
}

// isPlain reports whether nothing in a repository's configuration asks for
// more than git does by itself.
func isPlain(dir string) bool {
	text, err := os.ReadFile(filepath.Join(dir, "config"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(strings.ToLower(string(text))) {
		switch strings.Join(strings.Fields(line), " ") {
		case "", "[core]", "repositoryformatversion = 0", "filemode = true", "filemode = false", "bare = true", "[receive]", "unpacklimit = 1":
		default:
			return false
		}
	}
	return true
}

// isEmpty reports whether a repository has neither refs nor objects, but for a
// pack of the same name, which a run left that died here.
func isEmpty(dir, pack string) bool {
	for _, name := range []string{"packed-refs", "reftable", "commondir", "shallow"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return hasNothingBut(dir, pack)
}

// hasNothingBut reports whether a repository has no object outside of a pack.
func hasNothingBut(dir, pack string) bool {
	var files []string
	for _, end := range packEnds() {
		files = append(files, pack+end)
	}
	return holds(dir, "objects", "info", "pack") && holds(dir, "objects/info") && holds(dir, "objects/pack", files...)
}

// holds reports whether a directory of a repository holds nothing beside what is
// named.
func holds(dir, sub string, names ...string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, filepath.FromSlash(sub)))
	return err == nil && !slices.ContainsFunc(entries, func(e os.DirEntry) bool { return !slices.Contains(names, e.Name()) })
}

// packEnds are the files of a pack, in the order in which they are written: by
// its index, a pack is there.
func packEnds() []string { return []string{".pack", ".rev", ".idx"} }

// onlyPack gives the pack that holds all objects of a repository, and the size
// of its files; "" when it has them elsewhere too.
func onlyPack(dir string) (name string, size int64) {
	entries, err := os.ReadDir(filepath.Join(dir, "objects", "pack"))
	if err != nil {
		return "", 0
	}
	for _, e := range entries {
		if pack, isIndex := strings.CutSuffix(e.Name(), ".idx"); isIndex {
			name = pack
		}
	}
	if name == "" || !hasNothingBut(dir, name) {
		return "", 0
	}
	for _, end := range packEnds() {
		if info, err := os.Stat(filepath.Join(dir, "objects", "pack", name+end)); err == nil {
			size += info.Size()
		}
	}
	return name, size
}

// packedRefs words the wanted refs as git's packed-refs, from those of the
// repository, which must have no ref but these.
func (p *Push) packedRefs(ctx context.Context, wanted []policy.Wanted) (text []byte, ok bool, err error) {
	refs, err := p.Repo.Refs(ctx)
	if err != nil {
		return nil, false, gitfail.From(err, gitfail.Local)
	}
	for _, w := range wanted {
		if refs[w.Dst] != w.Object || len(w.Object) != 2*sumSize {
			return nil, false, nil
		}
	}
	text, err = os.ReadFile(filepath.Join(p.Repo.Dir, "packed-refs"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, gitfail.From(err, gitfail.Local)
	}
	header, _, _ := bytes.Cut(text, []byte("\n"))
	for _, trait := range []string{" fully-peeled ", " sorted "} {
		if !bytes.HasPrefix(header, []byte("# pack-refs with: ")) || !bytes.Contains(header, []byte(trait)) {
			return nil, false, nil
		}
	}
	packed := 0
	for in := bufio.NewScanner(bytes.NewReader(text)); in.Scan(); {
		if object, name, found := strings.Cut(in.Text(), " "); found && refs[name] == object {
			packed++
		}
	}
	return text, len(refs) == len(wanted) && packed == len(wanted), nil
}

// copyPack copies a pack, and what it has written is on the disk then.
func copyPack(ctx context.Context, from, to, pack string, progress io.Writer) error {
	var packed []byte // its checksum
	for _, end := range packEnds() {
		path := filepath.Join(from, pack+end)
		sum, before, err := copyChecked(ctx, path, to, pack+end, progress)
		switch {
		case errors.Is(err, fs.ErrNotExist) && end == ".rev":
			continue // older versions of git write none
		case err != nil:
			return err
		case end == ".pack":
			packed = sum
		case !bytes.Equal(before, packed):
			return damaged(path)
		}
	}
	return repo.SyncDir(to)
}

func damaged(path string) error {
	return gitfail.From(fmt.Errorf("%s is damaged: its checksum is wrong", path), gitfail.Local)
}

// copyChecked copies one file of a pack into a directory, unless the checksum at
// its end is not that of the rest. It gives the checksum and what stands before
// it: in an index, the checksum of the pack.
func copyChecked(ctx context.Context, from, dir, name string, progress io.Writer) (sum, before []byte, err error) {
	in, err := os.Open(from)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = in.Close() }()
	out, err := os.CreateTemp(dir, "tmp_pack_") // as git names it, so that what a dead run left is known
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		_ = out.Close()
		if err != nil {
			_ = os.Remove(out.Name())
		}
	}()
	last := &ending{hash: sha1.New()}
	if _, err = io.CopyBuffer(io.MultiWriter(out, last, progress), &stoppable{ctx, in}, make([]byte, 1<<20)); err != nil {
		return nil, nil, err
	}
	if sum, before = last.sums(); sum == nil {
		return nil, nil, damaged(from)
	}
	if err = out.Chmod(0o444); err == nil {
		err = out.Sync()
	}
	if err == nil {
		err = os.Rename(out.Name(), filepath.Join(dir, name))
	}
	return sum, before, err
}

// stoppable is a reader that ends with its context.
type stoppable struct {
	ctx context.Context
	r   io.Reader
}

// Read implements io.Reader.
func (s *stoppable) Read(b []byte) (int, error) {
	if s.ctx.Err() != nil {
		return 0, context.Cause(s.ctx)
	}
	return s.r.Read(b)
}

// ending takes the checksum of all that is written to it but the last bytes,
// where a checksum stands.
type ending struct {
	hash hash.Hash // of all but the last sumSize bytes
	rest []byte    // the last bytes, twice as many where there are
}

// Write implements io.Writer.
func (e *ending) Write(b []byte) (int, error) {
	pending := e.rest[max(0, len(e.rest)-sumSize):]
	if len(b) >= sumSize {
		_, _ = e.hash.Write(pending)
		_, _ = e.hash.Write(b[:len(b)-sumSize])
	} else if surplus := len(pending) + len(b) - sumSize; surplus > 0 {
		_, _ = e.hash.Write(pending[:surplus])
	}
	all := append(slices.Clone(e.rest), b[max(0, len(b)-2*sumSize):]...)
	e.rest = all[max(0, len(all)-2*sumSize):]
	return len(b), nil
}

// sums gives the checksum that was written last, and as much before it; none
// when it is not that of the rest.
func (e *ending) sums() (sum, before []byte) {
	if len(e.rest) < 2*sumSize || !bytes.Equal(e.hash.Sum(nil), e.rest[sumSize:]) {
		return nil, nil
	}
	return e.rest[sumSize:], e.rest[:sumSize]
}
