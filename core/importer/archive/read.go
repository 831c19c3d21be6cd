package archive

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/bzip2"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// reader reads one downloaded file.
type reader struct {
	file   *os.File
	kind   spec.Type
	name   string // the file's own
	limits Limits
	env    []string // of programs that unpack
}

// headSize is how much of a file is looked at to find out what it is.
const headSize = 1024

// read reads the file from its beginning to its end into a tree. Its error is a
// *gitfail.Error.
func (r *reader) read(ctx context.Context, to blobs) (*tree, error) {
	t, err := r.readAll(ctx, to)
	if err == nil {
		err = t.meet()
	}
	if err == nil && len(t.entries) == 0 {
		return nil, gitfail.New(core.FailEmpty, gitfail.Upstream, hintCorrupt, "upstream: the archive holds no file")
	}
	if err != nil {
		return nil, broken(err)
	}
	return t, nil
}

func (r *reader) readAll(ctx context.Context, to blobs) (*tree, error) {
	info, err := r.file.Stat()
	if err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	if info.Size() == 0 {
		return nil, gitfail.New(core.FailEmpty, gitfail.Upstream, hintCorrupt, "upstream: the file is empty")
	}
	head := make([]byte, headSize)
	n, err := r.file.ReadAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, gitfail.From(err, gitfail.Local)
	}
	is := sniff(head[:n])
	if is == page && (r.kind != spec.Gzip || !strings.HasSuffix(r.name, "ml")) {
		return nil, gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.Hint(core.FailNotGit, gitfail.Upstream),
			"upstream: the file is a page (HTML or XML), not an archive")
	}
	t := &tree{blobs: to, limits: r.limits, entries: make(map[string]entry), dirs: make(map[string]bool)}
	if r.kind == spec.Gzip {
		return t, r.single(ctx, t, is, info.Size())
	}
	if is == zipped || r.kind == spec.Zip && is == plain && r.extractsItself(info.Size()) {
		t.guard = r.limits.limited(nil, info.Size())
		return t, r.zip(ctx, t, info.Size())
	}
	in, err := open(ctx, r.file, is, r.env)
	if err != nil {
		return nil, err
	}
	defer func() { _ = in.Close() }()
	t.guard = r.limits.limited(in, info.Size())
	return t, r.tar(ctx, t, t.guard)
}

// single takes a compressed file as the one file that it holds. Its size is
// not known before it has been read, so that it is read twice.
func (r *reader) single(ctx context.Context, t *tree, is format, size int64) error {
	var length int64
	for pass := range 2 {
		in, err := open(ctx, r.file, is, r.env)
		if err != nil {
			return err
		}
		t.guard = r.limits.limited(in, size)
		if pass == 0 {
			length, err = io.Copy(io.Discard, t.guard)
		} else {
			err = t.file(trimmed(r.name), false, length, 0, t.guard)
		}
		_ = in.Close()
		if err != nil {
			return err
		}
	}
	return ctx.Err()
}

// tar reads a tar archive, and what follows it, to the end: only there is the
// checksum of the compression.
func (r *reader) tar(ctx context.Context, t *tree, in io.Reader) error {
	buffered := bufio.NewReaderSize(in, 64<<10)
	if err := looksLikeTar(buffered); err != nil {
		return err
	}
	seen := &ending{Reader: buffered}
	from := tar.NewReader(seen)
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		h, err := from.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil && !errors.Is(err, tar.ErrInsecurePath) {
			return err
		}
		if err := r.tarMember(t, h, from); err != nil {
			return err
		}
	}
	if !seen.zero() {
		// An archive that breaks off between two members has no other sign of it.
		return io.ErrUnexpectedEOF
	}
	_, err := io.Copy(io.Discard, buffered)
	return err
}

// ending remembers the last block that was read: that of a tar archive's end is
// zero.
type ending struct {
	io.Reader
	last [512]byte
}

// Read implements io.Reader.
func (e *ending) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if n >= len(e.last) {
		copy(e.last[:], p[n-len(e.last):n])
	} else {
		copy(e.last[:], e.last[n:])
		copy(e.last[len(e.last)-n:], p[:n])
	}
	return n, err
}

func (e *ending) zero() bool { return e.last == [512]byte{} }

func (r *reader) tarMember(t *tree, h *tar.Header, from io.Reader) error {
	seconds := h.ModTime.Unix()
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeRegA, tar.TypeCont, tar.TypeGNUSparse: //nolint:staticcheck // old archives have TypeRegA
		if strings.HasSuffix(h.Name, "/") {
			return t.directory(h.Name, seconds)
		}
		return t.file(h.Name, h.Mode&0o111 != 0, h.Size, seconds, from)
	case tar.TypeDir:
		return t.directory(h.Name, seconds)
	case tar.TypeSymlink:
		return t.symlink(h.Name, h.Linkname, seconds)
	case tar.TypeLink:
		return t.hardlink(h.Name, h.Linkname, seconds)
	case tar.TypeXGlobalHeader:
		return nil
	case tar.TypeChar, tar.TypeBlock, tar.TypeFifo:
		return t.skip(h.Name, "a device or pipe")
	case 'D': // of GNU: a directory, whose contents are a list of what was in it
		return t.directory(h.Name, seconds)
	case 'M', 'N', 'V', // of GNU, too: the rest of a file, names, and the archive's own name
		'A', 'E', 'I', 'X': // of Solaris and star: what is to be known of the next member
		return t.skip(h.Name, "of the type "+string(rune(h.Typeflag))+", which is no file")
	}
	// Of any other type POSIX says that it is a file like others.
	return t.file(h.Name, h.Mode&0o111 != 0, h.Size, seconds, from)
}

