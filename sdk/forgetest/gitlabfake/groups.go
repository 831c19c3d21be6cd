package gitlabfake

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

func (c *call) findGroup(ref string) *group {
	g := c.groups[strings.ToLower(ref)]
	if id, err := strconv.ParseInt(ref, 10, 64); err == nil {
		for _, other := range c.groups {
			if other.ID == id {
				g = other
			}
		}
	}
	if g == nil || g.Hidden || c.anonymous && g.Visibility != "public" {
		return nil
	}
	return g
}

func showGroup(g *group) map[string]any {
	return map[string]any{"id": g.ID, "path": g.Path[strings.LastIndexByte(g.Path, '/')+1:], "full_path": g.Path, "visibility": g.Visibility}
}

// group answers everything below /groups/:id.
func (c *call) group() {
	g := c.findGroup(c.parts[1])
	if g == nil {
		refuse(c.w, http.StatusNotFound, "404 Group Not Found")
		return
	}
	switch strings.Join(c.parts[2:], "/") {
	case "":
		body := showGroup(g)
		if c.query.Get("with_projects") != "false" {
			// from: docs.gitlab.com/api/groups, "with_projects": up to 100 projects come along
			body["projects"] = []any{}
		}
		answer(c.w, http.StatusOK, body)
	case "projects":
		c.listGroup(g)
	case "subgroups":
		c.listSubgroups(g)
	default:
		refuse(c.w, http.StatusNotFound, "404 Not Found")
	}
}

func (c *call) listSubgroups(g *group) {
	var below []*group
	for _, other := range c.groups {
		if strings.EqualFold(dir(other.Path), g.Path) && !other.Hidden {
			below = append(below, other)
		}
	}
	slices.SortFunc(below, func(a, b *group) int { return int(a.ID - b.ID) })
	number, _ := strconv.Atoi(c.query.Get("page"))
	number, size := max(number, 1), c.perPage()
	from := min((number-1)*size, len(below))
	c.pageHeaders(number, size, len(below))
	list := []any{}
	for _, other := range below[from:min(from+size, len(below))] {
		list = append(list, showGroup(other))
	}
	answer(c.w, http.StatusOK, list)
}

// namespace answers GET /namespaces/:path, which knows groups and users.
func (c *call) namespace() {
	if g := c.findGroup(c.parts[1]); g != nil {
		answer(c.w, http.StatusOK, map[string]any{"id": g.ID, "kind": "group", "full_path": g.Path})
		return
	}
	if id := c.users[strings.ToLower(c.parts[1])]; id != 0 {
		answer(c.w, http.StatusOK, map[string]any{"id": id, "kind": "user", "full_path": c.parts[1]})
		return
	}
	refuse(c.w, http.StatusNotFound, "404 Namespace Not Found")
}

// createGroup answers POST /groups.
func (c *call) createGroup() {
	full, limit := c.text("path"), "public"
	if id, ok := c.body["parent_id"].(float64); ok {
		parent := c.findGroup(strconv.FormatInt(int64(id), 10))
		if parent == nil {
			refuse(c.w, http.StatusNotFound, "404 Group Not Found")
			return
		}
		full, limit = parent.Path+"/"+full, parent.Visibility
	} else if c.opts.NoTopGroups {
		// from: gitlab-org/gitlab issues 244345, 444675
		refuse(c.w, http.StatusForbidden, "403 Forbidden")
		return
	}
	visibility := c.text("visibility")
	switch {
	case rank(visibility) > rank(limit):
		// from: gitlab-org/gitlab issue 372760
		refuse(c.w, http.StatusBadRequest, fmt.Sprintf("Failed to save group {:visibility_level=>[\"%s is not allowed since the parent group has a %s visibility.\"]}", visibility, limit))
	case c.groups[strings.ToLower(full)] != nil || c.users[strings.ToLower(full)] != 0:
		refuse(c.w, http.StatusBadRequest, `Failed to save group {:path=>["has already been taken"]}`)
	default:
		answer(c.w, http.StatusCreated, showGroup(c.addGroup(full, visibility)))
	}
}
