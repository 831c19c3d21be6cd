package gittest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// Phase is a part of what a client asks a git server over smart HTTP.
type Phase string

// The phases of a fetch by version 2 of the protocol.
const (
	Advertisement Phase = "advertisement" // what the server can do
	Listing       Phase = "listing"       // which refs there are
	Transfer      Phase = "transfer"      // of objects
)

func phaseOf(r *http.Request, body []byte) Phase {
	switch {
	case r.Method == http.MethodGet:
		return Advertisement
	case bytes.Contains(body, []byte("command=ls-refs")):
		return Listing
	}
	return Transfer
}

// Answer is what a good server would have said: its status, header and body.
type Answer struct {
	Header http.Header
	Body   []byte
}

// Begin sends the good answer's header.
func (a Answer) Begin(w http.ResponseWriter) {
	for name, values := range a.Header {
		if name != "Content-Length" {
			w.Header()[name] = values
		}
	}
	w.WriteHeader(http.StatusOK)
}

// Send sends a part of an answer at once.
func Send(w http.ResponseWriter, part []byte) {
	_, _ = w.Write(part)
	_ = http.NewResponseController(w).Flush()
}

// Between serves the repositories below root, and leaves the answers of one
// phase to a function. The request's context ends with the test.
func Between(t testing.TB, root string, phase Phase, answer func(http.ResponseWriter, *http.Request, Answer)) *httptest.Server {
	t.Helper()
	Require(t, "git")
	backend, err := Backend(root)
	if err != nil {
		t.Fatal(err)
	}
	end, stop := context.WithCancel(t.Context())
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the client has gone
		}
		r.Body, r.ContentLength, r.TransferEncoding = io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
		if phaseOf(r, body) != phase {
			backend.ServeHTTP(w, r)
			return
		}
		good := httptest.NewRecorder()
		backend.ServeHTTP(good, r)
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(end, cancel)()
		answer(w, r.WithContext(ctx), Answer{good.Header(), good.Body.Bytes()})
	}))
	t.Cleanup(func() {
		stop()
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// Pkt makes one line of git's protocol.
func Pkt(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }

// Lies serves the repositories below root with other lists of refs: change gets
// the lines of the good one, "OBJECT NAME …", and gives those that are sent.
func Lies(t testing.TB, root string, change func(lines []string) []string) *httptest.Server {
	return Between(t, root, Listing, func(w http.ResponseWriter, _ *http.Request, good Answer) {
		var lines []string
		for rest := good.Body; len(rest) > 4; {
			var n int
			if _, err := fmt.Sscanf(string(rest[:4]), "%04x", &n); err != nil || n <= 4 || n > len(rest) {
				break
			}
			lines = append(lines, strings.TrimSuffix(string(rest[4:n]), "\n"))
			rest = rest[n:]
		}
		good.Begin(w)
		for _, line := range change(lines) {
			_, _ = io.WriteString(w, Pkt(line+"\n"))
		}
		_, _ = io.WriteString(w, "0000")
	})
}
