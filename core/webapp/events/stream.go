package events

import (
	"net/http"
	"time"
)

// stream writes to a client piece by piece, each within writeTime.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func newStream(w http.ResponseWriter) *stream {
	return &stream{w, http.NewResponseController(w)}
}

// send sends a piece at once; a client that does not take it is an error.
func (s *stream) send(piece []byte) error {
	// Writers without a connection, as in FastCGI, have no deadlines.
	_ = s.control.SetWriteDeadline(time.Now().Add(writeTime))
	if _, err := s.w.Write(piece); err != nil {
		return err
	}
	return s.control.Flush()
}
