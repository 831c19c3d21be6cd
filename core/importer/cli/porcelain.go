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

// progress is what is told how far an import is, or nil.
func (r *run) progress() func(protocol.Progress) {
	if r.machine == nil {
		return nil
	}
	return func(p protocol.Progress) {
		// Whoever has stopped reading gets the report's error.
		_ = r.machine.write(map[string]protocol.Progress{"progress": p})
	}
}

// isTerminal reports whether a person watches.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
