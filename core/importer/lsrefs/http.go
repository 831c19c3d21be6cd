package lsrefs

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/pktline"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

// maxAnswer bounds one answer, in bytes: some millions of refs.
const maxAnswer = 512 << 20

const (
	advertisement = "application/x-git-upload-pack-advertisement"
	result        = "application/x-git-upload-pack-result"
)

// errNotSmart says that the server seems to offer plain files (dumb HTTP).
var errNotSmart = errors.New("the server does not speak smart HTTP")

// overHTTP lists the refs with the given prefixes in process.
func (r *Reader) overHTTP(ctx context.Context, a core.Access, o Options) (Listing, error) {
	w := way{o.Route, a.SkipCertificates}
	client, base := r.client(w), strings.TrimSuffix(a.URL, "/")
	server := serverOf(w, base)
	if r.asksAtOnce(server) {
		l, err := r.lsRefs(ctx, client, a, base, "", o)
		if err == nil {
			return l, nil
		}
		r.learn(server, false) // so that no server that has changed is misread for long
		if !worthAsking(err) {
			return l, err
		}
	}
	watched, watch := r.least.Start(ctx)
	defer watch.Stop()
	resp, err := do(watched, client, a, http.MethodGet, base+"/info/refs?service=git-upload-pack", "")
	if err != nil {
		return Listing{}, err
	}
	defer drain(resp)
	body := bounded(watch.Reader(resp.Body), o.limit())
	if err := checkType(resp, advertisement); err != nil {
		if errors.Is(err, errNotSmart) {
			// git takes any short text for an empty repository: look first.
			if _, perr := ParseLsRemote(body); perr != nil {
				return Listing{}, unread(watched, perr)
			}
		}
		return Listing{}, err
	}
	in := bufio.NewReader(body)
	first, kind, err := firstLine(in)
	if err != nil {
		return Listing{}, unread(watched, err)
	}
	if first != "version 2" {
		r.learn(server, false)
		l, err := listV0(in, first, kind)
		return l, unread(watched, err)
	}
	caps := ""
	for {
		line, kind, err := pktline.ReadText(in)
		if err != nil || kind != pktline.Data {
			break
		}
		if format, ok := strings.CutPrefix(line, "object-format="); ok && format != "sha1" {
			caps = pktline.Line("object-format=" + format)
		}
	}
	l, err := r.lsRefs(ctx, client, a, base, caps, o)
	r.learn(server, err == nil && caps == "")
	return l, err
}

// firstLine gives the first line behind the announcement of the service.
func firstLine(in *bufio.Reader) (string, pktline.Kind, error) {
	line, kind, err := pktline.ReadText(in)
	if errors.Is(err, io.EOF) {
		err = errNothing
	}
	if err == nil && strings.HasPrefix(line, "# service=") {
		if line, kind, err = pktline.Next(in); err == nil && kind == pktline.Flush {
			line, kind, err = pktline.Next(in)
		}
	}
	if err == nil && kind == pktline.Data && strings.HasPrefix(line, "ERR ") {
		err = gitfail.Said(gitfail.Upstream, line[4:])
	}
	return line, kind, err
}

// listV0 reads the old advertisement: every ref there is. line is the first,
// and kind what it is: servers tell an empty repository by none at all, too.
func listV0(in *bufio.Reader, line string, kind pktline.Kind) (Listing, error) {
	var l Listing
	line, caps, _ := strings.Cut(line, "\x00")
	for c := range strings.FieldsSeq(caps) {
		if target, ok := strings.CutPrefix(c, "symref=HEAD:"); ok {
			l.Head = target
		}
	}
	for kind == pktline.Data {
		if message, ok := strings.CutPrefix(line, "ERR "); ok {
			return Listing{}, gitfail.Said(gitfail.Upstream, message)
		}
		if object, name, ok := strings.Cut(line, " "); ok {
			if err := l.add(object, name); err != nil {
				return Listing{}, err
			}
		} else if line != "" && !strings.HasPrefix(line, "shallow") && line != "version 1" {
			return Listing{}, pktline.ErrFormat
		}
		var err error
		if line, kind, err = pktline.Next(in); err != nil {
			return Listing{}, err
		}
	}
	return l.settled()
}

// lsRefs asks a server that speaks version 2 of the protocol.
func (r *Reader) lsRefs(ctx context.Context, client *http.Client, a core.Access, base, caps string, o Options) (Listing, error) {
	var body strings.Builder
	body.WriteString(pktline.Line("command=ls-refs\n") + pktline.Line("agent=git/lorry") + caps + "0001" + pktline.Line("symrefs\n"))
	if len(o.Prefixes) > 0 {
		body.WriteString(pktline.Line("ref-prefix HEAD\n"))
	}
	for _, p := range o.Prefixes {
		body.WriteString(pktline.Line("ref-prefix " + p + "\n"))
	}
	body.WriteString("0000")
	ctx, watch := r.least.Start(ctx)
	defer watch.Stop()
	resp, err := do(ctx, client, a, http.MethodPost, base+"/git-upload-pack", body.String())
	if err != nil {
		return Listing{}, err
	}
	defer drain(resp)
	if err := checkType(resp, result); err != nil {
		return Listing{}, err
	}
	l, err := listV2(bufio.NewReader(bounded(watch.Reader(resp.Body), o.limit())))
	return l, unread(ctx, err)
}

