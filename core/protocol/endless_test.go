package protocol_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// endless is an answer without an end, which counts what is read of it.
type endless struct{ read int64 }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += int64(len(p))
	return len(p), nil
}

func (e *endless) Close() error { return nil }

func (e *endless) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		_, _ = io.Copy(io.Discard, r.Body)
	}
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: e, Request: r}, nil
}

// A minion has jobs under way: what only looks like a controller can't make it
// take much memory.
func TestAMinionReadsNoEndlessAnswer(t *testing.T) {
	t.Parallel()
	const bound = 70 << 20
	for name, ask := range map[string]func(*protocol.Client) error{
		"asking for a job": func(c *protocol.Client) error {
			_, err := c.GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m"})
			return err
		},
		"reporting": func(c *protocol.Client) error {
			_, err := c.Update(t.Context(), []protocol.Update{{JobID: 1, Fence: 1}})
			return err
		},
	} {
		answer := &endless{}
		err := ask(&protocol.Client{Base: "http://controller.example.com", HTTP: &http.Client{Transport: answer}})
		var told *core.Error
		if !errors.As(err, &told) || told.Kind != core.KindUnavailable || !strings.Contains(told.Fact, "is longer than 64 MB") {
			t.Errorf("%s: %v", name, err)
		}
		if answer.read > bound {
			t.Errorf("%s: %d bytes were read", name, answer.read)
		}
	}
}
