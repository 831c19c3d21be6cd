package sshfake

import (
	"fmt"
	"net/http"
)

// ServeHTTP is gitano-command.cgi: it runs the command of the parameter "cmd"
// and gives what that printed. On a Trove everything behind TLS asks for a
// password (trove-setup, git-httpd.conf). What the CGI does with a command
// that fails is not seen in a source: here it answers 500 with its words.
func (g *Gitano) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/gitano-command.cgi" {
		http.NotFound(w, r)
		return
	}
	if user, password, _ := r.BasicAuth(); g.CommandUser != "" && (user != g.CommandUser || password != g.CommandPassword) {
		w.Header().Set("WWW-Authenticate", `Basic realm="Trove"`)
		http.Error(w, "401 - Unauthorized", http.StatusUnauthorized)
		return
	}
	a := g.Handle(Request{User: g.CommandUser, Command: r.URL.Query().Get("cmd")})
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if a.Exit != 0 {
		w.WriteHeader(http.StatusInternalServerError)
	}
	_, _ = fmt.Fprint(w, a.Stdout, a.Stderr)
}
