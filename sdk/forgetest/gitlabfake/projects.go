package gitlabfake

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// show gives a project as the API does. null stands for false and for nothing.
// from: gitlab.com/gitlab-org/api/client-go/v2@v2.64.0 projects.go
func (c *call) show(p *Project) map[string]any {
	access := func(on bool) string {
		if on {
			return "enabled"
		}
		return "disabled"
	}
	orNull := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	host := c.r.Host
	if u, err := url.Parse(c.address()); err == nil {
		host = u.Hostname()
	}
	kind := "group"
	if c.users[strings.ToLower(dir(p.Path))] != 0 {
		kind = "user"
	}
	var forked any
	if p.Fork {
		forked = map[string]any{"id": 1}
	}
	return map[string]any{
		"id": p.ID, "path": p.Path[len(dir(p.Path))+1:], "path_with_namespace": p.Path, "description": orNull(p.Description),
		"default_branch": orNull(p.DefaultBranch), "visibility": p.Visibility, "archived": p.Archived, "empty_repo": len(p.Branches) == 0,
		"http_url_to_repo": c.address() + "/" + p.Path + ".git", "ssh_url_to_repo": "git@" + host + ":" + p.Path + ".git",
		"forked_from_project": forked, "last_activity_at": orNull(p.Activity), "mirror": p.Mirror, "lfs_enabled": p.LFS,
		"marked_for_deletion_on": orNull(p.DeletionOn), "marked_for_deletion_at": orNull(p.DeletionOn),
		"wiki_access_level": access(p.Wiki), "repository_access_level": access(!p.RepositoryDisabled),
		"topics": append([]string{}, p.Topics...), "namespace": map[string]any{"id": c.space(dir(p.Path)), "kind": kind, "full_path": dir(p.Path)},
	}
}

func (c *call) space(path string) int64 {
	if g := c.groups[strings.ToLower(path)]; g != nil {
		return g.ID
	}
	return c.users[strings.ToLower(path)]
}

// find finds a project by number or by full path.
func (c *call) find(ref string) *Project {
	if id, err := strconv.ParseInt(ref, 10, 64); err == nil {
		return c.byID[id]
	}
	return c.byPath[strings.ToLower(ref)]
}

// project answers everything below /projects/:id.
func (c *call) project() {
	p := c.find(c.parts[1])
	if p == nil && c.moved[strings.ToLower(c.parts[1])] != 0 {
		c.movedProject(c.moved[strings.ToLower(c.parts[1])])
		return
	}
	if p == nil || p.Hidden || c.anonymous && p.Visibility != "public" {
		// Missing and not allowed look the same.
		refuse(c.w, http.StatusNotFound, "404 Project Not Found")
		return
	}
	switch what := c.r.Method + " " + strings.Join(c.parts[2:], "/"); {
	case what == "GET ":
		answer(c.w, http.StatusOK, c.show(p))
	case what == "PUT ":
		c.changeProject(p)
		c.follow(p)
	case what == "DELETE ":
		// Gone in some days; its path is free at once.
		// from: docs.gitlab.com/api/projects, "Delete a project"
		p.DeletionOn = time.Now().AddDate(0, 0, 7).Format(time.DateOnly)
		c.rename(p.Path, fmt.Sprintf("%s-deletion_scheduled-%d", p.Path, p.ID))
		answer(c.w, http.StatusAccepted, map[string]any{"message": "202 Accepted"})
	case what == "POST archive" || what == "POST unarchive":
		// from: gitlabhq doc/api/projects.md, "Archive a project", "Unarchive a project"
		p.Archived = what == "POST archive"
		answer(c.w, http.StatusCreated, c.show(p))
	case what == "POST repository/commits":
		// The way to branches without git.
		if err := p.receive(Push{Branches: []string{c.text("branch")}}, !c.opts.NoProtection); err != nil {
			refuse(c.w, http.StatusForbidden, err.Error())
			return
		}
		answer(c.w, http.StatusCreated, map[string]any{"id": "0123456789abcdef"})
	case what == "GET protected_branches":
		list := []any{}
		for _, name := range p.Protected {
			list = append(list, map[string]any{"name": name})
		}
		answer(c.w, http.StatusOK, list)
	case c.r.Method == http.MethodDelete && len(c.parts) == 4 && c.parts[2] == "protected_branches":
		if !slices.Contains(p.Protected, c.parts[3]) {
			refuse(c.w, http.StatusNotFound, "404 Not found")
			return
		}
		p.Protected = slices.DeleteFunc(p.Protected, func(name string) bool { return name == c.parts[3] })
		c.follow(p)
		c.w.WriteHeader(http.StatusNoContent)
	default:
		refuse(c.w, http.StatusNotFound, "404 Not Found")
	}
}

