package integration

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestSlowAndEndlessClientsTakeNoMemory holds 500 connections to the real
// program, half of them in the middle of their headers and half in the middle
// of a body, and sends bodies of 1 GB.
func TestSlowAndEndlessClientsTakeNoMemory(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	core := exec.Command(filepath.Join(binDir, "lorry-controller"), "run", "--minions=0", "--data", t.TempDir(), "--listen", address)
	if err := core.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = core.Process.Signal(os.Interrupt)
		_ = core.Wait()
	})
	if err := waitfor("running_queue", func() (string, error) {
		_, body, err := request(http.MethodGet, "http://"+address+"/1.0/status", nil)
		return body, err
	}); err != nil {
		t.Fatal(err)
	}
	before := memory(t, core.Process.Pid, "VmRSS")
	for i := range 500 {
		connection, err := net.Dial("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { connection.Close() })
		if err := connection.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		start := "POST /1.0/job-update HTTP/1.1\r\nHost: localhost\r\nX-Long: " + strings.Repeat("x", 4000)
		if i%2 == 0 {
			start = "POST /1.0/job-update HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n" + strings.Repeat("x", 30000)
		}
		if _, err := io.WriteString(connection, start); err != nil {
			t.Fatal(err)
		}
	}
	for _, framing := range []string{"Content-Length: 1073741824", "Transfer-Encoding: chunked"} {
		if status := flood(t, address, framing); status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: want 413, got %d", framing, status)
		}
	}
	status, _, err := request(http.MethodGet, "http://"+address+"/1.0/status", nil)
	if err != nil || status != http.StatusOK {
		t.Errorf("meanwhile others get %d, %v", status, err)
	}
	grown := memory(t, core.Process.Pid, "VmHWM") - before
	t.Logf("the controller had %d MiB and grew by %d MiB at most", before>>20, grown>>20)
	if grown > 50<<20 {
		t.Errorf("the controller grew by %d MiB", grown>>20)
	}
}

// flood sends 1 GB and gives the status of the answer.
func flood(t *testing.T, address, framing string) int {
	t.Helper()
	connection, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if err := connection.SetDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() {
		defer close(written)
		_, _ = fmt.Fprintf(connection, "POST /1.0/job-update HTTP/1.1\r\nHost: localhost\r\n%s\r\n\r\n", framing)
		part := bytes.Repeat([]byte("x"), 1<<20)
		for range 1 << 10 { // the server ends it long before
			if strings.HasPrefix(framing, "Transfer") {
				_, _ = io.WriteString(connection, "100000\r\n")
			}
			if _, err := connection.Write(part); err != nil {
				return
			}
			if strings.HasPrefix(framing, "Transfer") {
				_, _ = io.WriteString(connection, "\r\n")
			}
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	connection.Close()
	<-written
	return response.StatusCode
}

// memory reads one line of /proc/PID/status, in bytes.
func memory(t *testing.T, pid int, name string) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			n, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatalf("no %s of process %d", name, pid)
	return 0
}
