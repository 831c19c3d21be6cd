package childproc

import (
	"bytes"
	"errors"
	"io"
)

// teeTo writes to both; the first may be nil. Errors of the first are given
// up on silently: a reader of the output that went away must not stop a job,
// and the second needs what comes after.
func teeTo(first, second io.Writer) io.Writer {
	if first == nil {
		return second
	}
	return &tee{first, second}
}

type tee struct{ first, second io.Writer }

func (t *tee) Write(p []byte) (int, error) {
	_, _ = t.first.Write(p)
	return t.second.Write(p)
}

// tailWriter keeps the last bytes that were written, cut at a line's start.
type tailWriter struct {
	limit int
	buf   []byte
	cut   bool
}

func (t *tailWriter) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > t.limit {
		p, t.cut = p[len(p)-t.limit:], true
	}
	t.buf = append(t.buf, p...)
	if over := len(t.buf) - t.limit; over > 0 {
		t.buf, t.cut = append(t.buf[:0], t.buf[over:]...), true
	}
	return n, nil
}

func (t *tailWriter) String() string {
	buf := t.buf
	if t.cut {
		if i := bytes.IndexAny(buf, "\r\n"); i >= 0 {
			buf = buf[i+1:]
		}
	}
	return string(buf)
}

// errTooMuch says that a program's answer was longer than it may be.
var errTooMuch = errors.New("the answer is too long")

// limitBuffer collects an answer up to a number of bytes.
type limitBuffer struct {
	bytes.Buffer
	limit int
	over  bool
}

func (b *limitBuffer) Write(p []byte) (int, error) {
	if b.Len()+len(p) > b.limit {
		b.over = true
		return 0, errTooMuch
	}
	return b.Buffer.Write(p)
}
