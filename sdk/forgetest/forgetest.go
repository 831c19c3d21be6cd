// Package forgetest has a fake forge for the tests of adapters: an HTTP server
// with state, on loopback, that can be told to misbehave in the ways in which
// real forges do.
//
// It is for tests alone and must not be imported by a program. Forge has a
// plain API of its own to start from; an author whose forge speaks otherwise
// serves a handler of that kind with Serve and keeps the rest.
package forgetest

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// Server serves a handler and misbehaves on demand.
type Server struct {
	// URL is the address, without a slash at its end.
	URL string

	handler http.Handler
	mu      sync.Mutex
	token   string
	faults  []Fault
	seen    []Request
}

// Request is what an adapter has asked for.
type Request struct {
	Method, Path, Query, UserAgent string
	Authorized                     bool
}

// Fault is an answer that is given instead of the right one.
type Fault struct {
	// Prefix limits it to paths that start so; "" is all.
	Prefix string
	// After lets as many requests pass before; Times is how many are answered
	// so, 0 meaning one.
	After, Times int
	Status       int
	Header       map[string]string
	Body         string
	// Cut breaks the connection in the middle of the answer.
	Cut bool
}

// Serve serves a handler until the test ends.
func Serve(t testing.TB, handler http.Handler) *Server {
	t.Helper()
	s := &Server{handler: handler}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// RequireToken answers requests without this token in "Authorization: Bearer"
// or "Private-Token" with 401.
func (s *Server) RequireToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.token = token
}

// Break adds a fault to those that are still to come.
func (s *Server) Break(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.Times = max(f.Times, 1)
	s.faults = append(s.faults, f)
}

// RateLimit answers the next request with 429 and a pause in seconds.
func (s *Server) RateLimit(seconds string) {
	s.Break(Fault{Status: http.StatusTooManyRequests, Header: map[string]string{"Retry-After": seconds}})
}

// Requests gives what was asked for so far.
func (s *Server) Requests() []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.seen)
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault, authorized := s.next(r)
	switch {
	case fault != nil:
		fault.serve(w)
	case !authorized:
		w.WriteHeader(http.StatusUnauthorized)
	default:
		s.handler.ServeHTTP(w, r)
	}
}

// next records a request and gives the fault that is its turn.
func (s *Server) next(r *http.Request) (fault *Fault, authorized bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	bearer, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	authorized = s.token == "" || bearer == s.token || r.Header.Get("Private-Token") == s.token
	s.seen = append(s.seen, Request{r.Method, r.URL.Path, r.URL.RawQuery, r.UserAgent(), authorized})
	for i := range s.faults {
		f := &s.faults[i]
		if !strings.HasPrefix(r.URL.Path, f.Prefix) {
			continue
		}
		if f.After > 0 {
			f.After--
			continue
		}
		given := *f
		if f.Times--; f.Times == 0 {
			s.faults = slices.Delete(s.faults, i, i+1)
		}
		return &given, authorized
	}
	return nil, authorized
}

func (f *Fault) serve(w http.ResponseWriter) {
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	if f.Cut {
		w.Header().Set("Content-Length", "1000000")
	}
	if f.Status != 0 {
		w.WriteHeader(f.Status)
	}
	_, _ = w.Write([]byte(f.Body))
	if f.Cut {
		_ = http.NewResponseController(w).Flush() // or the client takes it for an old connection and asks again
		panic(http.ErrAbortHandler)               // how net/http wants it said
	}
}
