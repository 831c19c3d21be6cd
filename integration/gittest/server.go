package gittest

import (
	"bytes"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// Server is a git server over smart HTTP.
type Server struct {
	*httptest.Server
	// User and Password are asked for when User is set.
	User, Password string

	backend http.Handler
	mu      sync.Mutex
	seen    []string
}

// NewServer serves the repositories below root over HTTP, for reading and
// pushing alike.
func NewServer(t testing.TB, root string) *Server { return newServer(t, root, httptest.NewServer) }

// NewTLSServer is NewServer over HTTPS with a certificate that nobody trusts.
func NewTLSServer(t testing.TB, root string) *Server {
	return newServer(t, root, httptest.NewTLSServer)
}

func newServer(t testing.TB, root string, start func(http.Handler) *httptest.Server) *Server {
	t.Helper()
	Require(t, "git")
	backend, err := Backend(root)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{backend: backend}
	s.Server = start(s)
	t.Cleanup(s.Close)
	return s
}

// Backend gives a handler that serves the repositories below root, for reading
// and pushing alike: git's own http-backend behind CGI.
func Backend(root string) (http.Handler, error) {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return nil, err
	}
	backend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		return nil, err
	}
	env := append(Env(), "GIT_PROJECT_ROOT="+root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=tester")
	return streamed(&cgi.Handler{Path: backend, Dir: root, Env: env, Stderr: io.Discard}), nil
}

// streamed passes requests of unknown length on as they come: CGI knows no
// chunks, and git's http-backend then reads to the end.
func streamed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.TransferEncoding = nil
		next.ServeHTTP(w, r)
	})
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.seen = append(s.seen, r.Method+" "+r.URL.RequestURI())
	s.mu.Unlock()
	if user, password, _ := r.BasicAuth(); s.User != "" && (user != s.User || password != s.Password) {
		w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
		http.Error(w, "credentials wanted", http.StatusUnauthorized)
		return
	}
	s.backend.ServeHTTP(w, r)
}

// Requests gives the requests so far, as "METHOD URI".
func (s *Server) Requests() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.seen...)
}

func serve(t testing.TB, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// Status answers everything with a status and a short text.
func Status(t testing.TB, status int) *httptest.Server {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, http.StatusText(status), status) })
}

// Page answers everything with 200 and a web page. A page of one line is the
// one that git takes for an empty repository.
func Page(t testing.TB, page string) *httptest.Server {
	return serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, page)
	})
}

// Redirect sends everything to the same path below another address.
func Redirect(t testing.TB, to string) *httptest.Server {
	return serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to+r.URL.RequestURI(), http.StatusFound)
	})
}

// Hang accepts requests and never answers them.
func Hang(t testing.TB) *httptest.Server {
	end := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-end:
		}
	}))
	t.Cleanup(func() {
		close(end)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// Stall passes requests on to a server, but for the transfer of objects, which
// it accepts and never answers.
func Stall(t testing.TB, behind *Server) *httptest.Server {
	end := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			if bytes.Contains(body, []byte("command=fetch")) || bytes.Contains(body, []byte("want ")) {
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				select {
				case <-r.Context().Done():
				case <-end:
				}
				return
			}
			r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		close(end)
		s.CloseClientConnections()
		s.Close()
	})
	return s
}