// listV2 reads the answer to ls-refs.
func listV2(in *bufio.Reader) (Listing, error) {
	var l Listing
	if _, err := in.Peek(1); errors.Is(err, io.EOF) {
		return Listing{}, errNothing
	}
	for {
		line, kind, err := pktline.Next(in)
		if err != nil {
			return Listing{}, err
		}
		if kind != pktline.Data {
			break
		}
		if message, ok := strings.CutPrefix(line, "ERR "); ok {
			return Listing{}, gitfail.Said(gitfail.Upstream, message)
		}
		words := strings.Split(line, " ")
		if len(words) < 2 {
			return Listing{}, pktline.ErrFormat
		}
		for _, attr := range words[2:] {
			if target, ok := strings.CutPrefix(attr, "symref-target:"); ok {
				l.link(words[1], target)
			}
		}
		if err := l.add(words[0], words[1]); err != nil {
			return Listing{}, err
		}
	}
	return l.settled()
}

func do(ctx context.Context, client *http.Client, a core.Access, method, address, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "", "upstream: the url cannot be used")
	}
	Authorize(req, a)
	req.Header.Set("Git-Protocol", "version=2")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		req.Header.Set("Accept", result)
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, ConnectionError(ctx, err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	drain(resp)
	return nil, StatusError(resp)
}

// Authorize says in a request who asks: this program, with the credential of an
// access if it has one.
func Authorize(req *http.Request, a core.Access) {
	req.Header.Set("User-Agent", "git/lorry")
	if a.Secret.Empty() {
		return
	}
	user := a.Username
	if user == "" {
		user = "git"
	}
	req.SetBasicAuth(user, a.Secret.Reveal())
}

func drain(resp *http.Response) {
	// What is left of a short answer is read, so that the connection is kept.
	_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
	_ = resp.Body.Close()
}

func checkType(resp *http.Response, want string) error {
	got, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	switch got = strings.ToLower(strings.TrimSpace(got)); got {
	case want:
		return nil
	case "text/plain", "application/octet-stream", "":
		return errNotSmart
	}
	return gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.Hint(core.FailNotGit, gitfail.Upstream),
		"upstream: the answer is of the type %q, not that of a git repository", got)
}

// StatusError says why an answer that is not 200 is a failure.
func StatusError(resp *http.Response) error {
	kind, hint := core.FailNetwork, ""
	cause := fmt.Sprintf("upstream: the server answered %q", resp.Status)
	switch code := resp.StatusCode; {
	case code == http.StatusProxyAuthRequired:
		return gitfail.Route(route.ErrProxyAuth)
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		kind = core.FailAuth
	case code == http.StatusNotFound, code == http.StatusGone:
		kind = core.FailGone
	case code == http.StatusTooManyRequests:
		kind = core.FailRateLimited
	case code >= 300 && code < 400:
		kind, hint = core.FailGone, "put the new address into the specification"
		cause = fmt.Sprintf("upstream: the repository has moved to %s", target(resp))
	case code >= 400 && code < 500:
		kind = core.FailNotGit
	}
	e := gitfail.New(kind, gitfail.Upstream, hint, "%s", cause)
	if hint == "" {
		e.Hint = gitfail.Hint(kind, gitfail.Upstream)
	}
	if e.RetryAfter = retryAfter(resp.Header); e.RetryAfter > 0 {
		e.Cause += fmt.Sprintf(" and asks to wait for %v", time.Duration(e.RetryAfter)*time.Second)
	}
	return e
}

// retryAfter is how many seconds an answer asks to wait: a number, or a date
// that is compared with the server's own.
func retryAfter(h http.Header) int64 {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseInt(text, 10, 64); err == nil && seconds > 0 {
		return min(seconds, maxRetryAfter)
	}
	until, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil || !until.After(now) {
		return 0
	}
	return min(int64(until.Sub(now)/time.Second), maxRetryAfter)
}

// maxRetryAfter bounds what a host can ask for, in seconds: a day.
const maxRetryAfter = 24 * 60 * 60

// target is where a redirect leads, without what could be a credential.
func target(resp *http.Response) string {
	u, err := resp.Location()
	if err != nil {
		return "an unnamed address"
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/info/refs")
	return u.Scheme + "://" + u.Host + path
}

// ConnectionError says why there was no answer, or not all of it, without the
// address.
func ConnectionError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if stopped := gitfail.Stopped(context.Cause(ctx)); stopped != nil {
			return stopped
		}
		err = context.Cause(ctx)
	}
	if errors.Is(err, route.ErrDenied) || errors.Is(err, route.ErrProxyAuth) {
		return gitfail.Route(errors.Unwrap(err))
	}
	// The error of the client quotes the URL: take what is below it.
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	kind := core.FailNetwork
	var (
		verify  *tls.CertificateVerificationError
		record  tls.RecordHeaderError
		alert   tls.AlertError
		unknown x509.UnknownAuthorityError
		op      *net.OpError
	)
	if errors.As(err, &verify) || errors.As(err, &record) || errors.As(err, &alert) || errors.As(err, &unknown) {
		kind = core.FailTLS
	} else if errors.As(err, &op) && op.Op == "remote error" {
		kind = core.FailTLS
	}
	return gitfail.New(kind, gitfail.Upstream, gitfail.Hint(kind, gitfail.Upstream), "upstream: %v", err)
}
