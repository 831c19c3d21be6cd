package giteafake

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitserver"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/recorder"
)

// Options choose what kind of forge it is.
type Options struct {
	// Token is the only one that is taken. "" takes everybody for an admin.
	Token string
	// Login is the token's account; "lorry" when empty. It is an admin's unless
	// NotAdmin.
	Login    string
	NotAdmin bool
	// Password is that of the account, beside Token; "" is none.
	Password string
	// Version is told by /version; "1.26.0" when empty. A Forgejo says
	// "15.0.0+gitea-1.22.0".
	Version string
	// ExternalURL is what the server takes for its own address in links and
	// clone URLs; "" is the address that it is asked at.
	ExternalURL string
	// MaxItems is the largest page; 50 when 0.
	MaxItems int
	// NoPagingHeaders leaves Link and X-Total-Count out, as 1.11 does for most
	// lists.
	NoPagingHeaders bool
	// NoOrgs refuses new organisations.
	NoOrgs bool
	// PushLag is for how many answers a forge takes a repository for empty after
	// its first push.
	PushLag int
	// Git serves the repositories to git. Branches are then what was pushed.
	Git *gitserver.Store
	// Quota refuses new repositories once there are so many; 0 is no limit.
	Quota int
}

// Repo is a repository with what is behind it.
type Repo struct {
	ID            int64
	Path          string // OWNER/NAME
	Description   string
	DefaultBranch string
	Private       bool
	Archived      bool
	Fork          bool
	Mirror        bool
	Hidden        bool // its name is taken but it is not found
	Wiki          bool
	NoCode        bool
	NoPush        bool // the token's account may not push
	Topics        []string
	Updated       string
	Branches      []string // none: empty
	// Head is what HEAD of the git repository names: not always DefaultBranch.
	Head string

	lag int // answers until the first push is noticed
}

type owner struct {
	id         int64
	name       string
	org        bool
	hidden     bool
	visibility string // public, limited or private
}

// Server is the fake. Its methods may be called from several goroutines.
type Server struct {
	recorder.Recorder
	opts Options

	mu     sync.Mutex
	lastID int64
	owners map[string]*owner // by name in lower case
	repos  []*Repo           // in the order of their ids
	byPath map[string]*Repo
	moved  map[string]string // old path to new
}

// New makes a forge that has the token's account alone.
func New(opts Options) *Server {
	if opts.MaxItems == 0 {
		opts.MaxItems = 50
	}
	if opts.Version == "" {
		opts.Version = "1.26.0"
	}
	if opts.Login == "" {
		opts.Login = "lorry"
	}
	s := &Server{opts: opts, owners: map[string]*owner{}, byPath: map[string]*Repo{}, moved: map[string]string{}}
	s.addOwner(opts.Login, "public", false)
	return s
}

// AddOrg makes an organisation: public, limited or private.
func (s *Server) AddOrg(name, visibility string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addOwner(name, visibility, true)
}

// HideOrg makes an organisation that has its name taken but is not found.
func (s *Server) HideOrg(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addOwner(name, "private", true).hidden = true
}

// AddUser makes a user.
func (s *Server) AddUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addOwner(name, "public", false)
}

func (s *Server) addOwner(name, visibility string, org bool) *owner {
	if o := s.owners[strings.ToLower(name)]; o != nil {
		return o
	}
	s.lastID++
	o := &owner{id: s.lastID, name: name, org: org, visibility: visibility}
	s.owners[strings.ToLower(name)] = o
	return o
}

// OrgVisibility gives the visibility of an organisation, or "".
func (s *Server) OrgVisibility(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.owners[strings.ToLower(name)]; o != nil && o.org {
		return o.visibility
	}
	return ""
}

// AddRepo makes a repository, and its organisation when there is no such
// owner, and gives its id. Without Branches it has "main"; an empty list makes
// it empty.
func (s *Server) AddRepo(r Repo) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Branches == nil {
		r.Branches = []string{"main"}
	}
	if r.DefaultBranch == "" && len(r.Branches) > 0 {
		r.DefaultBranch = r.Branches[0]
	}
	r.Head = r.DefaultBranch
	name, _, _ := strings.Cut(r.Path, "/")
	s.addOwner(name, "public", true)
	return s.add(&r)
}

func (s *Server) add(r *Repo) int64 {
	s.lastID++
	r.ID = s.lastID
	s.behind(r)
	s.repos = append(s.repos, r)
	s.byPath[strings.ToLower(r.Path)] = r
	return r.ID
}

// Insert makes a repository that stands first in every list, so that all others
// move on by one.
func (s *Server) Insert(r Repo) {
	s.AddRepo(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.repos) - 1
	s.repos = slices.Insert(s.repos[:last:last], 0, s.repos[last])
}

