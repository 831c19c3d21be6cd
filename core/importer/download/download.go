// Package download fetches single files over HTTP for the sources that consist
// of files: what a server says of a file, the file itself with limits on size
// and silence, redirects that lead nowhere they should not.
//
// It must not know what a file is for, and keeps none.
package download

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/meter"
	"github.com/lorry-controller/lorry-controller/core/importer/pace"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

const maxRedirects = 10

// Facts are what a server says of a file without sending it.
type Facts struct {
	URL          string `json:"url"`
	ETag         string `json:"etag,omitempty"`
	LastModified string `json:"last_modified,omitempty"`
	Size         int64  `json:"size"` // -1 when not known
}

// Mark is a text that changes when the file may have; "" when nothing tells.
func (f Facts) Mark() string {
	if f.ETag == "" && f.LastModified == "" {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q %d\n", f.URL, f.ETag, f.LastModified, f.Size)
	return hex.EncodeToString(h.Sum(nil))
}

// Client fetches one file over HTTP. Close must follow.
type Client struct {
	access core.Access
	Transports
	// Progress gets how far Get is; nil: nobody does.
	Progress io.Writer
	// Seen is what Look gave: its size is that of the file where Get's answer is
	// about the same one and tells none.
	Seen Facts
	// Least is how fast Get must be.
	Least pace.Least
	// AsIs refuses a file that the server packs for the way (Content-Encoding),
	// which nobody asked it to do: what came would not be the file. Archives are
	// known by their first bytes.
	AsIs bool
}

// New makes the client for one file, which goes by the given route.
func New(a core.Access, r route.Route) *Client {
	return &Client{access: a, Transports: NewTransports(a, r)}
}

// ask sends a request and follows redirects itself.
func (c *Client) ask(ctx context.Context, method string) (*http.Response, error) {
	address := c.access.URL
	first, err := url.Parse(address)
	if err != nil {
		return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "", "upstream: the url cannot be used")
	}
	for range maxRedirects {
		req, err := http.NewRequestWithContext(ctx, method, address, nil)
		if err != nil {
			return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "", "upstream: the url cannot be used")
		}
		req.Header.Set("User-Agent", "lorry")
		via := c.Foreign
		if req.URL.Host == first.Host {
			via = c.Own
			if req.URL.Scheme == first.Scheme {
				c.authorize(req)
			}
		}
		resp, err := via.RoundTrip(req)
		if via == c.Foreign && errors.Is(err, route.ErrDenied) {
			return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "if that host is meant, put the new address into the specification",
				"upstream: the server redirects to another host, whose address is not public")
		}
		if err != nil {
			return nil, lsrefs.ConnectionError(ctx, err)
		}
		if resp.StatusCode < 300 || resp.StatusCode >= 400 || resp.Header.Get("Location") == "" {
			return resp, nil
		}
		to, err := resp.Location()
		_ = resp.Body.Close()
		if err != nil || to.Scheme != "https" && (to.Scheme != "http" || req.URL.Scheme != "http") {
			return nil, gitfail.New(core.FailGone, gitfail.Upstream, "put the new address into the specification",
				"upstream: the server redirects to an address that is not followed")
		}
		if address = c.next(first, to); address == "" {
			return nil, gitfail.New(core.FailGone, gitfail.Upstream, "put the new address into the specification; a server that wants its token renewed may do so, too",
				"upstream: the server redirects to another host with the credential in the address, which is not followed")
		}
	}
	return nil, gitfail.New(core.FailGone, gitfail.Upstream, "put the new address into the specification", "upstream: more than %d redirects", maxRedirects)
}

// Look asks for the facts of the file.
func (c *Client) Look(ctx context.Context) (Facts, error) {
	resp, err := c.ask(ctx, http.MethodHead)
	if err != nil {
		return Facts{}, err
	}
	_ = resp.Body.Close()
	switch code := resp.StatusCode; {
	case code < 400, code == http.StatusUnauthorized, code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
	default:
		// Not every server knows HEAD, and not all of those say so.
		if resp, err = c.ask(ctx, http.MethodGet); err != nil {
			return Facts{}, err
		}
		_ = resp.Body.Close()
	}
	return c.checked(resp)
}

// checked reads the facts of an answer that is about an archive.
func (c *Client) checked(resp *http.Response) (Facts, error) {
	if resp.StatusCode != http.StatusOK {
		return Facts{}, lsrefs.StatusError(resp)
	}
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if kind = strings.ToLower(strings.TrimSpace(kind)); kind == "text/html" || kind == "application/xhtml+xml" {
		return Facts{}, gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.Hint(core.FailNotGit, gitfail.Upstream),
			"upstream: the answer is of the type %q, not a file", kind)
	}
	if encoding := strings.ToLower(strings.TrimSpace(resp.Header.Get("Content-Encoding"))); c.AsIs && encoding != "" && encoding != "identity" && !packed(resp.Request.URL.Path) {
		return Facts{}, gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.HintServer, "upstream: the server sends the file packed (Content-Encoding %.50q), which it was not asked for", encoding)
	}
	return Facts{c.access.URL, resp.Header.Get("ETag"), resp.Header.Get("Last-Modified"), resp.ContentLength}, nil
}

