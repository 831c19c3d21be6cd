// Package sendpack creates the refs of an empty repository over smart HTTP, in
// this very process, with a pack that lies ready on the disk: git push would
// walk through everything, and pack again what is packed already.
//
// It must not change a ref that is there: whatever is not as it expects is an
// error, after which nothing is changed that a report does not tell of.
package sendpack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
)

const (
	advertisement = "application/x-git-receive-pack-advertisement"
	request       = "application/x-git-receive-pack-request"
	result        = "application/x-git-receive-pack-result"

	// maxOffer bounds what a server says of an empty repository, in bytes.
	maxOffer = 1 << 20
	// maxResult bounds its answer to the pack, with all that it shows to people.
	maxResult = 256 << 20
)

// ErrUnfit says that the repository is not empty, or that its server cannot take
// a pack as it is. Nothing was sent.
var ErrUnfit = errors.New("the repository cannot be filled with a pack as it is")

// ErrStalled says that nothing moved for longer than Patience.
var ErrStalled = errors.New("the server neither takes nor says anything any more")

// Request is what to send where.
type Request struct {
	// Client makes the connections. It must not follow redirects, nor bound the
	// time that a server takes to answer.
	Client *http.Client
	// Access leads to the repository, by http or https.
	Access core.Access
	// Refs are to be created, all of whose objects the pack has.
	Refs []lsrefs.Ref
	// Pack is the path of the pack.
	Pack string
	// Patience is for how long nothing may move, neither to nor from the server.
	Patience time.Duration
	// Sent is told of what is sent of the pack.
	Sent io.Writer
	// Messages gets what the server says to people, as it comes.
	Messages io.Writer
}

// Report is what the server says has become of the pack and of each ref.
type Report struct {
	// Unpack is "" when the pack was taken, else why it was not.
	Unpack string
	// Refs tells of each ref why it was refused, or "" when it was created.
	Refs map[string]string
}

// Send sends the pack. An error says that nothing is known of any ref.
func Send(ctx context.Context, r Request) (Report, error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	w := &watch{patience: r.Patience, timer: time.AfterFunc(r.Patience, func() { stop(ErrStalled) })}
	defer w.timer.Stop()
	report, err := r.send(ctx, w)
	switch cause := context.Cause(ctx); {
	case err == nil:
		return report, nil
	case cause != nil:
		return Report{}, cause
	}
	var u *url.Error // it quotes the address
	if errors.As(err, &u) {
		err = u.Err
	}
	return Report{}, err
}

func (r *Request) send(ctx context.Context, w *watch) (Report, error) {
	o, err := r.look(ctx)
	if err != nil {
		return Report{}, err
	}
	commands, err := o.commands(r.Refs)
	if err != nil {
		return Report{}, err
	}
	pack, err := os.Open(r.Pack)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = pack.Close() }()
	info, err := pack.Stat()
	if err != nil {
		return Report{}, err
	}
	body := w.reader(io.MultiReader(strings.NewReader(commands), io.TeeReader(pack, r.Sent)))
	defer func() { _ = body.Close() }()
	req, err := r.request(ctx, http.MethodPost, "/git-receive-pack", body)
	if err != nil {
		return Report{}, err
	}
	req.ContentLength = int64(len(commands)) + info.Size()
	req.Header.Set("Content-Type", request)
	req.Header.Set("Accept", result)
	resp, err := r.do(req, result)
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	return o.report(w.reader(io.LimitReader(resp.Body, maxResult)), r.Messages)
}

// look reads what the server offers.
func (r *Request) look(ctx context.Context) (offer, error) {
	req, err := r.request(ctx, http.MethodGet, "/info/refs?service=git-receive-pack", nil)
	if err != nil {
		return offer{}, err
	}
	resp, err := r.do(req, advertisement)
	if err != nil {
		return offer{}, err
	}
	defer func() { _ = resp.Body.Close() }()
	return readOffer(io.LimitReader(resp.Body, maxOffer))
}

func (r *Request) request(ctx context.Context, method, path string, body io.Reader) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(r.Access.URL, "/")+path, body)
	if err != nil {
		return nil, err
	}
	lsrefs.Authorize(req, r.Access)
	return req, nil
}

// do gives an answer that is one of git's.
func (r *Request) do(req *http.Request, want string) (*http.Response, error) {
	resp, err := r.Client.Do(req)
	if err != nil {
		return nil, err
	}
	got, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if resp.StatusCode != http.StatusOK || !strings.EqualFold(strings.TrimSpace(got), want) {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("the server answered %q, of the type %q", resp.Status, got)
	}
	return resp, nil
}

// watch ends a request in which nothing moves any more.
type watch struct {
	patience time.Duration
	timer    *time.Timer
}

// reader sees to what is read from r.
func (w *watch) reader(r io.Reader) *watched { return &watched{r: r, watch: w} }

// watched is a reader that can be ended from elsewhere: a client may go on
// reading what it sends when it has given the answer.
type watched struct {
	watch *watch

	mu sync.Mutex
	r  io.Reader // nil when it was closed
}

// Read implements io.Reader.
func (r *watched) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.r == nil {
		return 0, os.ErrClosed
	}
	n, err := r.r.Read(b)
	r.watch.timer.Reset(r.watch.patience)
	return n, err
}

// Close makes sure that nothing is read any more.
func (r *watched) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.r = nil
	return nil
}
