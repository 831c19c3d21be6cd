package giteafake

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// show gives a repository as the API does.
// from: Gitea 1.26.0
func (c *call) show(r *Repo) map[string]any {
	name, short, _ := strings.Cut(r.Path, "/")
	o := c.owners[strings.ToLower(name)]
	host := c.r.Host
	if u, err := url.Parse(c.address()); err == nil {
		host = u.Hostname()
	}
	return map[string]any{
		"id": r.ID, "name": short, "full_name": r.Path, "description": r.Description, "empty": len(r.Branches) == 0 || r.lag > 0,
		"private": r.Private, "internal": !r.Private && o.visibility != "public", "fork": r.Fork, "mirror": r.Mirror,
		"archived": r.Archived, "default_branch": r.DefaultBranch, "updated_at": r.Updated, "has_wiki": r.Wiki, "has_code": !r.NoCode,
		"ssh_url": "git@" + host + ":" + r.Path + ".git", "clone_url": c.address() + "/" + r.Path + ".git", "owner": ownerBody(o),
		"topics": append([]string{}, r.Topics...), "permissions": map[string]any{"admin": !r.NoPush, "push": !r.NoPush, "pull": true},
	}
}

func (c *call) address() string {
	if c.opts.ExternalURL != "" {
		return strings.TrimSuffix(c.opts.ExternalURL, "/")
	}
	return "http://" + c.r.Host
}

// seen reports whether the caller sees a repository.
func (c *call) seen(r *Repo) bool {
	name, _, _ := strings.Cut(r.Path, "/")
	return !r.Hidden && c.visible(c.owners[strings.ToLower(name)]) && (!r.Private || !c.anonymous)
}

// search answers GET /repos/search.
func (c *call) search() {
	archived := c.query.Get("archived")
	page := c.page(func(r *Repo) bool { return archived == "" || archived == strconv.FormatBool(r.Archived) })
	answer(c.w, http.StatusOK, map[string]any{"ok": true, "data": page})
}

func (c *call) listOwner() {
	o := c.owners[strings.ToLower(c.parts[1])]
	if !c.visible(o) || (c.parts[0] == "orgs") != o.org {
		refuse(c.w, http.StatusNotFound, "GetOrgByName")
		return
	}
	answer(c.w, http.StatusOK, c.page(func(r *Repo) bool {
		name, _, _ := strings.Cut(r.Path, "/")
		return strings.EqualFold(name, o.name)
	}))
}

// page gives one page of the repositories that are wanted. A page larger than
// the server likes becomes smaller without a word, and there is no Link on a
// list of one page.
// from: go-gitea/gitea modules/setting/api.go; Gitea 1.26.0
func (c *call) page(wanted func(*Repo) bool) []any {
	number, _ := strconv.Atoi(c.query.Get("page"))
	limit, err := strconv.Atoi(c.query.Get("limit"))
	if err != nil || limit < 1 {
		limit = min(30, c.opts.MaxItems)
	}
	number, limit = max(number, 1), min(limit, c.opts.MaxItems)
	page := []any{}
	total := 0
	for _, r := range c.repos {
		if !wanted(r) || !c.seen(r) {
			continue
		}
		if total >= (number-1)*limit && len(page) < limit {
			r.notice()
			c.follow(r)
			page = append(page, c.show(r))
		}
		total++
	}
	if c.opts.NoPagingHeaders {
		return page
	}
	c.w.Header().Set("X-Total-Count", strconv.Itoa(total))
	last := (total + limit - 1) / limit
	var links []string
	link := func(rel string, page int) {
		q := maps.Clone(c.query)
		q.Set("page", strconv.Itoa(page))
		// The server's idea of its own address, which is often wrong.
		links = append(links, fmt.Sprintf(`<%s%s?%s>; rel=%q`, c.address(), c.r.URL.EscapedPath(), q.Encode(), rel))
	}
	if number < last {
		link("next", number+1)
		link("last", last)
	}
	if number > 1 {
		link("first", 1)
		link("prev", number-1)
	}
	if len(links) > 0 {
		c.w.Header().Set("Link", strings.Join(links, ","))
	}
	return page
}

// repo answers everything below /repos/:owner/:name.
func (c *call) repo() {
	path := c.parts[1] + "/" + c.parts[2]
	r := c.byPath[strings.ToLower(path)]
	if r == nil && c.moved[strings.ToLower(path)] != "" {
		// An old name leads on with an address without a host, for changes too:
		// whoever follows turns a PATCH into a GET that succeeds.
		// from: Gitea 1.26.0
		http.Redirect(c.w, c.r, "/api/v1/repos/"+c.moved[strings.ToLower(path)], http.StatusMovedPermanently)
		return
	}
	if r == nil || !c.seen(r) {
		answer(c.w, http.StatusNotFound, map[string]any{"errors": nil, "message": "not found"})
		return
	}
	switch what := c.r.Method + " " + strings.Join(c.parts[3:], "/"); {
	case what == "GET ":
		r.notice()
		c.follow(r)
		answer(c.w, http.StatusOK, c.show(r))
	case what == "PATCH ":
		c.change(r)
		c.follow(r)
	case what == "DELETE ":
		c.remove(r)
		c.w.WriteHeader(http.StatusNoContent)
	case c.r.Method == http.MethodPost && len(c.parts) > 4 && c.parts[3] == "contents":
		c.commit(r)
	default:
		refuse(c.w, http.StatusNotFound, "not found")
	}
}

