package integration

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"net/textproto"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Record types of FastCGI.
const (
	fcgiBegin  = 1
	fcgiEnd    = 3
	fcgiParams = 4
	fcgiStdin  = 5
	fcgiStdout = 6
)

// fcgiRecord is one record of request 1.
func fcgiRecord(kind byte, content string) []byte {
	header := []byte{1, kind, 0, 1, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(header[4:], uint16(len(content)))
	return append(header, content...)
}

// fcgiAsk does what a web server does with a request: it sends it over a
// connection of its own and gives the status line's code and the body.
func fcgiAsk(t *testing.T, socket, method, path, body string) (status, text string) {
	t.Helper()
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	request := fcgiRecord(fcgiBegin, "\x00\x01\x00\x00\x00\x00\x00\x00")
	params := ""
	for _, p := range [][2]string{
		{"REQUEST_METHOD", method},
		{"REQUEST_URI", path},
		{"SCRIPT_NAME", ""},
		{"PATH_INFO", path},
		{"SERVER_PROTOCOL", "HTTP/1.1"},
		{"HTTP_HOST", "lorry.example.com"},
		{"REMOTE_ADDR", "127.0.0.1"},
		{"CONTENT_TYPE", "application/x-www-form-urlencoded"},
		{"CONTENT_LENGTH", strconv.Itoa(len(body))},
	} {
		params += string([]byte{byte(len(p[0])), byte(len(p[1]))}) + p[0] + p[1]
	}
	request = append(request, fcgiRecord(fcgiParams, params)...)
	request = append(request, fcgiRecord(fcgiParams, "")...)
	for len(body) > 0 { // in small pieces, as a slow client's body comes
		n := min(len(body), 5)
		request = append(request, fcgiRecord(fcgiStdin, body[:n])...)
		body = body[n:]
	}
	if _, err := conn.Write(append(request, fcgiRecord(fcgiStdin, "")...)); err != nil {
		t.Fatal(err)
	}
	return fcgiAnswer(t, conn)
}

func fcgiAnswer(t *testing.T, conn io.Reader) (status, text string) {
	t.Helper()
	var answer bytes.Buffer
	for {
		header := make([]byte, 8)
		if _, err := io.ReadFull(conn, header); err != nil {
			t.Fatalf("connection ended in the middle of an answer: %v; so far: %s", err, answer.String())
		}
		content := make([]byte, int(binary.BigEndian.Uint16(header[4:]))+int(header[6]))
		if _, err := io.ReadFull(conn, content); err != nil {
			t.Fatal(err)
		}
		switch header[1] {
		case fcgiStdout:
			answer.Write(content[:len(content)-int(header[6])])
		case fcgiEnd:
			reader := bufio.NewReader(&answer)
			fields, err := textproto.NewReader(reader).ReadMIMEHeader()
			if err != nil {
				t.Fatal(err)
			}
			rest, err := io.ReadAll(reader)
			if err != nil {
				t.Fatal(err)
			}
			code, _, _ := strings.Cut(fields.Get("Status"), " ")
			return code, string(rest)
		}
	}
}

// TestFastCGI lends the program a listening socket as standard input, as a web
// server does, and asks it over that.
func TestFastCGI(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := filepath.Join(dir, "s")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var log bytes.Buffer
	args := []string{
		"--wsgi", "--statedb", filepath.Join(dir, "webapp.db"), "--configuration-directory", dir, "--log", "stderr",
		"--downstream-host-type", "local", "--local-base-directory", filepath.Join(dir, "mirrors"),
	}
	server := exec.Command(filepath.Join(binDir, "lorry-controller"), args...)
	server.Stdin, server.Stderr = file, &log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ method, path, body, status, text string }{
		{http.MethodGet, "/1.0/status", "", "200", `"running_queue":true`},
		{http.MethodPost, "/1.0/set-max-jobs", "dummy=a%20longer%20value&max_jobs=12", "200", `{"max_jobs":12}`},
		{http.MethodGet, "/1.0/get-max-jobs?x=1", "", "200", `{"max_jobs":12}`},
		{http.MethodPost, "/1.0/stop-queue", "redirect=%2F1.0%2Fstatus-html", "303", ""},
		{http.MethodGet, "/1.0/lorry/upstream/foo", "", "404", `"not-found"`},
		{http.MethodGet, "/1.0/start-queue", "", "405", ""},
	} {
		status, text := fcgiAsk(t, socket, test.method, test.path, test.body)
		if status != test.status || !strings.Contains(text, test.text) {
			t.Errorf("%s %s: want %s %q, got %s %q", test.method, test.path, test.status, test.text, status, text)
		}
	}
	if err := server.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := server.Wait(); err != nil {
		t.Errorf("%v; its log:\n%s", err, log.String())
	}
}

// TestFastCGINeedsASocket starts the program by hand with wsgi = yes.
func TestFastCGINeedsASocket(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	out, err := exec.Command(filepath.Join(binDir, "lorry-controller"), "--wsgi", "--data", dir, "--configuration-directory", dir,
		"--downstream-host-type", "local", "--local-base-directory", dir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "wsgi = yes needs the web server's FastCGI socket") {
		t.Errorf("got %v: %s", err, out)
	}
}