// looksLikeTar checks the first header: anything else, such as a compressed
// text, would be taken for an empty archive or a damaged one.
func looksLikeTar(in *bufio.Reader) error {
	head, err := in.Peek(512)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if len(head) == 512 && !bytes.Equal(head, make([]byte, 512)) {
		if string(head[257:262]) == "ustar" || tarSum(head) {
			return nil
		}
	} else if len(head) == 512 {
		return nil // an empty archive
	}
	if err == nil && sniff(head) == plain || errors.Is(err, io.EOF) {
		return gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.Hint(core.FailNotGit, gitfail.Upstream), "upstream: the file is no archive of a known kind")
	}
	return gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.Hint(core.FailNotGit, gitfail.Upstream), "upstream: the compressed file holds no tar archive")
}

// tarSum compares the checksum of a header of the oldest kind.
func tarSum(head []byte) bool {
	want, digits := int64(0), strings.Trim(string(head[148:156]), " \x00")
	if digits == "" {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '7' {
			return false
		}
		want = want*8 + int64(c-'0')
	}
	sum := int64(8 * ' ')
	for i, c := range head {
		if i < 148 || i >= 156 {
			sum += int64(c)
		}
	}
	return sum == want
}

// extractsItself reports whether a zip archive lies behind a program.
func (r *reader) extractsItself(size int64) bool {
	from, err := r.directory(size)
	var large *gitfail.Error
	return err == nil && len(from.File) > 0 || errors.As(err, &large)
}

// zip reads a zip archive. Every member's checksum is compared.
func (r *reader) zip(ctx context.Context, t *tree, size int64) error {
	from, err := r.directory(size)
	if err != nil {
		return err
	}
	from.RegisterDecompressor(methodBzip2, func(in io.Reader) io.ReadCloser { return io.NopCloser(bzip2.NewReader(in)) })
	for _, f := range from.File {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := r.zipMember(t, f); err != nil {
			return err
		}
	}
	return nil
}

// What zip writes of where an archive was made, and of files there.
const (
	madeOnUnix  = 3
	madeOnMacOS = 19
	typeMask    = 0o170000
	typeFile    = 0o100000
	typeDir     = 0o040000
	typeLink    = 0o120000
	encrypted   = 1
	methodBzip2 = 12
)

func (r *reader) zipMember(t *tree, f *zip.File) error {
	name, seconds := f.Name, f.Modified.Unix()
	if f.NonUTF8 && !utf8.ValidString(name) {
		name = codePage437(name)
	}
	mode := uint32(0)
	switch f.CreatorVersion >> 8 {
	case madeOnUnix, madeOnMacOS:
		mode = f.ExternalAttrs >> 16
	default:
		// Some programs for DOS write its own separator.
		if !strings.Contains(name, "/") {
			name = strings.ReplaceAll(name, `\`, "/")
		}
	}
	if drive(name) {
		return fmt.Errorf("the member %q has an absolute name", name)
	}
	if f.Flags&encrypted != 0 {
		return fmt.Errorf("the member %q is encrypted", f.Name)
	}
	if strings.HasSuffix(name, "/") || mode&typeMask == typeDir {
		return t.directory(name, seconds)
	}
	if mode&typeMask != typeFile && mode&typeMask != typeLink && mode&typeMask != 0 {
		return t.skip(name, "a device or pipe")
	}
	if f.UncompressedSize64 > uint64(t.guard.limit) {
		return t.guard.over()
	}
	in, err := f.Open()
	if err != nil {
		return fmt.Errorf("member %q: %w", f.Name, err)
	}
	defer func() { _ = in.Close() }()
	if mode&typeMask == typeLink {
		target, err := io.ReadAll(io.LimitReader(in, maxName+1))
		if err != nil {
			return fmt.Errorf("member %q: %w", f.Name, err)
		}
		return t.symlink(name, string(target), seconds)
	}
	if err := t.file(name, mode&0o111 != 0, int64(f.UncompressedSize64), seconds, in); err != nil {
		return err
	}
	// The checksum is compared at the end, which must come now.
	n, err := io.Copy(io.Discard, io.LimitReader(in, 1))
	if err == nil && n > 0 {
		err = errors.New("it is longer than it says")
	}
	if err != nil {
		return fmt.Errorf("member %q: %w", f.Name, err)
	}
	return nil
}
