package minion

import (
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"
)

const (
	// maxKept is how much output waits for the controller, in bytes.
	maxKept = 1 << 20
	// maxChunk is how much goes with one report, in bytes.
	maxChunk = 256 << 10
)

// output keeps what a job wrote until it was sent. When more comes than can be
// kept the oldest is cut, and the reader is told.
type output struct {
	mu   sync.Mutex
	text []byte
	cut  int64
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	if over := len(o.text) - maxKept; over > 0 {
		for over < len(o.text) && !utf8.RuneStart(o.text[over]) {
			over++
		}
		o.cut += int64(over)
		o.text = append(o.text[:0], o.text[over:]...)
	}
	return len(p), nil
}

// take gives and forgets the next part, which is never half a character.
func (o *output) take() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	var part strings.Builder
	if o.cut > 0 {
		fmt.Fprintf(&part, "[… %d bytes of output were left out here …]\n", o.cut)
		o.cut = 0
	}
	n := len(beginning(o.text, maxChunk))
	part.Write(o.text[:n])
	o.text = append(o.text[:0], o.text[n:]...)
	return strings.ToValidUTF8(part.String(), "\uFFFD") // as JSON would have it, so that both ends count the same bytes
}

// beginning is at most so many bytes of text from its start, and no half a character.
func beginning[T string | []byte](text T, most int) T {
	n := min(len(text), most)
	for n > 0 && n < len(text) && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

// empty reports whether nothing waits.
func (o *output) empty() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.text) == 0 && o.cut == 0
}
