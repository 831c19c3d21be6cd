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
		return decoded(name, url.QueryUnescape) == c.access.SecretIn && decoded(value, url.QueryUnescape) == secret
	}), "&")
	address := to.String()
	if to.Host == first.Host && to.Scheme == first.Scheme {
		return address
	}
	// What is shorter may well be there by chance.
	const shortest = 8
	if len(secret) >= shortest && (holds(address, secret, url.PathUnescape) || holds(address, secret, url.QueryUnescape)) {
		return ""
	}
	return address
}

// holds reports whether a text is in a URL, or in one within it, which is encoded
// once more.
func holds(address, text string, decode func(string) (string, error)) bool {
	for was := ""; was != address; was, address = address, decoded(address, decode) {
		if strings.Contains(address, text) {
			return true
		}
	}
	return false
}

// decoded is a part of a URL as it is meant.
func decoded(s string, decode func(string) (string, error)) string {
	if plain, err := decode(s); err == nil {
		return plain
	}
	return s
}