// Repo gives a copy of a repository.
func (s *Server) Repo(path string) (Repo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.byPath[strings.ToLower(path)]
	if r == nil {
		return Repo{}, false
	}
	found := *r
	found.Branches = slices.Clone(r.Branches)
	return found, true
}

// Change changes a repository behind everybody's back; it must be there.
func (s *Server) Change(path string, change func(*Repo)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.byPath[strings.ToLower(path)])
}

// Rename gives a repository a new path. The old one leads to it.
func (s *Server) Rename(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rename(from, to)
}

func (s *Server) rename(from, to string) {
	r := s.byPath[strings.ToLower(from)]
	delete(s.byPath, strings.ToLower(from))
	s.moved[strings.ToLower(from)] = to
	r.Path = to
	s.byPath[strings.ToLower(to)] = r
}

// Remove takes a repository away.
func (s *Server) Remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(s.byPath[strings.ToLower(path)])
}

func (s *Server) remove(r *Repo) {
	delete(s.byPath, strings.ToLower(r.Path))
	s.repos = slices.DeleteFunc(s.repos, func(o *Repo) bool { return o == r })
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Take(w, r) {
		return
	}
	if req, ok := gitserver.Parse(r); ok && s.opts.Git != nil {
		s.serveGit(w, r, req)
		return
	}
	parts, found, err := recorder.Parts(r, "/api/v1/")
	switch {
	case !found:
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = w.Write([]byte("<!DOCTYPE html><html><body>Page Not Found</body></html>"))
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, "bad request")
		return
	}
	c := &call{Server: s, w: w, r: r, parts: parts, query: r.URL.Query()}
	if !c.authenticate() {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.route()
}

// call is one request.
type call struct {
	*Server
	w         http.ResponseWriter
	r         *http.Request
	parts     []string
	query     url.Values
	anonymous bool
	body      map[string]any
}

// authenticate takes a token from the header alone.
func (c *call) authenticate() bool {
	if c.query.Has("token") || c.query.Has("access_token") {
		// Old versions take it; whoever is tested here must not send it.
		refuse(c.w, http.StatusBadRequest, "a token must not stand in a URL")
		return false
	}
	given, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "token ")
	if _, password, basic := c.r.BasicAuth(); basic {
		given, ok = password, true
		if c.opts.Password != "" && password == c.opts.Password {
			return true
		}
	}
	switch {
	case c.opts.Token == "" || given == c.opts.Token:
		return true
	case !ok && c.r.Method == http.MethodGet && c.parts[0] != "user":
		c.anonymous = true
		return true
	case !ok:
		refuse(c.w, http.StatusUnauthorized, "token is required")
	default:
		refuse(c.w, http.StatusUnauthorized, "invalid username, password or token")
	}
	return false
}

// route finds the handler of a call.
func (c *call) route() {
	if c.r.Method == http.MethodPost || c.r.Method == http.MethodPatch {
		if err := json.NewDecoder(c.r.Body).Decode(&c.body); err != nil && c.r.ContentLength > 0 {
			refuse(c.w, http.StatusBadRequest, "bad request")
			return
		}
	}
	p := c.parts
	switch what := c.r.Method + " " + p[0]; {
	case what == "GET version":
		answer(c.w, http.StatusOK, map[string]any{"version": c.opts.Version})
	case what == "GET user" && len(p) == 1:
		c.showOwner(c.owners[strings.ToLower(c.opts.Login)])
	case what == "GET repos" && len(p) == 2 && p[1] == "search":
		c.search()
	case p[0] == "repos" && len(p) >= 3:
		c.repo()
	case what == "GET orgs" && len(p) == 2, what == "GET users" && len(p) == 2:
		c.findOwner()
	case (what == "GET orgs" || what == "GET users") && len(p) == 3 && p[2] == "repos":
		c.listOwner()
	case what == "POST orgs" && len(p) == 1:
		c.createOrg()
	case what == "POST orgs" && len(p) == 3 && p[2] == "repos":
		c.createRepo(p[1], true)
	case what == "POST users" && len(p) == 3 && p[2] == "tokens":
		answer(c.w, http.StatusCreated, map[string]any{"name": c.text("name"), "sha1": c.opts.Token})
	case what == "POST user" && len(p) == 2 && p[1] == "repos":
		c.createRepo(c.opts.Login, false)
	case what == "POST admin" && len(p) == 4 && p[1] == "users" && p[3] == "repos":
		c.createForUser(p[2])
	default:
		refuse(c.w, http.StatusNotFound, "not found")
	}
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// refuse answers as Gitea does.
// from: Gitea 1.26.0
func refuse(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"message": message, "url": "https://wrong.invalid/api/swagger"})
}
