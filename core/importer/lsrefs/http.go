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
		l, err := lsRefs(ctx, client, a, base, "", o)
		if err == nil {
			return l, nil
		}
		r.learn(server, false) // so that no server that has changed is misread for long
		if !worthAsking(err) {
			return l, err
		}
	}
	resp, err := do(ctx, client, a, http.MethodGet, base+"/info/refs?service=git-upload-pack", "")
	if err != nil {
		return Listing{}, err
	}
	defer drain(resp)
	if err := checkType(resp, advertisement); err != nil {
		if errors.Is(err, errNotSmart) {
			// git takes any short text for an empty repository: look first.
			if _, perr := ParseLsRemote(io.LimitReader(resp.Body, o.limit())); perr != nil {
				return Listing{}, notGit(perr)
			}
		}
		return Listing{}, err
	}
	in := bufio.NewReader(io.LimitReader(resp.Body, o.limit()))
	first, err := firstLine(in)
	if err != nil {
		return Listing{}, notGit(err)
	}
	if first != "version 2" {
		r.learn(server, false)
		return listV0(in, first)
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
	l, err := lsRefs(ctx, client, a, base, caps, o)
	r.learn(server, err == nil && caps == "")
	return l, err
}

// firstLine gives the first line behind the announcement of the service.
func firstLine(in *bufio.Reader) (string, error) {
	line, kind, err := pktline.ReadText(in)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(line, "# service=") {
		if line, kind, err = pktline.ReadText(in); err == nil && kind == pktline.Flush {
			line, kind, err = pktline.ReadText(in)
		}
	}
	if err == nil && kind == pktline.Data && strings.HasPrefix(line, "ERR ") {
		return "", fmt.Errorf("the server says: %.200q", line[4:])
	}
	return line, err
}

// listV0 reads the old advertisement: every ref there is.
func listV0(in *bufio.Reader, line string) (Listing, error) {
	var l Listing
	line, caps, _ := strings.Cut(line, "\x00")
	for c := range strings.FieldsSeq(caps) {
		if target, ok := strings.CutPrefix(c, "symref=HEAD:"); ok {
			l.Head = target
		}
	}
	for kind := pktline.Data; kind == pktline.Data; {
		if object, name, ok := strings.Cut(line, " "); ok {
			if err := l.add(object, name); err != nil {
				return Listing{}, notGit(err)
			}
		} else if line != "" && !strings.HasPrefix(line, "shallow") && line != "version 1" {
			return Listing{}, notGit(pktline.ErrFormat)
		}
		var err error
		if line, kind, err = pktline.ReadText(in); err != nil {
			return Listing{}, notGit(err)
		}
	}
	l.dropUnbornHead()
	l.sort()
	return l, nil
}

// lsRefs asks a server that speaks version 2 of the protocol.
func lsRefs(ctx context.Context, client *http.Client, a core.Access, base, caps string, o Options) (Listing, error) {
	var body strings.Builder
	body.WriteString(pktline.Line("command=ls-refs\n") + pktline.Line("agent=git/lorry") + caps + "0001" + pktline.Line("symrefs\n"))
	if len(o.Prefixes) > 0 {
		body.WriteString(pktline.Line("ref-prefix HEAD\n"))
	}
	for _, p := range o.Prefixes {
		body.WriteString(pktline.Line("ref-prefix " + p + "\n"))
	}
	body.WriteString("0000")
	resp, err := do(ctx, client, a, http.MethodPost, base+"/git-upload-pack", body.String())
	if err != nil {
		return Listing{}, err
	}
	defer drain(resp)
	if err := checkType(resp, result); err != nil {
		return Listing{}, err
	}
	return listV2(bufio.NewReader(io.LimitReader(resp.Body, o.limit())))
}

// listV2 reads the answer to ls-refs.
func listV2(in *bufio.Reader) (Listing, error) {
	var l Listing
	for {
		line, kind, err := pktline.ReadText(in)
		if err != nil {
			return Listing{}, notGit(err)
		}
		if kind != pktline.Data {
			break
		}
		if message, ok := strings.CutPrefix(line, "ERR "); ok {
			return Listing{}, notGit(fmt.Errorf("the server says: %.200q", message))
		}
		words := strings.Split(line, " ")
		if len(words) < 2 {
			return Listing{}, notGit(pktline.ErrFormat)
		}
		for _, attr := range words[2:] {
			if target, ok := strings.CutPrefix(attr, "symref-target:"); ok && words[1] == "HEAD" {
				l.Head = target
			}
		}
		if err := l.add(words[0], words[1]); err != nil {
			return Listing{}, notGit(err)
		}
	}
	l.dropUnbornHead()
	l.sort()
	return l, nil
}

// dropUnbornHead keeps to what git ls-remote tells: HEAD only when it exists.
func (l *Listing) dropUnbornHead() {
	for _, r := range l.Refs {
		if r.Name == l.Head {
			return
		}
	}
	l.Head = ""
}

func do(ctx context.Context, client *http.Client, a core.Access, method, address, body string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, strings.NewReader(body))
	if err != nil {
		return nil, gitfail.New(core.FailSpec, gitfail.Upstream, "", "upstream: the url cannot be used")
	}
	req.Header.Set("User-Agent", "git/lorry")
	req.Header.Set("Git-Protocol", "version=2")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		req.Header.Set("Accept", result)
	}
	if !a.Secret.Empty() {
		user := a.Username
		if user == "" {
			user = "git"
		}
		req.SetBasicAuth(user, a.Secret.Reveal())
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

func notGit(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return gitfail.New(core.FailNetwork, gitfail.Upstream, gitfail.Hint(core.FailNetwork, gitfail.Upstream), "upstream: %v", err)
	}
	if stopped := gitfail.Stopped(err); stopped != nil {
		return stopped
	}
	return gitfail.New(core.FailNotGit, gitfail.Upstream, gitfail.Hint(core.FailNotGit, gitfail.Upstream), "upstream: %v", err)
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

// ConnectionError says why there was no answer, without the address.
func ConnectionError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		if stopped := gitfail.Stopped(context.Cause(ctx)); stopped != nil {
			return stopped
		}
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
