package gerritfake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/recorder"
)

// Project is a project of the fake.
type Project struct {
	Description string
	State       string // "" means ACTIVE
	Parent      string // "" means All-Projects
	Head        string // "" means refs/heads/master
	// Branches are the commits of branches by full ref.
	Branches map[string]string
	// PermissionsOnly makes it a project for access rights alone.
	PermissionsOnly bool
	// Private hides it from anonymous users.
	Private bool
}

// Gerrit is the fake. Its fields are set before it is used.
type Gerrit struct {
	// Recorder has "METHOD URI", or the command for what came by ssh.
	recorder.Recorder

	// User and Password are the one account.
	User, Password string
	// MayCreate and MayOwn are rights of the account, for all projects.
	MayCreate, MayOwn bool
	// MaxPage caps how many projects a query gives, as the capability
	// queryLimit does for some queries; 0 means no cap.
	MaxPage int

	mu       *sync.Mutex
	projects map[string]Project
}

// Share makes g another account's view of the server that other is.
func (g *Gerrit) Share(other *Gerrit) { g.mu, g.projects = other.mu, other.projects }

// New makes a Gerrit with its own two projects and an account that may do
// everything.
func New() *Gerrit {
	own := Project{PermissionsOnly: true, Head: "refs/meta/config", Branches: map[string]string{"refs/meta/config": strings.Repeat("c", 40)}}
	return &Gerrit{
		User: "lorry", Password: "http-password", MayCreate: true, MayOwn: true, mu: &sync.Mutex{},
		projects: map[string]Project{"All-Projects": own, "All-Users": own},
	}
}

// Put adds or replaces a project.
func (g *Gerrit) Put(name string, p Project) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.projects[name] = p
}

// Remove takes a project away.
func (g *Gerrit) Remove(name string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.projects, name)
}

// Get gives a project.
func (g *Gerrit) Get(name string) (Project, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.projects[name]
	return p, ok
}

// info is Gerrit's ProjectInfo.
type info struct {
	ID          string            `json:"id"`
	Name        string            `json:"name,omitempty"`
	Parent      string            `json:"parent,omitempty"`
	Description string            `json:"description,omitempty"`
	State       string            `json:"state"`
	Branches    map[string]string `json:"branches,omitempty"`
	More        bool              `json:"_more_projects,omitempty"`
}

func (p Project) state() string {
	if p.State == "" {
		return "ACTIVE"
	}
	return p.State
}

func (p Project) head() string {
	if p.Head == "" {
		return "refs/heads/master"
	}
	return p.Head
}

// query is what a list is asked for, by REST or ssh.
type query struct {
	all, description bool
	kind             string // all, code, permissions
	state, prefix    string
	branches         []string
	start, limit     int
	anonymous        bool
}

type entry struct {
	name string
	info info
}

// list gives projects by name. Like Gerrit, it counts before it looks at type
// and branches, so that a page may be short and lose its mark.
func (g *Gerrit) list(q query) []entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.MaxPage > 0 && (q.limit == 0 || q.limit > g.MaxPage) {
		q.limit = g.MaxPage
	}
	var list []entry
	index, found, lastGiven := 0, 0, false
	for _, name := range slices.Sorted(maps.Keys(g.projects)) {
		p := g.projects[name]
		switch {
		case q.anonymous && p.Private, !q.all && p.state() == "HIDDEN", q.state != "" && q.state != p.state(), !strings.HasPrefix(name, q.prefix):
			continue
		}
		if index++; index <= q.start {
			continue
		}
		if found++; q.limit > 0 && found > q.limit {
			if lastGiven {
				list[len(list)-1].info.More = true
			}
			break
		}
		i := info{ID: escape(name), State: p.state()}
		if q.description {
			i.Description = p.Description
		}
		if lastGiven = p.matches(q, &i); lastGiven {
			list = append(list, entry{name, i})
		}
	}
	return list
}

// matches looks at type and branches.
func (p Project) matches(q query, i *info) bool {
	if q.kind == "code" && p.PermissionsOnly || q.kind == "permissions" && !p.PermissionsOnly {
		return false
	}
	if len(q.branches) == 0 {
		return true
	}
	i.Branches = map[string]string{}
	for _, b := range q.branches {
		ref := b
		switch {
		case b == "HEAD":
			ref = p.head()
		case !strings.HasPrefix(b, "refs/"):
			ref = "refs/heads/" + b
		}
		if commit := p.Branches[ref]; commit != "" {
			i.Branches[b] = commit
		}
	}
	return len(i.Branches) > 0
}

// refusal is what Gerrit says when it does not do something.
type refusal struct {
	status int // of REST
	exit   int // of ssh
	words  string
}

// Error implements error.
func (r *refusal) Error() string { return r.words }

// create makes a project. ssh words an unknown parent differently.
func (g *Gerrit) create(name string, p Project) (string, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	name = strings.TrimSuffix(strings.TrimRight(name, "/"), ".git")
	switch _, there := g.projects[name]; {
	case !g.MayCreate:
		return name, &refusal{403, 1, "create project not permitted"}
	case unreasonable(name):
		return name, &refusal{400, 1, "invalid project name: " + name}
	case there:
		return name, &refusal{409, 1, fmt.Sprintf("Project %q already exists", name)}
	}
	if _, ok := g.projects[p.Parent]; p.Parent != "" && !ok {
		return name, &refusal{422, 1, "Project Not Found: " + p.Parent}
	}
	g.projects[name] = p
	return name, nil
}

// unreasonable follows what Gerrit 3.9.1 answered for each of these names.
func unreasonable(name string) bool {
	return name == "" || name[0] == '/' || strings.ContainsAny(name, `\?%*:<>|$~`) || strings.Contains(name, "//") || strings.Contains(name, "/../") ||
		strings.HasPrefix(name, "../") || strings.Contains(name, "/./") || strings.Contains(name, ".git/") || strings.Contains(name, "/+")
}

// setHead chooses a default branch. A branch that is not there is refused.
func (g *Gerrit) setHead(name, ref string) error {
	return g.change(name, "not permitted: set HEAD on "+ref, func(p *Project) error {
		if !strings.HasPrefix(ref, "refs/") {
			ref = "refs/heads/" + ref
		}
		if p.Branches[ref] == "" {
			return &refusal{422, 1, "Ref Not Found: " + ref}
		}
		p.Head = ref
		return nil
	})
}

func (g *Gerrit) setDescription(name, description string) error {
	return g.change(name, "write refs/meta/config not permitted", func(p *Project) error {
		p.Description = description
		return nil
	})
}

// setConfig changes the state, and the description unless that is nil.
func (g *Gerrit) setConfig(name, state string, description *string) error {
	return g.change(name, "write refs/meta/config not permitted", func(p *Project) error {
		switch state {
		case "ACTIVE", "READ_ONLY", "HIDDEN":
			p.State = state
		case "":
		default:
			return &refusal{400, 1, "invalid state"}
		}
		if description != nil {
			p.Description = *description
		}
		return nil
	})
}

func (g *Gerrit) change(name, denied string, f func(*Project) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, ok := g.projects[name]
	switch {
	case !ok:
		return &refusal{404, 1, "Not found: " + name}
	case !g.MayOwn:
		return &refusal{403, 1, denied}
	}
	if err := f(&p); err != nil {
		return err
	}
	g.projects[name] = p
	return nil
}
