package minions

import (
	"net"
	"net/http"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
)

// MayCarryCredentials decides whether an answer may hold credentials: to a
// minion that has proven to be one, if nobody on the way can read it; and to
// anybody over loopback who needs no token, but not under a name of the
// Internet: a web page whose name was made to point here would be asking.
func MayCarryCredentials(r *http.Request, caller auth.Caller) bool {
	switch {
	case caller.Inside:
		return true
	case caller.IsMinion():
		return auth.Encrypted(r)
	case !caller.Everything || r.Header.Get("Origin") != "" || !auth.FromLoopback(r):
		return false
	}
	server, _, err := net.SplitHostPort(r.Host)
	if err != nil {
		server = strings.Trim(r.Host, "[]")
	}
	return isLoopback(server) || !strings.ContainsAny(server, ".:")
}

// whyWithheld tells the minion, and so whoever reads the job's output, why it
// gets no credentials.
func whyWithheld(caller auth.Caller) string {
	if caller.IsMinion() {
		return "the controller sends no credentials over a connection that others can read: let the minion use https://"
	}
	return "the controller sends credentials to a minion with a token or a certificate alone, or on its own machine: make a token with the role minion"
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
