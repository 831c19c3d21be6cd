package giteafake

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitserver"
)

// behind makes the git repository of a new one. It panics when git can't: a
// test can't go on then.
func (s *Server) behind(r *Repo) {
	if s.opts.Git == nil {
		return
	}
	r.Branches = nil
	if r.DefaultBranch == "" {
		r.DefaultBranch = "main"
	}
	r.Head = r.DefaultBranch
	must(s.opts.Git.Create(r.ID, r.Head))
	s.follow(r)
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// follow tells git what the forge has decided: HEAD, and that it stays.
// from: go-gitea/gitea issue 36736; Gitea 1.26.0
func (s *Server) follow(r *Repo) {
	if s.opts.Git == nil {
		return
	}
	must(s.opts.Git.SetHead(r.ID, r.Head))
	must(s.opts.Git.SetRules(r.ID, []gitserver.Rule{
		{Branch: r.Head, Words: "Gitea: branch " + r.Head + " is the default branch and cannot be deleted"},
	}))
}

// serveGit answers git over HTTP.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request, req gitserver.Request) {
	s.mu.Lock()
	repo := s.byPath[strings.ToLower(req.Path)]
	to := s.moved[strings.ToLower(req.Path)]
	var found Repo
	if repo != nil {
		found = *repo
	}
	s.mu.Unlock()
	user, password, basic := r.BasicAuth()
	known := s.opts.Token == "" || basic && (password == s.opts.Token || user == s.opts.Token)
	switch {
	case repo == nil && to != "":
		// from: Gitea 1.26.0; the place of the old name
		http.Redirect(w, r, "/"+to+".git"+strings.TrimPrefix(r.URL.RequestURI(), "/"+req.Path+".git"), http.StatusTemporaryRedirect)
	case !known && (repo == nil || found.Private || req.Push || basic):
		w.Header().Set("WWW-Authenticate", `Basic realm="Gitea"`)
		http.Error(w, "Unauthorized", http.StatusUnauthorized)
	case repo == nil || found.Hidden:
		http.Error(w, "Not found.", http.StatusNotFound)
	case req.Push && found.Archived:
		// from: Gitea 1.26.0, routers/web/repo/githttp.go
		http.Error(w, "This repo is archived. You can view files and clone it, but cannot push or open issues/pull-requests.", http.StatusForbidden)
	case req.Push && found.Mirror:
		http.Error(w, "mirror repository is read-only", http.StatusForbidden)
	default:
		s.opts.Git.Serve(w, r, found.ID, req)
		if req.Done {
			s.pushed(repo)
		}
	}
}

// Dir is the directory of a repository, for who pushes there by ssh, or "" when
// there is none. Arrived then takes in what has been pushed.
func (s *Server) Dir(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r := s.byPath[strings.ToLower(path)]; r != nil {
		return s.opts.Git.Dir(r.ID)
	}
	return ""
}

// Arrived looks what was pushed to a repository by ssh.
func (s *Server) Arrived(path string) {
	s.mu.Lock()
	r := s.byPath[strings.ToLower(path)]
	s.mu.Unlock()
	if r != nil {
		s.pushed(r)
	}
}

// Plant gives a new repository branches and tags whose objects are in another
// repository, which must stay, as if they had been pushed.
func (s *Server) Plant(path, objects string, refs map[string]string) error {
	s.mu.Lock()
	r := s.byPath[strings.ToLower(path)]
	s.mu.Unlock()
	if err := s.opts.Git.Plant(r.ID, objects, refs); err != nil {
		return err
	}
	s.pushed(r)
	return nil
}

// pushed takes in what git has.
func (s *Server) pushed(r *Repo) {
	branches, err := s.opts.Git.Branches(r.ID)
	must(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.receive(r, branches)
	r.Branches = slices.DeleteFunc(r.Branches, func(name string) bool { return !slices.Contains(branches, name) })
	r.Updated = time.Now().UTC().Format(time.RFC3339)
	s.follow(r)
}
