package meter

import (
	"bytes"
	"io"

	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// Lines gives each whole line that is written to a function, without its end.
// What is longer than childproc.MaxLine is cut.
func Lines(each func(line string)) io.Writer { return Parts('\n', each) }

// Parts does the same with what another byte ends.
func Parts(end byte, each func(part string)) io.Writer { return &partWriter{end: end, each: each} }

// partWriter is what Parts gives.
type partWriter struct {
	end  byte
	rest []byte
	each func(string)
}

// Write implements io.Writer.
func (w *partWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, w.end)
		if i < 0 {
			if len(w.rest) < childproc.MaxLine {
				w.rest = append(w.rest, p...)
			}
			return n, nil
		}
		w.each(string(append(w.rest, p[:i]...)))
		w.rest, p = w.rest[:0], p[i+1:]
	}
}