// change answers PATCH /repos/:owner/:name.
func (c *call) change(r *Repo) {
	if c.tooLong() {
		return
	}
	if archived, ok := c.body["archived"].(bool); ok {
		if r.Mirror {
			// from: go-gitea/gitea@00251d1d routers/api/v1/repo/repo.go
			refuse(c.w, http.StatusUnprocessableEntity, "repo is a mirror, cannot archive/un-archive")
			return
		}
		r.Archived = archived
	}
	branch := c.text("default_branch")
	switch {
	case branch == "":
	case len(r.Branches) == 0 || r.lag > 0:
		// An empty repository takes any name, but HEAD of the git repository
		// stays as it is. After a first push, a repository counts as empty until
		// a queue has been worked off; the two then differ for good.
		// from: Gitea 1.26.0, routers/api/v1/repo/repo.go, updateBasicProperties
		r.DefaultBranch = branch
	case slices.Contains(r.Branches, branch):
		r.DefaultBranch, r.Head = branch, branch
	default:
		// A branch that is not there is ignored, with status 200.
		// from: go-gitea/gitea@00251d1d routers/api/v1/repo/repo.go; Gitea 1.26.0
	}
	if _, ok := c.body["description"]; ok {
		r.Description = c.text("description")
	}
	if private, ok := c.body["private"].(bool); ok {
		r.Private = private
	}
	if name := c.text("name"); name != "" {
		owner, _, _ := strings.Cut(r.Path, "/")
		c.rename(r.Path, owner+"/"+name)
	}
	if wiki, ok := c.body["has_wiki"].(bool); ok {
		r.Wiki = wiki
	}
	answer(c.w, http.StatusOK, c.show(r))
}

// tooLong refuses a description that is longer than the forge takes.
// from: Gitea 1.26.0
func (c *call) tooLong() bool {
	if utf8.RuneCountInString(c.text("description")) <= 2048 {
		return false
	}
	refuse(c.w, http.StatusUnprocessableEntity, "[Description]: MaxSize")
	return true
}

// commit answers POST /repos/:owner/:name/contents/:file, which makes a branch
// when asked to: the way to branches without git.
func (c *call) commit(r *Repo) {
	if r.Archived {
		refuse(c.w, http.StatusLocked, "repo is archived")
		return
	}
	if _, err := base64.StdEncoding.DecodeString(c.text("content")); err != nil {
		refuse(c.w, http.StatusUnprocessableEntity, "content is not base64")
		return
	}
	branch := c.text("new_branch")
	if branch == "" {
		branch = c.text("branch")
	}
	if branch == "" {
		branch = r.DefaultBranch
	}
	c.receive(r, []string{branch})
	answer(c.w, http.StatusCreated, map[string]any{"content": map[string]any{}})
}

var nameRE = regexp.MustCompile(`^[-.\w]+$`)

// createRepo answers POST /orgs/:org/repos and POST /user/repos.
func (c *call) createRepo(name string, org bool) {
	o := c.owners[strings.ToLower(name)]
	short := c.text("name")
	path := name + "/" + short
	if c.tooLong() {
		return
	}
	switch {
	case !c.visible(o) || o.org != org:
		refuse(c.w, http.StatusNotFound, "GetOrgByName")
		return
	case !nameRE.MatchString(short):
		refuse(c.w, http.StatusUnprocessableEntity, "[Name]: AlphaDashDot")
		return
	case regexp.MustCompile(`(?i)\.(git|wiki|rss|atom)$`).MatchString(short) || short == "." || short == ".." || short == "-":
		// from: go-gitea/gitea@003ac3a5 models/repo/repo.go
		refuse(c.w, http.StatusUnprocessableEntity, "name pattern is not allowed [pattern: *.git]")
		return
	case c.byPath[strings.ToLower(path)] != nil:
		// Upper and lower case are the same.
		refuse(c.w, http.StatusConflict, "The repository with the same name already exists.")
		return
	case c.opts.Quota > 0 && len(c.repos) >= c.opts.Quota:
		// from: @llamaduck/forgejo-ts 15.0.9, error types of createOrgRepo
		refuse(c.w, http.StatusRequestEntityTooLarge, "quota exceeded")
		return
	}
	private, _ := c.body["private"].(bool)
	branch := c.text("default_branch")
	if branch == "" {
		branch = "main"
	}
	r := &Repo{Path: o.name + "/" + short, Description: c.text("description"), Private: private, DefaultBranch: branch, Head: branch, Wiki: true}
	c.add(r)
	answer(c.w, http.StatusCreated, c.show(r))
}

// createForUser answers POST /admin/users/:user/repos.
func (c *call) createForUser(name string) {
	if c.opts.NotAdmin {
		refuse(c.w, http.StatusForbidden, "user should be the site admin")
		return
	}
	c.createRepo(name, false)
}