// movedProject answers for the old path of a renamed project.
// from: gitlabhq/gitlabhq@017a6c12 doc/api/rest/_index.md, "Moved projects";
// lib/api/helpers.rb, "Non GET methods are not allowed for moved projects"
func (c *call) movedProject(id int64) {
	if c.r.Method != http.MethodGet {
		refuse(c.w, http.StatusMethodNotAllowed, "405 Method Not Allowed - Non GET methods are not allowed for moved projects")
		return
	}
	http.Redirect(c.w, c.r, fmt.Sprintf("http://%s/api/v4/projects/%d", c.r.Host, id), http.StatusMovedPermanently)
}

func (c *call) text(key string) string {
	s, _ := c.body[key].(string)
	return s
}

var (
	pathRE = regexp.MustCompile(`^[a-zA-Z0-9_.][a-zA-Z0-9_.-]*$`)
	nameRE = regexp.MustCompile(`^[\pL\pN_][\pL\pN_.+ -]*$`)
)

// createProject answers POST /projects.
func (c *call) createProject() {
	number, ok := c.body["namespace_id"].(float64)
	path := ""
	limit := "public"
	for _, g := range c.groups {
		if g.ID == int64(number) && !g.Hidden {
			path, limit = g.Path, g.Visibility
		}
	}
	for name, id := range c.users {
		if id == int64(number) {
			path = name
		}
	}
	name := c.text("path")
	switch {
	case !ok || path == "":
		// from: gitlabhq/gitlabhq@017a6c12 lib/api/helpers/projects_helpers.rb: namespace_id is a number
		answer(c.w, http.StatusBadRequest, map[string]any{"error": "namespace_id is invalid"})
		return
	case !pathRE.MatchString(name) || strings.HasSuffix(name, ".git") || strings.HasSuffix(name, ".atom"):
		// from: gitlabhq/gitlabhq@03b596d4 lib/gitlab/path_regex.rb
		refuse(c.w, http.StatusBadRequest, map[string]any{"path": []string{"can contain only letters, digits, '_', '-' and '.'. Cannot start with '-', end in '.git' or end in '.atom'"}})
		return
	case !nameRE.MatchString(c.text("name")):
		refuse(c.w, http.StatusBadRequest, map[string]any{"name": []string{"can contain only letters, digits, emoji, '_', '.', '+', dashes, or spaces. It must start with a letter, digit, emoji, or '_'."}})
		return
	case rank(c.text("visibility")) > rank(limit):
		// from: gitlab-org/gitlab issue 372760
		refuse(c.w, http.StatusBadRequest, map[string]any{"visibility_level": []string{c.text("visibility") + " is not allowed in a " + limit + " group."}})
		return
	}
	full := path + "/" + name
	if c.byPath[strings.ToLower(full)] != nil {
		// Status 400, not 409; upper and lower case are the same.
		// from: gitlab-org/gitlab issue 356008; cooperspencer/gickup PR 337
		taken := []string{"has already been taken"}
		refuse(c.w, http.StatusBadRequest, map[string]any{"name": taken, "path": taken, "project_namespace.name": taken})
		return
	}
	lfs, set := c.body["lfs_enabled"].(bool)
	p := &Project{
		Path: full, Description: c.text("description"), Visibility: c.text("visibility"), LFS: lfs || !set,
		Wiki: c.text("wiki_access_level") != "disabled",
	}
	// default_branch does nothing here: there is no branch.
	// from: gitlab-org/gitlab issues 26261, 516857
	c.add(p)
	answer(c.w, http.StatusCreated, c.show(p))
}

// changeProject answers PUT /projects/:id.
func (c *call) changeProject(p *Project) {
	if v := c.text("visibility"); v != "" {
		if g := c.groups[strings.ToLower(dir(p.Path))]; g != nil && rank(v) > rank(g.Visibility) {
			refuse(c.w, http.StatusBadRequest, map[string]any{"visibility_level": []string{v + " is not allowed in a " + g.Visibility + " group."}})
			return
		}
		p.Visibility = v
	}
	if branch := c.text("default_branch"); branch != "" && branch != p.DefaultBranch && len(p.Branches) > 0 {
		// Without a repository the wish is ignored; else the branch must be there.
		// from: gitlabhq/gitlabhq@00fab8fc app/services/projects/update_service.rb
		if !slices.Contains(p.Branches, branch) {
			refuse(c.w, http.StatusBadRequest, map[string]any{"base": []string{"Could not set the default branch. Do you have a branch named '" + branch + "' in your repository?"}})
			return
		}
		p.DefaultBranch = branch
	}
	if _, ok := c.body["description"]; ok {
		p.Description = c.text("description")
	}
	if lfs, ok := c.body["lfs_enabled"].(bool); ok {
		p.LFS = lfs
	}
	if name := c.text("path"); name != "" {
		c.rename(p.Path, dir(p.Path)+"/"+name)
	}
	answer(c.w, http.StatusOK, c.show(p))
}
