package archive

import (
	"bufio"
	"bytes"
	"compress/bzip2"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// format is what a file is by its first bytes, whatever its name says.
type format int

const (
	plain format = iota
	gzipped
	bzipped
	xzipped // xz, or the older lzma
	zstandard
	lzipped
	compressed // by compress, ".Z"
	zipped
	page // of a web server
)

// sniff tells what a file is.
func sniff(head []byte) format {
	for _, m := range []struct {
		magic string
		is    format
	}{
		{"\x1f\x8b", gzipped},
		{"BZh", bzipped},
		{"\xfd7zXZ\x00", xzipped},
		{"\x5d\x00\x00", xzipped},
		{"\x28\xb5\x2f\xfd", zstandard},
		{"LZIP", lzipped},
		{"\x1f\x9d", compressed},
		{"PK\x03\x04", zipped},
		{"PK\x05\x06", zipped},
	} {
		if bytes.HasPrefix(head, []byte(m.magic)) {
			return m.is
		}
	}
	if len(head) >= 4 && head[0]&0xf0 == 0x50 && string(head[1:4]) == "\x2a\x4d\x18" {
		return zstandard // begins with a frame to skip, as pzstd writes
	}
	text := strings.ToLower(string(bytes.TrimLeft(head, "\xef\xbb\xbf \t\r\n")))
	for _, start := range []string{"<!doctype html", "<html", "<head", "<?xml"} {
		if strings.HasPrefix(text, start) {
			return page
		}
	}
	return plain
}

// tool is the program that unpacks a format, or "" when none is needed.
func (f format) tool() (name string, args []string) {
	switch f {
	case xzipped:
		return "xz", []string{"-dc", "-q", "-T1", "--memlimit-decompress=1GiB"}
	case zstandard:
		return "zstd", []string{"-dcq", "--long=30"}
	case lzipped:
		return "lzip", []string{"-dcq"}
	case compressed:
		return "gzip", []string{"-dcq"}
	}
	return "", nil
}

// unpacked gives the contents of a compressed file. Its Close ends a program
// that is still running.
type unpacked struct {
	io.Reader
	close func()
}

// Close implements io.Closer.
func (u *unpacked) Close() error {
	u.close()
	return nil
}

// open starts reading a file of a format from its beginning.
func open(ctx context.Context, f *os.File, is format, env []string) (*unpacked, error) {
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	none := func() {}
	switch is {
	case gzipped:
		in := bufio.NewReaderSize(f, 64<<10)
		z, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		z.Multistream(false)
		return &unpacked{Reader: &gzipParts{in: in, z: z}, close: none}, nil
	case bzipped:
		return &unpacked{Reader: &bzip2Parts{Reader: bzip2.NewReader(bufio.NewReaderSize(f, 64<<10))}, close: none}, nil
	}
	name, args := is.tool()
	if name == "" {
		return &unpacked{Reader: bufio.NewReaderSize(f, 64<<10), close: none}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	in, out := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		err := childproc.Run(ctx, childproc.Spec{Name: name, Args: args, Env: env, Stdin: f, Stdout: out})
		if err == nil {
			err = io.EOF
		}
		_ = out.CloseWithError(err)
	}()
	return &unpacked{Reader: in, close: func() {
		cancel()
		_ = in.Close()
		<-done
	}}, nil
}

// gzipParts reads all parts of a gzip file, and ignores what is none behind
// them, as gzip does.
type gzipParts struct {
	in *bufio.Reader
	z  *gzip.Reader
}

// Read implements io.Reader.
func (g *gzipParts) Read(p []byte) (int, error) {
	for {
		n, err := g.z.Read(p)
		if n > 0 || err == nil || !errors.Is(err, io.EOF) {
			if errors.Is(err, io.EOF) {
				err = nil // told by the next call
			}
			return n, err
		}
		if magic, _ := g.in.Peek(2); sniff(magic) != gzipped {
			return 0, io.EOF
		}
		if err := g.z.Reset(g.in); err != nil {
			return 0, err
		}
		g.z.Multistream(false)
	}
}

// bzip2Parts ignores what is no bzip2 behind the end, as bzip2 does.
type bzip2Parts struct{ io.Reader }

// Read implements io.Reader.
func (b *bzip2Parts) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if errors.Is(err, bzip2.StructuralError("bad magic value in continuation file")) {
		err = io.EOF
	}
	return n, err
}

// broken makes the failure of an archive that cannot be read.
func broken(err error) error {
	var known *gitfail.Error
	if errors.As(err, &known) {
		return err
	}
	if stopped := gitfail.Stopped(err); stopped != nil {
		return stopped
	}
	if errors.Is(err, childproc.ErrNotInstalled) {
		return gitfail.From(err, gitfail.Local)
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return gitfail.New(core.FailCorrupt, gitfail.Upstream, hintCorrupt, "upstream: the archive ends too early")
	}
	var exit *childproc.ExitError
	if errors.As(err, &exit) && exit.Program == "git" {
		return gitfail.From(err, gitfail.Local)
	}
	return gitfail.New(core.FailCorrupt, gitfail.Upstream, hintCorrupt, "upstream: the archive cannot be read: %v", err)
}

const hintCorrupt = "nothing was changed; unpack the file by hand, and tell its owner if that fails too"
