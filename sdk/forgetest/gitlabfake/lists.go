package gitlabfake

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// manyRows is where GitLab stops to count.
const manyRows = 10_000

// listAll answers GET /projects, which has keyset paging.
// from: gitlabhq/gitlabhq@017a6c12 doc/api/rest/_index.md
func (c *call) listAll() {
	wanted := func(p *Project) bool { return c.fits(p) }
	if c.query.Get("pagination") != "keyset" {
		c.byOffset(wanted)
		return
	}
	if c.opts.NoKeyset {
		answer(c.w, http.StatusMethodNotAllowed, map[string]any{"error": "Keyset pagination is not yet available for this type of request"})
		return
	}
	after, _ := strconv.ParseInt(c.query.Get("id_after"), 10, 64)
	size := c.perPage()
	from := sort.Search(len(c.projects), func(i int) bool { return c.projects[i].ID > after })
	var page []*Project
	for _, p := range c.projects[from:] {
		if wanted(p) {
			page = append(page, p)
		}
		if len(page) == size {
			break
		}
	}
	if len(page) == size {
		// The end shows by a page that is short, or by an empty one.
		q := maps.Clone(c.query)
		q.Set("id_after", strconv.FormatInt(page[size-1].ID, 10))
		c.link(q)
	}
	c.projectsPage(page)
}

// listUser answers GET /users/:name/projects.
func (c *call) listUser() {
	name := strings.ToLower(c.parts[1])
	if c.users[name] == 0 {
		refuse(c.w, http.StatusNotFound, "404 User Not Found")
		return
	}
	c.byOffset(func(p *Project) bool { return strings.EqualFold(dir(p.Path), name) && c.fits(p) })
}

// listGroup answers GET /groups/:id/projects. It knows nothing of keysets and
// ignores that they were asked for. Shared projects come unless refused.
// from: blindlobstar/ghorg CHANGELOG 1.11.12 (GHORG_GITLAB_INCLUDE_SHARED_PROJECTS)
func (c *call) listGroup(g *group) {
	prefix := strings.ToLower(g.Path) + "/"
	below := c.query.Get("include_subgroups") == "true"
	shared := c.query.Get("with_shared") != "false"
	c.byOffset(func(p *Project) bool {
		if !c.fits(p) {
			return false
		}
		rest, inside := strings.CutPrefix(strings.ToLower(p.Path), prefix)
		if inside && (below || !strings.Contains(rest, "/")) {
			return true
		}
		return shared && slices.ContainsFunc(p.SharedWith, func(with string) bool { return strings.EqualFold(with, g.Path) })
	})
}

// fits reports whether a project is seen and passes the query's filters.
func (c *call) fits(p *Project) bool {
	if p.Hidden || c.anonymous && p.Visibility != "public" {
		return false
	}
	if v := c.query.Get("archived"); v != "" && v != strconv.FormatBool(p.Archived) {
		return false
	}
	if v := c.query.Get("visibility"); v != "" && v != p.Visibility {
		return false
	}
	for topic := range strings.SplitSeq(c.query.Get("topic"), ",") {
		if topic != "" && !slices.Contains(p.Topics, topic) {
			return false
		}
	}
	return true
}

func (c *call) perPage() int {
	n, err := strconv.Atoi(c.query.Get("per_page"))
	if err != nil || n < 1 {
		return 20
	}
	return min(n, 100) // without a word
}

// byOffset answers a list of projects page by page.
func (c *call) byOffset(wanted func(*Project) bool) {
	number, _ := strconv.Atoi(c.query.Get("page"))
	number, size := max(number, 1), c.perPage()
	offset := (number - 1) * size
	if offset >= c.opts.MaxOffset {
		// from: gitlabhq/gitlabhq lib/gitlab/pagination/offset_pagination.rb and
		// doc/administration/instance_limits.md, "Max offset allowed"
		answer(c.w, http.StatusMethodNotAllowed, map[string]any{"error": fmt.Sprintf(
			"Offset pagination has a maximum allowed offset of %d for requests that return objects of type Project. "+
				"Remaining records can be retrieved using keyset pagination.", c.opts.MaxOffset)})
		return
	}
	var page []*Project
	total := 0
	for _, p := range c.projects {
		if !wanted(p) {
			continue
		}
		if total >= offset && len(page) < size {
			page = append(page, p)
		}
		total++
	}
	c.pageHeaders(number, size, total)
	c.projectsPage(page)
}

// pageHeaders tells where the other pages are. Above 10,000 rows the total is
// left out.
// from: gitlabhq/gitlabhq@017a6c12 doc/api/rest/_index.md, "Pagination response headers"
func (c *call) pageHeaders(number, size, total int) {
	h := c.w.Header()
	h.Set("X-Page", strconv.Itoa(number))
	h.Set("X-Per-Page", strconv.Itoa(size))
	h.Set("X-Next-Page", "")
	if total <= manyRows {
		h.Set("X-Total", strconv.Itoa(total))
		h.Set("X-Total-Pages", strconv.Itoa((total+size-1)/size))
	}
	if number*size < total {
		h.Set("X-Next-Page", strconv.Itoa(number+1))
		q := maps.Clone(c.query)
		q.Set("page", strconv.Itoa(number+1))
		c.link(q)
	}
}

// link sets the header Link, with the address that the server takes for its
// own: behind a proxy, that is often a wrong one.
// from: gitlab-org/gitlab issue 27045 and many like it: "Link header has http:// behind https proxy"
func (c *call) link(q url.Values) {
	c.w.Header().Set("Link", fmt.Sprintf(`<%s%s?%s>; rel="next", <%[1]s%[2]s?page=1>; rel="first"`, c.address(), c.r.URL.EscapedPath(), q.Encode()))
}

func (c *call) address() string {
	if c.opts.ExternalURL != "" {
		return strings.TrimSuffix(c.opts.ExternalURL, "/")
	}
	return "http://" + c.r.Host
}

func (c *call) projectsPage(page []*Project) {
	list := make([]any, 0, len(page))
	for _, p := range page {
		list = append(list, c.show(p))
	}
	answer(c.w, http.StatusOK, list)
}
