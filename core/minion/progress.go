package minion

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

const (
	// progressEvery is how often progress alone is worth a report; it goes with
	// any other report whenever it has changed.
	progressEvery = 2 * time.Second
	// maxReport bounds one line of lorry's, in bytes.
	maxReport = 64 << 20
)

// steps keeps how far a job is.
type steps struct {
	mu     sync.Mutex
	latest core.Progress
	sent   core.Progress // what the controller has accepted
}

// set is told by lorry.
func (s *steps) set(p core.Progress) {
	p.Path = ""
	s.mu.Lock()
	defer s.mu.Unlock()
	s.latest = p
}

// news gives the latest if the controller does not know it, or nil.
func (s *steps) news() *core.Progress {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.latest == s.sent {
		return nil
	}
	p := s.latest
	return &p
}

// accepted notes what the controller has.
func (s *steps) accepted(p *core.Progress) {
	if p == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent = *p
}

// readReport reads the lines that lorry writes to its report descriptor, to
// their end, and gives the report; nil when there is none, or half of it.
func readReport(from io.Reader, tell func(core.Progress)) *protocol.ImportReport {
	var report *protocol.ImportReport
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxReport)
	for lines.Scan() {
		var step protocol.ProgressLine
		if json.Unmarshal(lines.Bytes(), &step) != nil {
			report = nil
			continue
		}
		if step.Progress != nil {
			tell(*step.Progress)
			continue
		}
		report = new(protocol.ImportReport)
		if json.Unmarshal(lines.Bytes(), report) != nil {
			report = nil
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		report = nil
		_, _ = io.Copy(io.Discard, from) // lorry must not wait for us
	}
	return report
}
