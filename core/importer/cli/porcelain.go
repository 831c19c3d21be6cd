package cli

import (
	"encoding/json"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// lines writes values as lines of JSON.
type lines struct {
	mu sync.Mutex
	to io.Writer
}

func (l *lines) write(v any) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return json.NewEncoder(l.to).Encode(v)
}

// progress is what is told how far an import is, or nil: whoever reads standard
// output, and the minion if it asked for it.
func (r *run) progress() func(protocol.Progress) {
	var readers []*lines
	if r.machine != nil {
		readers = append(readers, r.machine)
	}
	if r.report != nil && r.request != nil && r.request.Progress {
		readers = append(readers, &lines{to: r.report})
	}
	if len(readers) == 0 {
		return nil
	}
	return func(p protocol.Progress) {
		for _, reader := range readers {
			// Whoever has stopped reading gets the report's error.
			_ = reader.write(protocol.ProgressLine{Progress: &p})
		}
	}
}

// isTerminal reports whether a person watches.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
