package webapp_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestAnEndlessBodyIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	connection, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = fmt.Fprintf(connection, "POST /1.0/job-update HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", 1<<30)
		_, _ = io.CopyN(connection, endless{}, 1<<30) // ends when the server closes
	}()
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("want 413, got %s", response.Status)
	}
	_ = connection.Close()
	<-written
}

func TestSlowClientsKeepNobodyFromAnAnswer(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for i := range 300 {
		connection, err := net.Dial("tcp", s.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = connection.Close() })
		start := "POST /1.0/start-queue HTTP/1.1\r\nHost: loc" // headers that never end
		if i%2 == 0 {
			start = "POST /1.0/start-queue HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nx" // a body that never ends
		}
		if _, err := io.Copy(connection, strings.NewReader(start)); err != nil {
			t.Fatal(err)
		}
	}
	s.get(t, "/1.0/status").has(t, map[string]any{"running_queue": true})
	s.get(t, "/1.0/status-html").contains(t, "The queue is running")
}
