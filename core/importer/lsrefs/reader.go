package lsrefs

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
)

// Reader lists the refs of repositories. It is safe for use by several
// goroutines, which share its connections.
type Reader struct {
	git                  *childproc.Git
	verified, unverified *http.Client
}

// NewReader makes a Reader. git is used for everything but smart HTTP.
func NewReader(git *childproc.Git) *Reader {
	return &Reader{git: git, verified: client(false), unverified: client(true)}
}

func client(skip bool) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   30 * time.Second,
			ResponseHeaderTimeout: 2 * time.Minute,
			IdleConnTimeout:       90 * time.Second,
			MaxIdleConnsPerHost:   8,
			ForceAttemptHTTP2:     true,
			// check-certificates = no: asked for by the operator, for this host.
			TLSClientConfig: &tls.Config{InsecureSkipVerify: skip, MinVersion: tls.VersionTLS12},
		},
		// A redirect is told, never followed: it could lead anywhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close closes idle connections.
func (r *Reader) Close() {
	r.verified.CloseIdleConnections()
	r.unverified.CloseIdleConnections()
}

// Options of one Read.
type Options struct {
	// Prefixes are those of the refs that are wanted, such as "refs/heads/";
	// a server may send others beside them. None means all.
	Prefixes []string
	// ExtraFiles are inherited by a child process, if there is one.
	ExtraFiles []*os.File
}

// Read lists the refs of the repository that access leads to. The error is a
// *gitfail.Error.
func (r *Reader) Read(ctx context.Context, access core.Access, o Options) (Listing, error) {
	if strings.HasPrefix(access.URL, "http://") || strings.HasPrefix(access.URL, "https://") {
		l, err := r.overHTTP(ctx, access, o.Prefixes)
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
	out, err := r.git.Output(ctx, childproc.GitCall{
		Args:      []string{"ls-remote", "--symref", "--", access.URL},
		Protocols: Protocols(access.URL), Access: &access, ExtraFiles: o.ExtraFiles,
	})
	if err != nil {
		return Listing{}, gitfail.From(err, gitfail.Upstream)
	}
	l, err := ParseLsRemote(strings.NewReader(out))
	if err != nil {
		return Listing{}, notGit(err)
	}
	return l, nil
}

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
