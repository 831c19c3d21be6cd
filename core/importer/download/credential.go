package download

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// authorize gives a request the credential, as basic authentication or in its
// query.
func (c *Client) authorize(req *http.Request) {
	switch secret := c.access.Secret.Reveal(); {
	case secret == "":
	case c.access.SecretIn == "":
		req.SetBasicAuth(c.access.Username, secret)
	default:
		if req.URL.RawQuery != "" {
			req.URL.RawQuery += "&"
		}
		req.URL.RawQuery += url.QueryEscape(c.access.SecretIn) + "=" + url.QueryEscape(secret)
	}
}

// next is the address of a redirect, without the credential that a server may
// have taken over into it; "" when that leads elsewhere and holds it in another
// form, as the pages do where people log in.
func (c *Client) next(first, to *url.URL) string {
	to.User = nil
	if c.access.Secret.Empty() || c.access.SecretIn == "" {
		return to.String()
	}
	secret := c.access.Secret.Reveal()
	parts := strings.Split(to.RawQuery, "&")
	to.RawQuery = strings.Join(slices.DeleteFunc(parts, func(part string) bool {
		name, value, _ := strings.Cut(part, "=")
		return decoded(name) == c.access.SecretIn && decoded(value) == secret
	}), "&")
	address := to.String()
	if to.Host == first.Host && to.Scheme == first.Scheme {
		return address
	}
	// A URL within a URL is encoded once more.
	for text, plain := "", address; text != plain; {
		if strings.Contains(plain, secret) {
			return ""
		}
		text, plain = plain, decoded(plain)
	}
	return address
}

// decoded is a part of a query as it is meant.
func decoded(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	return s
}
