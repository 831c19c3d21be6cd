package sdk

import (
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
)

// Limits of the HTTP client.
const (
	maxHTTPBody      = 64 << 20
	maxRedirects     = 5
	defaultRateLimit = time.Minute
	retryPause       = time.Second
)

// newHTTPClient makes the client of Env.HTTP.
func newHTTPClient(p *Plugin, env Env) *http.Client {
	return politeClient("lorry-adapter-"+p.name+"/"+p.version, env, http.ProxyFromEnvironment, nil)
}

// politeClient makes a client; authorities nil are the system's.
func politeClient(agent string, env Env, proxy func(*http.Request) (*url.URL, error), authorities *x509.CertPool) *http.Client {
	transport := &http.Transport{
		Proxy:                 proxy,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   4,
		IdleConnTimeout:       30 * time.Second,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: authorities, InsecureSkipVerify: env.SkipCertificates}, //nolint:gosec // an admin's choice
	}
	return &http.Client{Transport: &politeTransport{next: transport, agent: agent, env: env}, CheckRedirect: checkRedirect}
}

// checkRedirect follows a redirect on the same host only, and never from https
// to http: credentials in headers of the adapter's own making would go along.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	switch {
	case len(via) >= maxRedirects:
		return Errorf(Unavailable, "%s redirects more than %d times", first.Host, maxRedirects)
	case req.URL.Host != first.Host || first.Scheme == "https" && req.URL.Scheme != "https":
		return WithHint(Errorf(Invalid, "%s redirects to %s://%s", first.Host, req.URL.Scheme, req.URL.Host),
			"use the address that the host redirects to")
	}
	return nil
}

// politeTransport is what every request to a forge goes through.
type politeTransport struct {
	next  http.RoundTripper
	agent string
	env   Env
}

// CloseIdleConnections lets http.Client pass the wish on.
func (t *politeTransport) CloseIdleConnections() {
	if c, ok := t.next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (t *politeTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := t.mayCarryCredentials(req); err != nil {
		return nil, err
	}
	if req.Header.Get("User-Agent") == "" {
		req = req.Clone(req.Context())
		req.Header.Set("User-Agent", t.agent)
	}
	resp, err := t.send(req)
	if err != nil || resp.StatusCode != http.StatusServiceUnavailable || !repeatable(req) {
		return resp, err
	}
	pause, told := retryAfter(resp.Header)
	if told && pause > 2*retryPause {
		return resp, nil
	}
	_ = resp.Body.Close()
	timer := time.NewTimer(max(pause, retryPause))
	defer timer.Stop()
	select {
	case <-req.Context().Done():
		return nil, req.Context().Err()
	case <-timer.C:
	}
	return t.send(req)
}

func repeatable(req *http.Request) bool {
	return (req.Method == http.MethodGet || req.Method == http.MethodHead) && (req.Body == nil || req.Body == http.NoBody)
}

func (t *politeTransport) send(req *http.Request) (*http.Response, error) {
	resp, err := t.next.RoundTrip(req)
	if err != nil {
		return nil, networkError(req, err)
	}
	if limited(resp) {
		wait, told := retryAfter(resp.Header)
		if !told {
			wait = defaultRateLimit
		}
		_ = resp.Body.Close()
		return nil, RetryAfter(Errorf(RateLimited, "%s asks to be left alone (HTTP %d)", req.URL.Host, resp.StatusCode), wait)
	}
	resp.Body = &limitedBody{ReadCloser: resp.Body, left: maxHTTPBody, host: req.URL.Host}
	return resp, nil
}

// mayCarryCredentials refuses to send a credential over a connection that
// nobody has verified, unless an admin said so.
func (t *politeTransport) mayCarryCredentials(req *http.Request) error {
	if !t.env.SkipCertificates || t.env.InsecureCredentials {
		return nil
	}
	for name := range req.Header {
		switch strings.ToLower(name) {
		case "authorization", "private-token", "job-token", "x-api-key", "cookie":
			return WithHint(Errorf(Denied, "no credential is sent to %s: its certificate is not verified", req.URL.Host),
				"verify certificates, or set insecure-credentials for this host")
		}
	}
	return nil
}

func networkError(req *http.Request, err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) && req.Context().Err() != nil {
		return err
	}
	var certErr *tls.CertificateVerificationError
	if errors.As(err, &certErr) {
		return WithHint(Errorf(Unavailable, "the certificate of %s can't be verified: %w", req.URL.Host, certErr.Err),
			"install the certificate's authority on this machine")
	}
	return Errorf(Unavailable, "can't reach %s: %w", req.URL.Host, err)
}

// limited reports whether a host asks to be left alone: 429, or 403 with the
// headers that some forges send instead.
func limited(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		_, told := retryAfter(resp.Header)
		return told
	default:
		return false
	}
}

// retryAfter reads how long to wait: seconds, a date, or the time at which a
// used-up allowance is renewed.
func retryAfter(h http.Header) (wait time.Duration, told bool) {
	if v := h.Get("Retry-After"); v != "" {
		if n, err := strconv.Atoi(v); err == nil && n >= 0 {
			return min(time.Duration(n), 24*3600) * time.Second, true
		}
		if at, err := http.ParseTime(v); err == nil {
			return clampWait(time.Until(at)), true
		}
	}
	for _, prefix := range []string{"RateLimit", "X-RateLimit"} {
		if h.Get(prefix+"-Remaining") != "0" {
			continue
		}
		if n, err := strconv.ParseInt(h.Get(prefix+"-Reset"), 10, 64); err == nil && n > 0 {
			if n < 1e8 { // a number of seconds, not a time
				return clampWait(time.Duration(n) * time.Second), true
			}
			return clampWait(time.Until(time.Unix(n, 0))), true
		}
	}
	return 0, false
}

func clampWait(d time.Duration) time.Duration { return min(max(d, time.Second), 24*time.Hour) }

// limitedBody ends an answer that is too long with an error.
type limitedBody struct {
	io.ReadCloser
	left int64
	host string
}

// Read implements io.Reader.
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, Errorf(Internal, "the answer of %s is longer than %d bytes", b.host, maxHTTPBody)
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.ReadCloser.Read(p)
	b.left -= int64(n)
	return n, err
}

// HTTPError makes the error for an answer that is no success, with the kind
// that its status stands for. The body is not read: a forge's page has no place
// in a log. what says what was asked for, such as `repository "a/b"`.
func HTTPError(resp *http.Response, what string) error {
	fact := fmt.Sprintf("%s: %s answers HTTP %d", what, resp.Request.URL.Host, resp.StatusCode)
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		return WithHint(Errorf(Unauthenticated, "%s", fact), "check the token: is it the right one, and has it not expired?")
	case http.StatusForbidden:
		return WithHint(Errorf(Denied, "%s", fact), "check the rights of the token's account")
	case http.StatusNotFound, http.StatusGone:
		return Errorf(NotFound, "%s", fact)
	case http.StatusConflict:
		return Errorf(Conflict, "%s", fact)
	case http.StatusBadRequest, http.StatusUnprocessableEntity:
		return Errorf(Invalid, "%s", fact)
	case http.StatusNotImplemented, http.StatusMethodNotAllowed:
		return Errorf(Unsupported, "%s", fact)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		wait, _ := retryAfter(resp.Header)
		return RetryAfter(Errorf(Unavailable, "%s", fact), wait)
	}
	return Errorf(Internal, "%s", fact)
}
