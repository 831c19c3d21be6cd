package httpforge

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Login is a user with a password, for hosts that take no token. Its zero value
// is nobody.
type Login struct {
	Username string
	Password sdk.Secret
	// Exposed says that anybody on the way could read the password, so that it
	// is not sent.
	Exposed bool
}

// NewLogin makes the login for a web server. allowed says that the password may
// be read by anybody on the way, if need be.
func NewLogin(server *url.URL, username string, password sdk.Secret, allowed bool) Login {
	return Login{Username: username, Password: password, Exposed: server.Scheme == "http" && !allowed && !Loopback(server)}
}

// Do sends a request with the login. Its error has no URL in it.
func (l Login) Do(ctx context.Context, client *http.Client, req *http.Request) (*http.Response, error) {
	if !l.Password.Empty() && l.Exposed {
		return nil, sdk.WithHint(sdk.Errorf(sdk.Denied, "no password is sent to %s over plain http", req.URL.Host),
			"use https, or set insecure-credentials for this host")
	}
	if l.Username != "" {
		req.SetBasicAuth(l.Username, l.Password.Reveal())
	}
	resp, err := client.Do(req)
	var known *sdk.Error
	var address *url.Error
	switch {
	case err == nil:
		return resp, nil
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.As(err, &known):
		return nil, known
	case errors.As(err, &address):
		return nil, sdk.Errorf(sdk.Unavailable, "%w", address.Err)
	}
	return nil, err
}

// Loopback reports whether a server is on this machine by its name.
func Loopback(server *url.URL) bool {
	ip := net.ParseIP(server.Hostname())
	return server.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
