package lsrefs

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/pace"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

// Reader lists the refs of repositories. It is safe for use by several
// goroutines, which share its connections.
type Reader struct {
	git   *childproc.Git
	least pace.Least

	mu      sync.Mutex
	clients map[way]*http.Client
	modern  map[server]bool
}

// way is what connections can be shared for.
type way struct {
	route route.Route
	skip  bool // certificates are not verified
}

// NewReader makes a Reader. git is used for everything but smart HTTP.
func NewReader(git *childproc.Git) *Reader {
	return &Reader{git: git, least: pace.Of(git), clients: make(map[way]*http.Client), modern: make(map[server]bool)}
}

// client gives the client for a way.
func (r *Reader) client(w way) *http.Client {
	r.mu.Lock()
	defer r.mu.Unlock()
	if c := r.clients[w]; c != nil {
		return c
	}
	c := &http.Client{
		Transport: w.route.Transport(w.skip),
		// A redirect is told, never followed: it could lead anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	r.clients[w] = c
	return c
}

// Close closes idle connections.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.clients {
		c.CloseIdleConnections()
	}
}

// Options of one Read.
type Options struct {
	// Prefixes are those of the refs that are wanted, such as "refs/heads/";
	// a server may send others beside them. None means all.
	Prefixes []string
	// ExtraFiles are inherited by a child process, if there is one.
	ExtraFiles []*os.File
	// Git runs that child; nil is the Reader's own.
	Git *childproc.Git
	// Route is the way of connections of this process.
	Route route.Route
	// Limit bounds the answer, in bytes; 0 is as much as some millions of refs
	// take. Upstream decides how long its answer is, and all of it is kept.
	Limit int64
}

func (o Options) limit() int64 {
	if o.Limit > 0 {
		return min(o.Limit, maxAnswer)
	}
	return maxAnswer
}

// Read lists the refs of the repository that access leads to. The error is a
// *gitfail.Error.
func (r *Reader) Read(ctx context.Context, access core.Access, o Options) (Listing, error) {
	if strings.HasPrefix(access.URL, "http://") || strings.HasPrefix(access.URL, "https://") {
		l, err := r.overHTTP(ctx, access, o)
		if !errors.Is(err, errNotSmart) {
			if err != nil {
				return Listing{}, gitfail.From(err, gitfail.Upstream)
			}
			return l, nil
		}
	}
	return r.byGit(ctx, access, o)
}

func (r *Reader) byGit(ctx context.Context, access core.Access, o Options) (Listing, error) {
	git := r.git
	if o.Git != nil {
		git = o.Git
	}
	// Of git's transfers, those over HTTP alone end by themselves when nothing comes.
	most := patience * r.least.Over
	ctx, cancel := context.WithTimeoutCause(ctx, most, fmt.Errorf("%w: no list of refs came within %v", pace.ErrSlow, most))
	defer cancel()
	out, err := git.Output(ctx, childproc.GitCall{
		Args:      []string{"ls-remote", "--symref", "--", access.URL},
		Protocols: Protocols(access.URL), Access: &access, ExtraFiles: o.ExtraFiles, MaxOutput: o.Limit,
	})
	switch {
	case errors.Is(err, childproc.ErrTooMuch):
		return Listing{}, tooMany(o.limit())
	case err != nil && errors.Is(context.Cause(ctx), pace.ErrSlow):
		return Listing{}, ConnectionError(ctx, err)
	case err != nil:
		return Listing{}, gitfail.From(err, gitfail.Upstream)
	}
	l, err := ParseLsRemote(strings.NewReader(out))
	return l, unread(ctx, err)
}

// patience is how many times longer than a transfer may stall a server may take
// for its whole list.
const patience = 10

// Protocols names the one transport that a checked address needs.
func Protocols(address string) []string {
	scheme, _, ok := strings.Cut(address, "://")
	switch {
	case ok:
		return []string{scheme}
	case strings.HasPrefix(address, "/"):
		return []string{childproc.ProtoFile}
	}
	return []string{childproc.ProtoSSH}
}
