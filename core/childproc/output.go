package childproc

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"
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
		i := bytes.IndexAny(buf, "\r\n")
		if i < 0 {
			return "" // half a line, and what is cut in two is not recognized
		}
		buf = buf[i+1:]
	}
	return string(buf)
}

// lastOf gives the lines at the end of a clean text that an ExitError tells.
func lastOf(text string) string {
	if len(text) <= tailSize {
		return text
	}
	text = text[len(text)-tailSize:]
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		return text[i+1:]
	}
	return strings.ToValidUTF8(text, "")
}

// paced takes progress a little later: git writes a line for each percent, and
// to read each of them alone costs more than to fetch a small repository. A
// program's last line is no progress.
type paced struct{ io.Writer }

const pause = 4 * time.Millisecond

func (p paced) Write(text []byte) (int, error) {
	n, err := p.Writer.Write(text)
	if len(text) > 0 && len(text) < 4<<10 && text[len(text)-1] == '\r' {
		<-time.After(pause)
	}
	return n, err
}

// ErrTooMuch says that a program's answer was longer than it may be.
var ErrTooMuch = errors.New("the answer is too long")

// limitBuffer collects an answer up to a number of bytes. It is no bytes.Buffer,
// which is copied to by its ReadFrom, past any Write.
type limitBuffer struct {
	buf   bytes.Buffer
	limit int
	over  bool
}

func (b *limitBuffer) Write(p []byte) (int, error) {
	if b.buf.Len()+len(p) > b.limit {
		b.over = true
		return 0, ErrTooMuch
	}
	return b.buf.Write(p)
}

// String is what was collected.
func (b *limitBuffer) String() string { return b.buf.String() }
