package gitlabfake

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitserver"
)

// behind makes the git repository of a new project. It panics when git can't: a
// test can't go on then.
func (s *Server) behind(p *Project) {
	if s.opts.Git == nil {
		return
	}
	p.Branches, p.DefaultBranch = nil, ""
	must(s.opts.Git.Create(p.ID, "main"))
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}

// follow tells git what GitLab has decided.
func (s *Server) follow(p *Project) {
	if s.opts.Git == nil || p.DefaultBranch == "" {
		return
	}
	must(s.opts.Git.SetHead(p.ID, p.DefaultBranch))
	rules := []gitserver.Rule{{Branch: p.DefaultBranch, Words: "GitLab: The default branch of a project cannot be deleted."}}
	for _, name := range p.Protected {
		// from: gitlab-org/gitlab-ce#25601, gitlab-org/gitlab#374003
		rules = append(rules,
			gitserver.Rule{Branch: name, Words: "GitLab: You can only delete protected branches using the web interface."},
			gitserver.Rule{Force: true, Branch: name, Words: "GitLab: You are not allowed to force push code to a protected branch on this project."})
	}
	must(s.opts.Git.SetRules(p.ID, rules))
}

// serveGit answers git over HTTP. Missing and not allowed look the same.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request, req gitserver.Request) {
	s.mu.Lock()
	project := s.byPath[strings.ToLower(req.Path)]
	moved := s.byID[s.moved[strings.ToLower(req.Path)]]
	var found Project
	to := ""
	if project != nil {
		found = *project
	} else if moved != nil {
		to = moved.Path
	}
	s.mu.Unlock()
	_, password, basic := r.BasicAuth()
	known := s.opts.Token == "" || basic && password == s.opts.Token
	switch {
	case !known && (project == nil || found.Visibility != "public" || req.Push || basic):
		w.Header().Set("WWW-Authenticate", `Basic realm="GitLab"`)
		http.Error(w, "HTTP Basic: Access denied.", http.StatusUnauthorized)
	case to != "":
		// from: gitlabhq app/controllers/repositories/application_controller.rb: projects that moved
		http.Redirect(w, r, "/"+to+".git"+strings.TrimPrefix(r.URL.RequestURI(), "/"+req.Path+".git"), http.StatusMovedPermanently)
	case project == nil || found.Hidden || found.RepositoryDisabled:
		http.Error(w, "The project you were looking for could not be found or you don't have permission to view it.", http.StatusNotFound)
	case req.Push && (found.Archived || found.DeletionOn != ""):
		http.Error(w, "You can't push code to an archived project.", http.StatusForbidden)
	default:
		s.opts.Git.Serve(w, r, found.ID, req)
		if req.Done {
			s.pushed(project)
		}
	}
}

// Dir is the directory of a project, for who pushes there by ssh, or "" when
// there is none. Arrived then takes in what has been pushed.
func (s *Server) Dir(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.byPath[strings.ToLower(path)]; p != nil {
		return s.opts.Git.Dir(p.ID)
	}
	return ""
}

// Arrived looks what was pushed to a project by ssh.
func (s *Server) Arrived(path string) {
	s.mu.Lock()
	p := s.byPath[strings.ToLower(path)]
	s.mu.Unlock()
	if p != nil {
		s.pushed(p)
	}
}

// Plant gives a new project branches and tags whose objects are in another
// repository, which must stay, as if they had been pushed.
func (s *Server) Plant(path, objects string, refs map[string]string) error {
	s.mu.Lock()
	p := s.byPath[strings.ToLower(path)]
	s.mu.Unlock()
	if err := s.opts.Git.Plant(p.ID, objects, refs); err != nil {
		return err
	}
	s.pushed(p)
	return nil
}

// pushed takes in what git has.
func (s *Server) pushed(p *Project) {
	branches, err := s.opts.Git.Branches(p.ID)
	must(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	// The first branch becomes the default one, main or master before others.
	slices.SortStableFunc(branches, func(a, b string) int { return mainFirst(a) - mainFirst(b) })
	must(p.receive(Push{Branches: branches}, !s.opts.NoProtection))
	p.Branches = branches
	p.Activity = time.Now().UTC().Truncate(time.Hour).Format(time.RFC3339) // once an hour: gitlab-org/gitlab issue 295486
	s.follow(p)
}

func mainFirst(branch string) int {
	if branch == "main" || branch == "master" {
		return 0
	}
	return 1
}
