package lfs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/download"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/pace"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

const (
	mediaType = "application/vnd.git-lfs+json"
	// batchSize is how many objects one request names: what servers take.
	batchSize    = 100
	maxAnswer    = 16 << 20 // bytes of JSON
	maxRedirects = 5
)

// api is the batch API of one side.
type api struct {
	side      Side
	operation string
	base      *url.URL
	header    map[string]string // of every request to base
	trusted   *url.URL          // the scheme and host that get the credential, or nil
	ownHost   string            // the repository's host
	retry     time.Duration     // before the second try
	least     pace.Least        // how fast answers must come
	// ways go to the repository's host and, guarded, elsewhere; near goes
	// elsewhere too, where inside says that this host is not for everybody
	// either. What it leads to may then be inside as well.
	ways, near download.Transports
	inside     atomic.Bool
}

func newAPI(side Side, operation, host string) *api {
	a := &api{
		side: side, operation: operation, ownHost: host,
		ways: download.NewTransports(side.Access, side.Route), near: download.NewTransports(core.Access{}, side.Route),
	}
	if u, err := url.Parse(side.Access.URL); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		a.trusted = u
	}
	a.inside.Store(side.Place == gitfail.Downstream)
	return a
}

func (a *api) at(base string, header map[string]string) error {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return fault(a.side.Place, core.FailLFS, hintMode, "the address of its git-lfs server cannot be used")
	}
	u.User = nil
	a.base, a.header = u, header
	return nil
}

func (a *api) close() {
	a.ways.Close()
	a.near.Close()
}

// object is one object of a request or an answer.
type object struct {
	OID           string            `json:"oid"`
	Size          int64             `json:"size"`
	Authenticated bool              `json:"authenticated,omitempty"`
	Actions       map[string]action `json:"actions,omitempty"`
	Error         *objectError      `json:"error,omitempty"`
}

type action struct {
	Href   string            `json:"href"`
	Header map[string]string `json:"header"`
}

type objectError struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// batch asks what is to be done for at most batchSize objects.
// https://github.com/git-lfs/git-lfs/blob/main/docs/api/batch.md
func (a *api) batch(ctx context.Context, pointers []Pointer) ([]object, error) {
	ask := struct {
		Operation string   `json:"operation"`
		Transfers []string `json:"transfers"`
		Objects   []object `json:"objects"`
		Hash      string   `json:"hash_algo"`
	}{Operation: a.operation, Transfers: []string{"basic"}, Hash: "sha256"}
	for _, p := range pointers {
		ask.Objects = append(ask.Objects, object{OID: p.OID, Size: p.Size})
	}
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, gitfail.From(err, gitfail.Local)
	}
	var answer struct {
		Transfer string   `json:"transfer"`
		Objects  []object `json:"objects"`
	}
	err = a.repeat(ctx, func() error {
		ctx, watch := a.least.Start(ctx)
		defer watch.Stop()
		resp, err := a.post(ctx, action{Href: a.base.JoinPath("objects", "batch").String(), Header: a.header}, body)
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return a.status(resp, "its git-lfs server")
		}
		text, err := io.ReadAll(io.LimitReader(watch.Reader(resp.Body), maxAnswer))
		if err != nil {
			return a.connection(ctx, err)
		}
		if json.Unmarshal(text, &answer) != nil || answer.Transfer != "" && answer.Transfer != "basic" {
			return fault(a.side.Place, core.FailLFS, hintMode, "the answer of its git-lfs server is none of the batch API")
		}
		return nil
	})
	return answer.Objects, err
}

func (a *api) post(ctx context.Context, to action, body []byte) (*http.Response, error) {
	return a.send(ctx, http.MethodPost, to, func() (io.ReadCloser, int64, error) {
		return io.NopCloser(bytes.NewReader(body)), int64(len(body)), nil
	}, mediaType)
}

// opener gives the body of a request and its length.
type opener func() (io.ReadCloser, int64, error)

