package httpforge

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Limits of a conversation with a forge.
const (
	maxAnswer    = 32 << 20 // bytes of a success: 100 projects take about 0.5 MB
	maxRefusal   = 64 << 10 // bytes of a refusal that are looked at
	maxRedirects = 5
)

// Options are what a Client is made of.
type Options struct {
	// Base is the root of the API, such as https://git.example.com/api/v4.
	Base *url.URL
	// HTTP sends the requests; see Transport.
	HTTP *http.Client
	// Scheme goes before the token in the Authorization header: "Bearer" or
	// "token". No other header is used: Authorization alone is dropped by
	// every HTTP library when a request leaves its host.
	Scheme string
	// Token is the credential; an empty one sends none.
	Token sdk.Secret
	// Unverified says that the connection proves nothing about the host, so
	// that no credential may be sent.
	Unverified bool
}

// Client speaks to the API of one forge. It never repeats a request: a lost
// answer to "create" would turn into "exists already".
type Client struct {
	opts   Options
	http   *http.Client
	secret []string // forms in which the token must not appear anywhere
}

// New makes a Client.
func New(opts Options) *Client {
	sender := *opts.HTTP
	sender.CheckRedirect = checkRedirect
	return &Client{opts: opts, http: &sender, secret: forms(opts.Token)}
}

// Close lets go of connections that are not in use.
func (c *Client) Close() error {
	c.http.CloseIdleConnections()
	return nil
}

// Host names the forge in texts.
func (c *Client) Host() string { return c.opts.Base.Host }

// Anonymous reports whether requests carry no credential.
func (c *Client) Anonymous() bool { return c.opts.Token.Empty() }

// Request is one request to the API.
type Request struct {
	// Method is GET when it is empty.
	Method string
	// Path is below the API's root; each component is escaped as one, so that
	// "group/project" stays one component.
	Path  []string
	Query url.Values
	// Body is sent as JSON; nil sends none.
	Body any
	// What is asked for, for texts, such as `project "a/b"`.
	What string
}

// Do sends a request and decodes the answer into out, unless out is nil. The
// header of a success is given back. Errors are *sdk.Error; those that come
// from a status wrap a *Refusal.
func (c *Client) Do(ctx context.Context, req Request, out any) (http.Header, error) {
	hr, err := c.request(ctx, req)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(hr)
	if err != nil {
		return nil, c.unreachable(ctx, req.What, err)
	}
	defer func() {
		_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxRefusal)) // so that the connection can be used again
		_ = resp.Body.Close()
	}()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return nil, c.refused(resp, req.What)
	}
	if out == nil || resp.StatusCode == http.StatusNoContent {
		return resp.Header, nil
	}
	if err := c.decode(ctx, resp, req.What, out); err != nil {
		return nil, err
	}
	return resp.Header, nil
}

func (c *Client) request(ctx context.Context, req Request) (*http.Request, error) {
	var body io.Reader
	if req.Body != nil {
		raw, err := json.Marshal(req.Body)
		if err != nil {
			return nil, sdk.Errorf(sdk.Internal, "%s: can't write the request: %w", req.What, err)
		}
		body = bytes.NewReader(raw)
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	hr, err := http.NewRequestWithContext(ctx, method, c.address(req), body)
	if err != nil {
		return nil, sdk.Errorf(sdk.Invalid, "%s: can't be asked for at %s", req.What, c.Host())
	}
	hr.Header.Set("Accept", "application/json")
	if body != nil {
		hr.Header.Set("Content-Type", "application/json")
	}
	if c.opts.Token.Empty() {
		return hr, nil
	}
	if c.opts.Unverified {
		why := "its certificate is not verified"
		if c.opts.Base.Scheme == "http" && !Loopback(c.opts.Base) {
			why = "anybody on the way could read it, since this is plain http"
		}
		return nil, sdk.WithHint(sdk.Errorf(sdk.Denied, "no credential is sent to %s: %s", c.Host(), why),
			"use https and verify certificates (ca-file names an authority of your own), or set insecure-credentials for this host")
	}
	hr.Header.Set("Authorization", c.opts.Scheme+" "+c.opts.Token.Reveal())
	return hr, nil
}

func (c *Client) address(req Request) string {
	var b strings.Builder
	b.WriteString(strings.TrimSuffix(c.opts.Base.String(), "/"))
	for _, part := range req.Path {
		b.WriteString("/" + url.PathEscape(part))
	}
	if len(req.Query) > 0 {
		b.WriteString("?" + req.Query.Encode())
	}
	return b.String()
}

// checkRedirect follows a redirect only where nothing can get lost: a read
// request on the very same host. A redirected POST would become a GET whose
// success means nothing, and another host must not see the credential.
func checkRedirect(req *http.Request, via []*http.Request) error {
	first := via[0].URL
	target := req.URL.Scheme + "://" + req.URL.Host
	switch {
	case len(via) >= maxRedirects:
		return sdk.Errorf(sdk.Unavailable, "%s redirects more than %d times", first.Host, maxRedirects)
	case req.URL.Host != first.Host || req.URL.Scheme != first.Scheme:
		return sdk.WithHint(sdk.Errorf(sdk.Invalid, "%s redirects to %s, which is not followed", first.Host, target),
			"if the host has moved, set its address to "+target)
	case via[0].Method != http.MethodGet && via[0].Method != http.MethodHead:
		return sdk.WithHint(sdk.Errorf(sdk.Conflict, "%s redirects a change to another place, which is not followed", first.Host),
			"the repository may have been renamed on the host, or its address in the settings may be an old one")
	}
	return nil
}

// decode reads a whole answer. What is not whole, or not JSON, comes from
// something between us and the forge, so it is worth another try.
func (c *Client) decode(ctx context.Context, resp *http.Response, what string, out any) error {
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil && ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		var known *sdk.Error
		if errors.As(err, &known) {
			return known
		}
		return sdk.Errorf(sdk.Unavailable, "%s: the answer of %s broke off after %d bytes", what, c.Host(), len(raw))
	case len(raw) > maxAnswer:
		return sdk.Errorf(sdk.Internal, "%s: the answer of %s is longer than %d bytes", what, c.Host(), maxAnswer)
	}
	trimmed := bytes.TrimSpace(raw)
	if len(trimmed) == 0 {
		return sdk.Errorf(sdk.Unavailable, "%s: %s answers with nothing", what, c.Host())
	}
	if trimmed[0] != '{' && trimmed[0] != '[' && trimmed[0] != 'n' {
		return sdk.WithHint(sdk.Errorf(sdk.Unavailable, "%s: %s answers with a page, not with JSON", what, c.Host()),
			"look at the address in a browser: is there a login page, a proxy or another program in front of the forge?")
	}
	err = json.Unmarshal(trimmed, out)
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &syntax):
		return sdk.Errorf(sdk.Unavailable, "%s: %s answers with broken JSON of %d bytes", what, c.Host(), len(raw))
	case err != nil:
		return sdk.Errorf(sdk.Internal, "%s: the answer of %s has another form than expected", what, c.Host())
	}
	return nil
}

// unreachable makes the error of a request without an answer. The library's own
// text has the whole URL in it, so only its cause is kept.
func (c *Client) unreachable(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var known *sdk.Error
	if errors.As(err, &known) {
		e := *known
		e.Fact, e.Err = what+": "+c.Redact(known.Fact), nil
		return &e
	}
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	return sdk.WithHint(sdk.Errorf(sdk.Unavailable, "%s", fmt.Sprintf("%s: can't reach %s: %s", what, c.Host(), c.Redact(err.Error()))),
		"check the address, the network, and the proxy if one is needed")
}
