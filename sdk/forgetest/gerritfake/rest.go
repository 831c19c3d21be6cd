package gerritfake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

func escape(name string) string { return url.QueryEscape(name) }

// ServeHTTP implements http.Handler: the part of the REST API that is about
// projects.
func (g *Gerrit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if g.Take(w, r) {
		return
	}
	path := r.URL.EscapedPath()
	anonymous := true
	if rest, ok := strings.CutPrefix(path, "/a/"); ok {
		path, anonymous = "/"+rest, false
		if user, password, _ := r.BasicAuth(); user != g.User || password != g.Password {
			w.Header().Set("WWW-Authenticate", `Basic realm="Gerrit Code Review"`)
			text(w, http.StatusUnauthorized, "Unauthorized")
			return
		}
	}
	switch {
	case path == "/config/server/version":
		answer(w, http.StatusOK, "3.9.1")
	case path == "/projects/":
		g.serveList(w, r, anonymous)
	case strings.HasPrefix(path, "/projects/"):
		g.serveProject(w, r, strings.TrimPrefix(path, "/projects/"), anonymous)
	default:
		text(w, http.StatusNotFound, "Not Found")
	}
}

func text(w http.ResponseWriter, status int, words string) {
	w.Header().Set("Content-Type", "text/plain;charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, words)
}

// answer writes JSON after the line that keeps browsers from running it.
func answer(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprint(w, ")]}'\n")
	_ = json.NewEncoder(w).Encode(value)
}

func refuse(w http.ResponseWriter, err error) {
	var r *refusal
	if errors.As(err, &r) {
		text(w, r.status, r.words)
		return
	}
	text(w, http.StatusInternalServerError, "Internal server error")
}

// inOrder writes entries as one JSON object.
func inOrder(list []entry) []byte {
	var b bytes.Buffer
	b.WriteByte('{')
	for i, e := range list {
		if i > 0 {
			b.WriteByte(',')
		}
		name, _ := json.Marshal(e.name)
		value, _ := json.Marshal(e.info)
		b.Write(name)
		b.WriteByte(':')
		b.Write(value)
	}
	b.WriteString("}\n")
	return b.Bytes()
}

func (g *Gerrit) serveList(w http.ResponseWriter, r *http.Request, anonymous bool) {
	v := r.URL.Query()
	q := query{
		all: v.Has("all"), description: v.Has("d"), kind: strings.ToLower(v.Get("type")), state: v.Get("state"),
		prefix: v.Get("p"), branches: v["b"], anonymous: anonymous,
	}
	for name, target := range map[string]*int{"S": &q.start, "n": &q.limit} {
		n, err := strconv.Atoi(v.Get(name))
		if v.Has(name) && err != nil {
			text(w, http.StatusBadRequest, "invalid number")
			return
		}
		*target = n
	}
	answer(w, http.StatusOK, json.RawMessage(inOrder(g.list(q))))
}

func (g *Gerrit) serveProject(w http.ResponseWriter, r *http.Request, path string, anonymous bool) {
	escaped, view, _ := strings.Cut(path, "/")
	name, err := url.PathUnescape(escaped)
	if err != nil {
		text(w, http.StatusBadRequest, "bad name")
		return
	}
	p, ok := g.Get(name)
	ok = ok && (!anonymous || !p.Private)
	switch {
	case r.Method == http.MethodPut && view == "":
		g.serveCreate(w, r, name)
	case !ok:
		text(w, http.StatusNotFound, "Not found: "+name)
	case r.Method == http.MethodGet && view == "":
		answer(w, http.StatusOK, info{ID: escape(name), Name: name, Parent: p.Parent, Description: p.Description, State: p.state()})
	case r.Method == http.MethodGet && view == "HEAD":
		answer(w, http.StatusOK, p.head())
	case r.Method == http.MethodPut && view == "HEAD":
		g.serveChange(w, r, "ref", func(value string) error { return g.setHead(name, value) })
	case r.Method == http.MethodPut && view == "config":
		var input struct{ State, Description string }
		if err := json.NewDecoder(r.Body).Decode(&input); err != nil {
			text(w, http.StatusBadRequest, "Invalid JSON")
			return
		}
		// What is not there is removed, but for the state.
		// from: Gerrit 3.9.1
		if err := g.setConfig(name, input.State, &input.Description); err != nil {
			refuse(w, err)
			return
		}
		answer(w, http.StatusOK, map[string]string{"state": input.State, "description": input.Description})
	case r.Method == http.MethodPut && view == "description":
		g.serveChange(w, r, "description", func(value string) error { return g.setDescription(name, value) })
	default:
		text(w, http.StatusNotFound, "Not found: "+view)
	}
}

func (g *Gerrit) serveCreate(w http.ResponseWriter, r *http.Request, name string) {
	var input struct {
		Parent            string   `json:"parent"`
		Description       string   `json:"description"`
		Branches          []string `json:"branches"`
		CreateEmptyCommit bool     `json:"create_empty_commit"`
		PermissionsOnly   bool     `json:"permissions_only"`
	}
	if err := json.NewDecoder(r.Body).Decode(&input); err != nil {
		text(w, http.StatusBadRequest, "Invalid JSON")
		return
	}
	p := Project{Description: input.Description, Parent: input.Parent, PermissionsOnly: input.PermissionsOnly}
	if len(input.Branches) > 0 {
		p.Head = input.Branches[0]
	}
	if input.CreateEmptyCommit {
		p.Branches = map[string]string{p.head(): strings.Repeat("e", 40)}
	}
	if r.Header.Get("If-None-Match") == "*" {
		if _, there := g.Get(name); there {
			text(w, http.StatusPreconditionFailed, "Resource already exists")
			return
		}
	}
	made, err := g.create(name, p)
	if err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusCreated, info{ID: escape(made), Name: made, Parent: p.Parent, Description: p.Description, State: p.state()})
}

func (g *Gerrit) serveChange(w http.ResponseWriter, r *http.Request, key string, set func(string) error) {
	var input map[string]string
	if err := json.NewDecoder(r.Body).Decode(&input); err != nil {
		text(w, http.StatusBadRequest, "Invalid JSON")
		return
	}
	if err := set(input[key]); err != nil {
		refuse(w, err)
		return
	}
	answer(w, http.StatusOK, input[key])
}
