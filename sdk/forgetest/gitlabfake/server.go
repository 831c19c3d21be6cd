package gitlabfake

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

// Options choose what kind of GitLab it is.
type Options struct {
	// Token is the only one that is taken. "" makes a GitLab that takes
	// everybody for an administrator.
	Token string
	// Scopes and Expires (a day, as 2026-01-31) are told of the token.
	Scopes  []string
	Expires string
	// Revoked tells of the token that it is not active any more.
	Revoked bool
	// SelfStatus, when set, is the status with which the token's own facts are
	// refused: 404 before 15.5, 403 for a scope that is too small, 401 for what
	// is no access token.
	SelfStatus int
	// Version is told by /version; "18.5.0" when empty.
	Version string
	// ExternalURL is what the server takes for its own address in links and
	// clone URLs; "" is the address that it is asked at.
	ExternalURL string
	// MaxOffset is the offset above which lists are refused; 50000 when 0.
	MaxOffset int
	// NoKeyset refuses keyset paging, as versions before 12.7 do.
	NoKeyset bool
	// NoTopGroups refuses top-level groups, as GitLab.com does.
	NoTopGroups bool
	// Git serves the projects to git. Branches are then what was pushed.
	Git *gitserver.Store
	// NoProtection leaves the default branch unprotected.
	NoProtection bool
}

// Project is a project with what is behind it.
type Project struct {
	ID                 int64
	Path               string // full path
	Description        string
	DefaultBranch      string
	Visibility         string // private, internal or public
	Archived           bool
	Fork               bool
	Mirror             bool
	LFS                bool
	Wiki               bool
	RepositoryDisabled bool
	DeletionOn         string // day, or ""
	// Hidden projects have their name taken but are not found.
	Hidden   bool
	Topics   []string
	Activity string // last_activity_at
	Branches []string
	// Protected are the names of protected branches.
	Protected []string
	// SharedWith are full paths of groups.
	SharedWith []string
}

type group struct {
	ID         int64
	Path       string
	Visibility string
	Hidden     bool
}

// Server is the fake. Its methods may be called from several goroutines.
type Server struct {
	recorder.Recorder
	opts Options

	mu       sync.Mutex
	lastID   int64
	groups   map[string]*group // by full path in lower case
	users    map[string]int64  // namespace of a user's own
	projects []*Project        // in the order of their ids
	byPath   map[string]*Project
	byID     map[int64]*Project
	moved    map[string]int64 // old path to project
}

// New makes a GitLab without anything in it.
func New(opts Options) *Server {
	if opts.MaxOffset == 0 {
		opts.MaxOffset = 50_000
	}
	if opts.Version == "" {
		opts.Version = "18.5.0"
	}
	return &Server{
		opts: opts, groups: map[string]*group{}, users: map[string]int64{}, byPath: map[string]*Project{},
		byID: map[int64]*Project{}, moved: map[string]int64{},
	}
}

// AddGroup makes a group, with those above it. Its parents get the same
// visibility when they are new.
func (s *Server) AddGroup(path, visibility string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addGroup(path, visibility)
}

// HideGroup makes a group that has its name taken but is not found.
func (s *Server) HideGroup(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.addGroup(path, "private").Hidden = true
}

func (s *Server) addGroup(path, visibility string) *group {
	if g := s.groups[strings.ToLower(path)]; g != nil {
		return g
	}
	if parent := dir(path); parent != "" {
		s.addGroup(parent, visibility)
	}
	s.lastID++
	g := &group{ID: s.lastID, Path: path, Visibility: visibility}
	s.groups[strings.ToLower(path)] = g
	return g
}

// AddUser makes a user, who has a namespace of the same name.
func (s *Server) AddUser(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lastID++
	s.users[strings.ToLower(name)] = s.lastID
}

// AddProject makes a project, with its groups, and gives its id. Without
// Branches, it has "main" and is not empty; an empty list makes it empty.
func (s *Server) AddProject(p Project) int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if p.Visibility == "" {
		p.Visibility = "public"
	}
	if p.Branches == nil {
		p.Branches = []string{"main"}
	}
	if p.DefaultBranch == "" && len(p.Branches) > 0 {
		p.DefaultBranch = p.Branches[0]
	}
	if parent := dir(p.Path); s.users[strings.ToLower(parent)] == 0 {
		s.addGroup(parent, p.Visibility)
	}
	return s.add(&p)
}

func (s *Server) add(p *Project) int64 {
	s.lastID++
	p.ID = s.lastID
	s.behind(p)
	s.projects = append(s.projects, p)
	s.byPath[strings.ToLower(p.Path)] = p
	s.byID[p.ID] = p
	return p.ID
}

// Project gives a copy of a project.
func (s *Server) Project(path string) (Project, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byPath[strings.ToLower(path)]
	if p == nil {
		return Project{}, false
	}
	found := *p
	found.Branches, found.Protected = slices.Clone(p.Branches), slices.Clone(p.Protected)
	return found, true
}

