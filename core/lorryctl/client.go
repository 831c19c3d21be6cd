package lorryctl

import (
	"context"
	"encoding/json"
	"html"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// client makes the client for this run.
func (a *app) client() (*protocol.Client, error) {
	addr := a.addr
	if addr == "" {
		addr = a.env.addr
	}
	if addr == "" {
		addr = defaultAddr
	}
	u, err := controllerURL(addr)
	if err != nil {
		return nil, err
	}
	token, err := a.token()
	if err != nil {
		return nil, err
	}
	a.warnOfPlainToken(u, token)
	caFile := a.caFile
	if caFile == "" {
		caFile = a.env.caFile
	}
	tlsConfig, err := protocol.ClientTLS(caFile, a.env.certificate, a.env.key)
	if err != nil {
		return nil, usagef("%v", err)
	}
	transport := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		TLSClientConfig:     tlsConfig,
		DisableKeepAlives:   true, // a run is over after a call or two
	}
	return &protocol.Client{
		Base: u.String(), Token: token,
		HTTP: &http.Client{
			Transport: transport,
			// A token goes where the admin said, and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// get asks a route and gives its answer as it came.
func (a *app) get(ctx context.Context, path string, query url.Values) (json.RawMessage, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	var answer json.RawMessage
	return answer, c.Get(ctx, path, query, &answer)
}

// post sends a form to a route that answers with JSON.
func (a *app) post(ctx context.Context, path string, form url.Values) (json.RawMessage, error) {
	c, err := a.client()
	if err != nil {
		return nil, err
	}
	var answer json.RawMessage
	return answer, c.Post(ctx, path, form, &answer)
}

// order sends a form to a route that answers with a line of text, and shows it.
func (a *app) order(ctx context.Context, path string, form url.Values) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	var text string
	if err := c.Post(ctx, path, form, &text); err != nil {
		return err
	}
	text = strings.TrimSpace(html.UnescapeString(text))
	if fact, failed := strings.CutPrefix(text, "ERROR: "); failed {
		return &core.Error{Kind: core.KindInvalid, Fact: fact, Hint: "nothing was changed; mend it and read the configuration again"}
	}
	return a.show(object(map[string]string{"message": text}), func(json.RawMessage) (string, error) {
		return plain(text) + "\n", nil
	})
}

// decode reads an answer. One that does not fit is not a controller's.
func decode[T any](raw json.RawMessage) (T, error) {
	var value T
	if err := json.Unmarshal(raw, &value); err != nil {
		return value, &core.Error{
			Kind: core.KindUnavailable, Err: err, Fact: "the answer is not that of a controller which lorryctl knows",
			Hint: "check LORRY_ADDR, and the versions of both programs",
		}
	}
	return value, nil
}

// object makes the JSON of a value that can always be encoded.
func object(value any) json.RawMessage {
	raw, err := json.Marshal(value)
	if err != nil {
		return json.RawMessage("null")
	}
	return raw
}
