package meter

import (
	"bytes"
	"io"

	"github.com/lorry-controller/lorry-controller/core/childproc"
)

// Lines gives each whole line that is written to a function, without its end.
// What is longer than childproc.MaxLine is cut.
func Lines(each func(line string)) io.Writer { return &lineWriter{each: each} }

// lineWriter is what Lines gives.
type lineWriter struct {
	rest []byte
	each func(string)
}

// Write implements io.Writer.
func (w *lineWriter) Write(p []byte) (int, error) {
	n := len(p)
	for {
		i := bytes.IndexByte(p, '\n')
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