// Change changes a project behind everybody's back; it must be there.
func (s *Server) Change(path string, change func(*Project)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s.byPath[strings.ToLower(path)])
}

// Rename gives a project a new path. The old one leads to it.
func (s *Server) Rename(from, to string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rename(from, to)
}

func (s *Server) rename(from, to string) {
	p := s.byPath[strings.ToLower(from)]
	delete(s.byPath, strings.ToLower(from))
	s.moved[strings.ToLower(from)] = p.ID
	p.Path = to
	s.byPath[strings.ToLower(to)] = p
}

// Remove takes a project away.
func (s *Server) Remove(path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.byPath[strings.ToLower(path)]
	delete(s.byPath, strings.ToLower(path))
	delete(s.byID, p.ID)
	s.projects = slices.DeleteFunc(s.projects, func(o *Project) bool { return o == p })
}

// GroupVisibility gives the visibility of a group, or "" when there is none.
func (s *Server) GroupVisibility(path string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if g := s.groups[strings.ToLower(path)]; g != nil {
		return g.Visibility
	}
	return ""
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
	parts, found, err := recorder.Parts(r, "/api/v4/")
	switch {
	case !found:
		// from: any GitLab; a page that is no API sends people to sign in.
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><body>You are being <a href=\"/users/sign_in\">redirected</a>.</body></html>"))
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, "400 Bad request")
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

// authenticate takes a token from a header alone.
func (c *call) authenticate() bool {
	for _, name := range []string{"private_token", "access_token", "token"} {
		if c.query.Has(name) {
			// A real GitLab takes it; whoever is tested here must not send it.
			refuse(c.w, http.StatusBadRequest, "a token must not stand in a URL")
			return false
		}
	}
	if c.opts.Token == "" {
		return true
	}
	given := c.r.Header.Get("PRIVATE-TOKEN")
	if bearer, ok := strings.CutPrefix(c.r.Header.Get("Authorization"), "Bearer "); ok {
		given = bearer
	}
	switch given {
	case c.opts.Token:
		return true
	case "":
		c.anonymous = true
		if c.r.Method == http.MethodGet && c.parts[0] != "user" && c.parts[0] != "version" {
			return true
		}
	}
	refuse(c.w, http.StatusUnauthorized, "401 Unauthorized")
	return false
}

// route finds the handler of a call.
func (c *call) route() {
	if c.r.Method == http.MethodPost || c.r.Method == http.MethodPut {
		if err := json.NewDecoder(c.r.Body).Decode(&c.body); err != nil && c.r.ContentLength > 0 {
			refuse(c.w, http.StatusBadRequest, "400 Bad request")
			return
		}
	}
	p := c.parts
	switch what := c.r.Method + " " + p[0]; {
	case what == "GET version" && len(p) == 1:
		answer(c.w, http.StatusOK, map[string]any{"version": c.opts.Version, "revision": "abc"})
	case what == "GET user" && len(p) == 1:
		answer(c.w, http.StatusOK, map[string]any{"id": 1, "username": "lorry", "state": "active", "can_create_group": !c.opts.NoTopGroups})
	case what == "GET personal_access_tokens" && len(p) == 2 && p[1] == "self":
		c.token()
	case what == "GET projects" && len(p) == 1:
		c.listAll()
	case what == "POST projects" && len(p) == 1:
		c.createProject()
	case p[0] == "projects" && len(p) > 1:
		c.project()
	case what == "POST groups" && len(p) == 1:
		c.createGroup()
	case what == "GET groups" && len(p) > 1:
		c.group()
	case what == "GET namespaces" && len(p) == 2:
		c.namespace()
	case what == "GET users" && len(p) == 3 && p[2] == "projects":
		c.listUser()
	default:
		refuse(c.w, http.StatusNotFound, "404 Not Found")
	}
}

func (c *call) token() {
	if c.opts.SelfStatus != 0 {
		// from: docs.gitlab.com/api/personal_access_tokens, "Get details on a personal access token"
		refuse(c.w, c.opts.SelfStatus, http.StatusText(c.opts.SelfStatus))
		return
	}
	scopes := c.opts.Scopes
	if scopes == nil {
		scopes = []string{"api", "write_repository"}
	}
	body := map[string]any{"id": 1, "name": "mirror", "active": !c.opts.Revoked, "scopes": scopes, "expires_at": nil}
	if c.opts.Expires != "" {
		body["expires_at"] = c.opts.Expires
	}
	answer(c.w, http.StatusOK, body)
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// refuse answers as GitLab does: {"message": …} with a text or an object.
// from: docs.gitlab.com/api/rest/troubleshooting
func refuse(w http.ResponseWriter, status int, message any) {
	answer(w, status, map[string]any{"message": message})
}

// dir gives the path above, or "".
func dir(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i < 0 {
		return ""
	}
	return path[:i]
}

func rank(visibility string) int {
	return slices.Index([]string{"private", "internal", "public"}, visibility)
}
