package archive

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
)

// directory reads the directory at the end of a zip archive, all of which is
// kept in memory: one with too many members is not read to its end.
func (r *reader) directory(size int64) (*zip.Reader, error) {
	in := &counting{ReaderAt: r.file, most: r.limits.Members}
	z, err := zip.NewReader(in, size)
	if in.over() {
		return nil, tooLarge("it has more than %d members", r.limits.Members)
	}
	in.ends = true
	if errors.Is(err, zip.ErrInsecurePath) {
		err = nil
	}
	return z, err
}

// counting counts the entries of a directory as they are read.
type counting struct {
	io.ReaderAt
	most, n int
	tail    []byte // of what was read before
	at      int64  // where that ended
	ends    bool   // the directory has been read
}

// entry is what each begins with (PKWARE's APPNOTE.TXT, 4.3.12).
const entryMark = "PK\x01\x02"

// searched is how many entries may be read twice, when the directory's end is
// looked for.
const searched = 3000

func (c *counting) over() bool { return c.n > c.most+searched }

// ReadAt implements io.ReaderAt.
func (c *counting) ReadAt(p []byte, at int64) (int, error) {
	if c.ends {
		return c.ReaderAt.ReadAt(p, at)
	}
	if c.over() {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.ReaderAt.ReadAt(p, at)
	if at != c.at {
		c.tail = nil
	}
	text := append(c.tail, p[:n]...)
	c.n += bytes.Count(text, []byte(entryMark))
	c.tail, c.at = bytes.Clone(text[max(0, len(text)-len(entryMark)+1):]), at+int64(n)
	return n, err
}

// drive reports whether a name begins with a drive's letter, as those of DOS
// and Windows do that are absolute.
func drive(name string) bool {
	return len(name) > 2 && name[1] == ':' && (name[2] == '/' || name[2] == '\\') && (name[0]|0x20 >= 'a' && name[0]|0x20 <= 'z')
}
