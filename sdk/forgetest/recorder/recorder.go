// Package recorder is what fakes of forges with an API over HTTP share: a
// record of what they are asked for, and tests that get in between.
//
// It is for tests alone and must know no forge.
package recorder

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// Recorder is embedded by a fake. Its methods may be called from several
// goroutines; the zero value has no requests.
type Recorder struct {
	mu        sync.Mutex
	requests  []string
	intercept func(http.ResponseWriter, *http.Request) bool
}

// Requests gives every request so far: "METHOD /path?query", or what else Note
// was told.
func (r *Recorder) Requests() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.requests)
}

// Forget empties the list of requests.
func (r *Recorder) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = nil
}

// Intercept lets f see every request first; when f reports true, it has
// answered. f may call the fake's methods. nil ends it.
func (r *Recorder) Intercept(f func(http.ResponseWriter, *http.Request) bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.intercept = f
}

// Note adds a request that did not come over HTTP.
func (r *Recorder) Note(request string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, request)
}

// Take notes a request and reports whether a test has answered it.
func (r *Recorder) Take(w http.ResponseWriter, req *http.Request) bool {
	r.Note(req.Method + " " + req.URL.RequestURI())
	r.mu.Lock()
	intercept := r.intercept
	r.mu.Unlock()
	return intercept != nil && intercept(w, req)
}

// Parts gives the components of a request's path below the root of an API, each
// without its escapes. found is false when the path is not below it.
func Parts(req *http.Request, root string) (parts []string, found bool, err error) {
	rest, found := strings.CutPrefix(req.URL.EscapedPath(), root)
	if !found {
		return nil, false, nil
	}
	for part := range strings.SplitSeq(rest, "/") {
		plain, err := url.PathUnescape(part)
		if err != nil {
			return nil, true, err
		}
		parts = append(parts, plain)
	}
	return parts, true, nil
}