// packed reports whether a file's name says that it is packed itself: many
// servers tell that as an encoding.
func packed(name string) bool {
	switch strings.ToLower(path.Ext(name)) {
	case ".gz", ".tgz", ".z", ".taz", ".bz2", ".xz", ".zst", ".svgz", ".br":
		return true
	}
	return false
}

// Get writes the file to w, all of it or an error, and gives its facts.
func (c *Client) Get(ctx context.Context, w io.Writer, limit int64) (Facts, error) {
	ctx, watch := c.Least.Start(ctx)
	defer watch.Stop()
	resp, err := c.ask(ctx, http.MethodGet)
	if err != nil {
		return Facts{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	f, err := c.checked(resp)
	if err != nil {
		return f, err
	}
	size := f.Size
	if size < 0 && c.Seen.Size > 0 && c.Seen.ETag == f.ETag && c.Seen.LastModified == f.LastModified {
		size = c.Seen.Size
	}
	if size > limit {
		return f, TooLarge("it is %d bytes long, and at most %d are taken", size, limit)
	}
	in := watch.Reader(resp.Body)
	n, err := io.Copy(io.MultiWriter(w, meter.Bytes(c.Progress, nil, "Downloading", size)), io.LimitReader(in, limit+1))
	switch {
	case n > limit:
		return f, TooLarge("it is longer than %d bytes", limit)
	case errors.Is(context.Cause(ctx), pace.ErrSlow):
		return f, gitfail.New(core.FailNetwork, gitfail.Upstream, gitfail.Hint(core.FailNetwork, gitfail.Upstream),
			"upstream: %v, after %d bytes", context.Cause(ctx), n)
	case err == nil && size >= 0 && n != size, errors.Is(err, io.ErrUnexpectedEOF):
		return f, gitfail.New(core.FailNetwork, gitfail.Upstream, gitfail.Hint(core.FailNetwork, gitfail.Upstream),
			"upstream: the download ended after %d of %d bytes", n, size)
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EIO), errors.Is(err, syscall.EDQUOT):
		return f, gitfail.From(err, gitfail.Local)
	case err != nil:
		return f, lsrefs.ConnectionError(ctx, err)
	}
	return f, nil
}

// LookLocal gives the facts of a file on this machine.
func LookLocal(address, file string) (Facts, error) {
	info, err := os.Stat(file)
	if err != nil {
		return Facts{}, gitfail.New(core.FailGone, gitfail.Upstream, gitfail.Hint(core.FailGone, gitfail.Upstream), "upstream: %v", err)
	}
	if !info.Mode().IsRegular() {
		return Facts{}, gitfail.New(core.FailNotGit, gitfail.Upstream, "name the archive itself", "upstream: %s is no file", file)
	}
	at := info.ModTime().UTC()
	return Facts{address, "mtime-" + at.Format(time.RFC3339Nano), at.Format(http.TimeFormat), info.Size()}, nil
}

// CopyLocal copies a file on this machine.
func CopyLocal(w io.Writer, address, file string, limit int64) (Facts, error) {
	f, err := LookLocal(address, file)
	if err != nil {
		return f, err
	}
	if f.Size > limit {
		return f, TooLarge("it is %d bytes long, and at most %d are taken", f.Size, limit)
	}
	in, err := os.Open(file)
	if err != nil {
		return f, gitfail.New(core.FailGone, gitfail.Upstream, gitfail.Hint(core.FailGone, gitfail.Upstream), "upstream: %v", err)
	}
	defer func() { _ = in.Close() }()
	if _, err := io.Copy(w, io.LimitReader(in, limit)); err != nil {
		return f, gitfail.From(err, gitfail.Local)
	}
	if now, err := LookLocal(address, file); err != nil || now != f {
		return f, gitfail.New(core.FailOther, gitfail.Upstream, "the next job tries again; whoever writes the file had better rename a whole one to its place", "upstream: %s changed while it was read", file)
	}
	return f, nil
}

// TooLarge is the failure of a file that goes beyond a limit.
func TooLarge(format string, args ...any) error {
	return gitfail.New(core.FailSpec, gitfail.Upstream, "nothing was changed; if the file is what it should be, mirror it in another form",
		"upstream: the file is too large: %s", fmt.Sprintf(format, args...))
}

// Unsupported is the failure of an address that is none of http, https or file.
func Unsupported(address string) error {
	scheme, _, _ := strings.Cut(address, "://")
	return gitfail.New(core.FailSpec, gitfail.Upstream,
		"put the file's https address into the specification: nearly every ftp server shows the same files over https, often under the same host and path, or a mirror does; "+
			"or fetch it by other means to a directory of file-roots and use its path",
		"upstream: %s:// is not supported, only https, http and files", scheme)
}
