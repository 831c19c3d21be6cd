package host

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
)

// Limits of what an adapter may write to the core's log.
const (
	maxLine      = 8 << 10
	maxLogValue  = 2 << 10
	maxLogPairs  = 32
	logBurst     = 500
	logPerSecond = 100
	lastWords    = 5
)

// logReader turns an adapter's stderr into log lines. go-plugin has a reader of
// its own, which a line of JSON can make panic; it is never given any.
type logReader struct {
	log    hclog.Logger
	redact *Redactor

	mu      sync.Mutex
	tokens  float64
	at      time.Time
	dropped int
	last    []string
}

func newLogReader(log hclog.Logger, redact *Redactor) *logReader {
	return &logReader{log: log, redact: redact, tokens: logBurst, at: time.Now()}
}

// read reads until the pipe ends. Lines that are too long are cut.
func (l *logReader) read(r io.Reader) {
	br := bufio.NewReaderSize(r, maxLine)
	for {
		line, more, err := br.ReadLine()
		if len(line) > 0 {
			l.line(string(line), more)
		}
		for more && err == nil {
			_, more, err = br.ReadLine()
		}
		if err != nil {
			l.flush()
			return
		}
	}
}

// Write implements io.Writer for what an adapter prints after it has started,
// which comes through the connection instead of the pipe.
func (l *logReader) Write(p []byte) (int, error) {
	for line := range strings.SplitSeq(strings.TrimSpace(string(p[:min(len(p), maxLine)])), "\n") {
		l.line(line, len(p) > maxLine)
	}
	return len(p), nil
}

func (l *logReader) line(line string, cut bool) {
	line = l.redact.Redact(line)
	l.remember(line)
	if !l.allow() {
		return
	}
	if !cut {
		var entry map[string]any
		if strings.HasPrefix(line, "{") && json.Unmarshal([]byte(line), &entry) == nil {
			l.entry(entry)
			return
		}
	}
	if line = text.Clean(line, maxLogValue); line != "" {
		l.log.Warn("adapter says", "text", line, "cut", cut)
	}
}

// entry logs what hclog has written on the other side.
func (l *logReader) entry(entry map[string]any) {
	level, message := hclog.Info, "adapter logs"
	if s, ok := entry["@level"].(string); ok {
		if parsed := hclog.LevelFromString(s); parsed != hclog.NoLevel {
			level = parsed
		}
	}
	if s, ok := entry["@message"].(string); ok {
		message = text.Clean(l.redact.Redact(s), maxLogValue)
	}
	var pairs []any
	for _, key := range slices.Sorted(maps.Keys(entry)) {
		if strings.HasPrefix(key, "@") || len(pairs) >= 2*maxLogPairs {
			continue
		}
		value, ok := entry[key].(string)
		if !ok {
			value = fmt.Sprint(entry[key])
		}
		pairs = append(pairs, text.Clean(key, maxLogPairs), text.Clean(l.redact.Redact(value), maxLogValue))
	}
	l.log.Log(level, message, pairs...)
}

// allow takes a token out of the bucket, and tells how many lines were dropped
// when there are tokens again.
func (l *logReader) allow() bool {
	l.mu.Lock()
	now := time.Now()
	l.tokens = min(logBurst, l.tokens+now.Sub(l.at).Seconds()*logPerSecond)
	l.at = now
	if l.tokens < 1 {
		l.dropped++
		l.mu.Unlock()
		return false
	}
	l.tokens--
	l.mu.Unlock()
	l.flush()
	return true
}

func (l *logReader) flush() {
	l.mu.Lock()
	dropped := l.dropped
	l.dropped = 0
	l.mu.Unlock()
	if dropped > 0 {
		l.log.Warn("adapter logs too much, lines were dropped", "dropped", dropped)
	}
}

// remember keeps the last lines for the error of an adapter that ends.
func (l *logReader) remember(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = append(l.last, text.Clean(line, maxLogPairs*8))
	if len(l.last) > lastWords {
		l.last = slices.Delete(l.last, 0, 1)
	}
}

// words gives what was written last, or "".
func (l *logReader) words() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == 0 {
		return ""
	}
	return "; its last words: " + strings.Join(l.last, " / ")
}
