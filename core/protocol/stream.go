package protocol

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
)

// Stream opens an answer that is read piece by piece, of the given content
// type. The caller closes it.
func (c *Client) Stream(ctx context.Context, path string, query url.Values, accept string) (io.ReadCloser, error) {
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(c.Base, "/")+path, http.NoBody)
	if err != nil {
		return nil, core.Errorf(core.KindInvalid, "controller's URL %q can't be used: %w", c.Base, err)
	}
	request.Header.Set("Accept", accept)
	if !c.Token.Empty() {
		request.Header.Set("Authorization", "Bearer "+c.Token.Reveal())
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		return nil, unreachable(ctx, c.Base, err)
	}
	if response.StatusCode >= 200 && response.StatusCode <= 299 {
		return response.Body, nil
	}
	defer response.Body.Close()
	text, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return nil, unreachable(ctx, c.Base, err)
	}
	return nil, answerError(response, bytes.TrimSpace(text))
}

// PostJSON sends a value as JSON to a route; out is as in Get, or nil.
func (c *Client) PostJSON(ctx context.Context, path string, body []byte, out any) error {
	return c.call(ctx, request{http.MethodPost, path, "application/json", body, maxAnswer}, out)
}
