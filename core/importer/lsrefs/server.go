package lsrefs

import (
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// mostServers bounds how many servers are remembered.
const mostServers = 10_000

// server is where a repository is, and by which way it is reached.
type server struct {
	way    way
	origin string // such as https://git.example.com
}

func serverOf(w way, address string) server {
	scheme, rest, _ := strings.Cut(address, "://")
	host, _, _ := strings.Cut(rest, "/")
	return server{w, scheme + "://" + host}
}

// asksAtOnce reports whether a repository of this server can be asked for its
// refs without being asked first what it speaks: what the server can do is the
// server's, hardly ever the repository's. It saves one of two requests.
func (r *Reader) asksAtOnce(s server) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.modern[s]
}

// learn remembers whether a server speaks version 2 of the protocol, and names
// objects by SHA-1.
func (r *Reader) learn(s server, modern bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !modern {
		delete(r.modern, s)
		return
	}
	if len(r.modern) >= mostServers {
		clear(r.modern)
	}
	r.modern[s] = true
}

// worthAsking reports whether a repository that was asked at once may answer
// when it is asked in two steps: it may be another one than the server's
// others. What kept the question from arriving keeps the next one too.
func worthAsking(err error) bool {
	switch gitfail.From(err, gitfail.Upstream).Kind {
	case core.FailNetwork, core.FailTLS, core.FailRateLimited, core.FailKilled, core.FailTimeout:
		return false
	}
	return true
}
