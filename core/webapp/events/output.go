package events

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

const (
	// pieceSize is how much output is read at a time.
	pieceSize = 64 << 10
	// writeTime is how long a client may take for one piece or event.
	writeTime = 20 * time.Second
	// pollTimeout bounds one question to the STATEDB.
	pollTimeout = 15 * time.Second
)

// The ways in which output is sent.
const (
	asText  = "text/plain"
	asLines = "application/x-ndjson"
	asSSE   = "text/event-stream"
)

// formatOf chooses by the header Accept; plain text is for everybody else.
func formatOf(r *http.Request) string {
	accept := r.Header.Get("Accept")
	for _, format := range []string{asSSE, asLines} {
		if strings.Contains(accept, format) {
			return format
		}
	}
	return asText
}

// Output answers GET /1.0/job/ID/output: the output from the byte offset on,
// and with follow=1 what comes until the job ends.
func (h *Hub) Output(r *exchange.Request) (exchange.Answer, error) {
	id, err := strconv.ParseInt(r.Param("job_id"), 10, 64)
	if err != nil || id < 1 {
		return nil, core.Errorf(core.KindNotFound, "no job %q: an id is a number", r.Param("job_id"))
	}
	job, err := h.o.Source.Job(r.Context(), core.JobID(id))
	if err != nil {
		return nil, err
	}
	s := &outputStream{hub: h, id: job.ID, format: formatOf(r.Request)}
	switch field := r.Form.Get("follow"); field {
	case "", "0", "no", "false":
	case "1", "yes", "true":
		s.follow = true
	default:
		return nil, &core.Error{Kind: core.KindInvalid, Fact: fmt.Sprintf("field \"follow\" can't be %.60q", field), Hint: "it is 1 or 0"}
	}
	field := r.Form.Get("offset")
	if last := r.Header.Get("Last-Event-ID"); last != "" && s.format == asSSE {
		field = last // a browser that comes back goes on where it was
	}
	if field != "" {
		if s.offset, err = strconv.ParseInt(strings.TrimSpace(field), 10, 64); err != nil || s.offset < 0 {
			return nil, &core.Error{Kind: core.KindInvalid, Fact: fmt.Sprintf("field \"offset\" can't be %.60q", field), Hint: "it is a number of bytes, 0 for the beginning"}
		}
	}
	if r.Method == http.MethodHead {
		return exchange.Func(func(w http.ResponseWriter, _ *http.Request) { s.head(w) }), nil
	}
	if !s.follow {
		return exchange.Func(s.serve), nil
	}
	leave, err := h.enter(&h.followers, maxFollowers)
	if err != nil {
		return nil, err
	}
	return exchange.Func(func(w http.ResponseWriter, r *http.Request) {
		defer leave()
		s.serve(w, r)
	}), nil
}

// outputStream sends the output of one job to one client.
type outputStream struct {
	hub    *Hub
	id     core.JobID
	format string
	follow bool
	offset int64          // of what was not sent yet
	far    *core.Progress // that was sent
	stream *stream
}

func (s *outputStream) head(w http.ResponseWriter) {
	header := w.Header()
	header.Set("Content-Type", s.format)
	if s.format == asText {
		header.Set("Content-Type", "text/plain; charset=UTF-8")
	}
	header.Set("X-Accel-Buffering", "no") // a proxy is to pass it on at once
	w.WriteHeader(http.StatusOK)
}

// serve sends until the output is at its end or the client is gone. What goes
// wrong on the way can only be told by the end of the stream.
func (s *outputStream) serve(w http.ResponseWriter, r *http.Request) {
	ctx, stop := s.hub.whileServing(r.Context())
	defer stop()
	s.head(w)
	s.stream = newStream(w)
	for ended := false; ; {
		if err := s.sendKept(ctx, ended || !s.follow); err != nil {
			s.hub.o.Log.Debug("output stream ended early", "job", s.id, "error", err)
			return
		}
		if ended || !s.follow {
			break
		}
		tail, err := s.wait(ctx)
		if err != nil {
			return
		}
		if ended = tail.Ended; ended || !further(s.far, tail.Progress) {
			continue
		}
		s.far = tail.Progress
		if s.format != asText {
			if err := s.send(protocol.OutputPart{Offset: s.offset, Progress: protocol.ProgressOf(s.far)}); err != nil {
				return
			}
		}
	}
	s.sendEnd(ctx)
}

// wait waits for more; meanwhile the client is sent something now and then, so
// that one which is gone is noticed.
func (s *outputStream) wait(ctx context.Context) (queue.Tail, error) {
	for {
		bounded, cancel := context.WithTimeout(ctx, s.hub.o.Heartbeat)
		tail, err := s.hub.tails.wait(bounded, &waiter{id: s.id, kept: s.offset, far: s.far, cares: s.format != asText})
		cancel()
		if err == nil {
			return tail, nil
		}
		if ctx.Err() != nil || bounded.Err() == nil {
			return tail, err
		}
		beat := map[string]string{asSSE: ": still running\n\n", asLines: "\n"}[s.format]
		if err := s.stream.send([]byte(beat)); err != nil {
			return tail, err
		}
	}
}

// sendKept sends what is in the STATEDB. A character whose bytes are not all
// there waits, unless this is the end.
func (s *outputStream) sendKept(ctx context.Context, last bool) error {
	for {
		text, err := s.hub.o.Source.Output(ctx, s.id, s.offset, pieceSize)
		if err != nil {
			return err
		}
		whole := text
		if s.format != asText && !(last && len(text) < pieceSize) {
			whole = text[:wholeRunes(text)]
		}
		if whole == "" {
			return nil
		}
		if err := s.send(protocol.OutputPart{Offset: s.offset, Text: whole}); err != nil {
			return err
		}
		s.offset += int64(len(whole))
		if len(text) < pieceSize {
			return nil
		}
	}
}

// wholeRunes is how long a text is without a character that is cut off at its
// end.
func wholeRunes(text string) int {
	for back := 1; back < utf8.UTFMax && back <= len(text); back++ {
		start := len(text) - back
		if utf8.RuneStart(text[start]) {
			if !utf8.FullRuneInString(text[start:]) {
				return start
			}
			break
		}
	}
	return len(text)
}

func (s *outputStream) send(part protocol.OutputPart) error {
	if s.format == asText {
		return s.stream.send([]byte(part.Text))
	}
	data, err := json.Marshal(part)
	if err != nil {
		return err
	}
	if s.format == asLines {
		return s.stream.send(append(data, '\n'))
	}
	kind := "output"
	switch {
	case part.State != "":
		kind = "end"
	case part.Progress != nil:
		kind = "progress"
	}
	next := part.Offset + int64(len(part.Text))
	return s.stream.send(fmt.Appendf(nil, "id: %d\nevent: %s\ndata: %s\n\n", next, kind, data))
}

// sendEnd says how the job ended, if it did, in the formats that can say so.
func (s *outputStream) sendEnd(ctx context.Context) {
	if s.format == asText {
		return
	}
	job, err := s.hub.o.Source.Job(ctx, s.id)
	if err != nil || job.Running() {
		return
	}
	failure := protocol.FailureInfo(job.Failure)
	// The client may be gone; there is nobody left to tell.
	_ = s.send(protocol.OutputPart{Offset: s.offset, State: api.JobState(job), Exit: job.Exit, Failure: &failure})
}