// send sends one request, with the credential when it goes to the credential's
// own host and nothing else proves the right. GET follows redirects, without
// taking the credential or the action's header to another host; a redirect of
// anything else is told.
func (a *api) send(ctx context.Context, method string, to action, body opener, kind string) (*http.Response, error) {
	address, header := to.Href, to.Header
	for range maxRedirects {
		req, err := a.request(ctx, method, address, header, body, kind)
		if err != nil {
			return nil, err
		}
		way := a.way(req.URL)
		resp, err := way.RoundTrip(req)
		if way == a.ways.Foreign && errors.Is(err, route.ErrDenied) {
			return nil, fault(a.side.Place, core.FailSpec, hintInside, "its git-lfs server is, or leads to, %q, whose address is not public", req.URL.Hostname())
		}
		if err != nil {
			return nil, a.connection(ctx, err)
		}
		if resp.StatusCode < 300 || resp.StatusCode >= 400 || resp.Header.Get("Location") == "" {
			return resp, nil
		}
		next, err := resp.Location()
		if method != http.MethodGet && err == nil {
			_ = resp.Body.Close()
			return nil, fault(a.side.Place, core.FailGone, hintMoved(a.side.Place), "its git-lfs server has moved to %s://%s", next.Scheme, next.Host)
		}
		_ = resp.Body.Close()
		if err != nil || next.Scheme != "https" && next.Scheme != req.URL.Scheme {
			return nil, fault(a.side.Place, core.FailLFS, hintServer, "its git-lfs server redirects to an address that is not followed")
		}
		next.User = nil
		if !sameHost(next, req.URL) {
			header = nil
		}
		address = next.String()
	}
	return nil, fault(a.side.Place, core.FailLFS, hintServer, "its git-lfs server redirects more than %d times", maxRedirects)
}

func (a *api) request(ctx context.Context, method, address string, header map[string]string, body opener, kind string) (*http.Request, error) {
	if u, err := url.Parse(address); err == nil && u.Hostname() == a.ownHost {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{GotConn: a.notice})
	}
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil || req.URL.Scheme != "https" && req.URL.Scheme != "http" || req.URL.Host == "" {
		return nil, fault(a.side.Place, core.FailLFS, hintServer, "its git-lfs server names an address that cannot be used")
	}
	req.URL.User = nil
	req.Header.Set("User-Agent", "git-lfs/lorry")
	req.Header.Set("Accept", mediaType)
	if body != nil {
		r, size, err := body()
		if err != nil {
			return nil, gitfail.From(err, gitfail.Local)
		}
		req.Body, req.ContentLength = r, size
		if size == 0 {
			req.Body = http.NoBody
			_ = r.Close()
		}
		req.Header.Set("Content-Type", kind)
	}
	for name, value := range header {
		if strings.ContainsAny(name+value, "\r\n") {
			continue
		}
		req.Header.Set(name, value)
	}
	if req.Header.Get("Authorization") == "" && a.base != nil && sameHost(req.URL, a.base) {
		for name, value := range a.header { // what ssh gave for this host
			req.Header.Set(name, value)
		}
	}
	if req.Header.Get("Authorization") == "" && a.trusted != nil && sameHost(req.URL, a.trusted) && !a.side.Access.Secret.Empty() {
		user := a.side.Access.Username
		if user == "" {
			user = "git" // hosts that look at the secret alone want one
		}
		req.SetBasicAuth(user, a.side.Access.Secret.Reveal())
	}
	return req, nil
}

// way chooses the transport: an upstream that everybody can reach leads to such
// addresses alone.
func (a *api) way(to *url.URL) *http.Transport {
	switch {
	case to.Hostname() == a.ownHost:
		return a.ways.Own
	case a.inside.Load():
		return a.near.Own
	}
	return a.ways.Foreign
}

// notice sees where a connection of the repository's own host goes.
func (a *api) notice(info httptrace.GotConnInfo) {
	if at, err := netip.ParseAddrPort(info.Conn.RemoteAddr().String()); err == nil && !route.Public(at.Addr()) {
		a.inside.Store(true)
	}
}

func sameHost(a, b *url.URL) bool { return a.Scheme == b.Scheme && a.Host == b.Host }
