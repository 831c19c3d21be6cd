package gitlab

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/url"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// maxDepth is more levels of groups than GitLab allows.
const maxDepth = 32

const wikiSuffix = ".wiki"

// Repos implements sdk.Upstream.
func (a *Adapter) Repos(ctx context.Context, _ sdk.Query) iter.Seq2[sdk.Repo, error] {
	return httpforge.List(ctx, func(out *httpforge.Listing) error {
		return (&listing{Listing: out, a: a, ctx: ctx, filter: a.settings.filter()}).run()
	})
}

// Repo implements sdk.Upstream.
func (a *Adapter) Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
	name := path
	wiki := false
	if a.settings.Wikis {
		name, wiki = strings.CutSuffix(path, wikiSuffix)
	}
	p, err := a.project(ctx, name)
	var moved *httpforge.Moved
	switch {
	case errors.As(err, &moved):
		return sdk.Repo{}, sdk.Access{}, moved.Missing(path)
	case err != nil:
		return sdk.Repo{}, sdk.Access{}, err
	case p.deleted() != "":
		return sdk.Repo{}, sdk.Access{}, &sdk.Error{
			Kind: sdk.NotFound, Fact: fmt.Sprintf("project %q is marked for deletion on %s", path, p.deleted()), Subject: path,
		}
	}
	repo, err := a.repo(p)
	if err == nil && wiki {
		repo, err = a.wiki(p, repo)
	}
	if err != nil || repo.Disabled {
		return repo, sdk.Access{}, err
	}
	return repo, a.access(repo.CloneURL), nil
}

// wiki gives the facts about a project's wiki, which is a repository with a
// default branch of its own that the API does not tell.
func (a *Adapter) wiki(p *project, of sdk.Repo) (sdk.Repo, error) {
	ssh := strings.TrimSuffix(p.SSHURL, ".git")
	if ssh != "" {
		ssh += wikiSuffix + ".git"
	}
	cloneURL, err := a.site.CloneURL(p.Path+wikiSuffix, ssh)
	return sdk.Repo{
		ID: of.ID + wikiSuffix, Path: p.Path + wikiSuffix, CloneURL: cloneURL, Visibility: of.Visibility,
		Description: of.Description, Archived: of.Archived, Fork: of.Fork, ChangeHint: of.ChangeHint,
		Disabled: p.WikiAccess == "disabled",
	}, err
}

// listing is the state of one listing.
type listing struct {
	*httpforge.Listing
	a      *Adapter
	ctx    context.Context //nolint:containedctx // of one call
	filter httpforge.Filter
}

func (l *listing) run() error {
	s := l.a.settings
	if len(s.Groups) == 0 && len(s.Users) == 0 {
		q := l.query()
		if s.Membership {
			q.Set("membership", "true")
		}
		return l.whole(l.projects([]string{"projects"}, q, "projects of the instance"))
	}
	for _, g := range s.Groups {
		if err := l.group(strings.Trim(g, "/ "), strings.Trim(g, "/ "), 0); err != nil || l.Enough() {
			return err
		}
	}
	for _, u := range s.Users {
		u = strings.Trim(u, "/ ")
		if err := l.whole(l.projects([]string{"users", u, "projects"}, l.query(), "projects of user "+strconv.Quote(u))); err != nil || l.Enough() {
			return err
		}
	}
	return nil
}

// whole ends a list that has no parts which could be asked for one by one.
func (l *listing) whole(err error) error {
	if errors.Is(err, errTooMany) {
		l.Miss(l.a.api.Host() + " gives no more rows of a list without keyset paging")
		return nil
	}
	return err
}

// query asks for keyset paging. A list that has none ignores that and goes by
// offset, whichever the link to the next page then says; an old GitLab refuses.
func (l *listing) query() url.Values {
	q := query("pagination", "keyset", "order_by", "id", "sort", "asc", "per_page", perPage)
	switch l.filter.Archived {
	case httpforge.Skip:
		q.Set("archived", "false")
	case httpforge.Only:
		q.Set("archived", "true")
	}
	if v := l.filter.Visibilities; len(v) == 1 {
		q.Set("visibility", v[0])
	}
	if len(l.filter.Topics) > 0 {
		q.Set("topic", strings.Join(l.filter.Topics, ","))
	}
	return q
}

// errTooMany says that a list is longer than GitLab gives by offset.
var errTooMany = errors.New("more rows than can be given by offset")

// group lists a group with everything below it at once, or subgroup by subgroup
// when that is too much. ref is its full path or its number, name is for texts.
func (l *listing) group(ref, name string, depth int) error {
	what := "projects of group " + strconv.Quote(name)
	q := l.query()
	q.Set("with_shared", strconv.FormatBool(l.a.settings.WithShared))
	q.Set("include_subgroups", "true")
	path := []string{"groups", ref, "projects"}
	err := l.projects(path, q, what)
	if !errors.Is(err, errTooMany) || depth > maxDepth {
		return err
	}
	l.a.log.Info("group is too large for one listing, going by subgroup", "group", name)
	q = l.query()
	q.Set("with_shared", strconv.FormatBool(l.a.settings.WithShared))
	q.Set("include_subgroups", "false")
	switch err := l.projects(path, q, what); {
	case errors.Is(err, errTooMany):
		l.Miss(fmt.Sprintf("%s: %s gives no more of them; list the whole instance instead", what, l.a.api.Host()))
	case err != nil || l.Enough():
		return err
	}
	subgroups := httpforge.Request{
		Path: []string{"groups", ref, "subgroups"}, Query: query("per_page", perPage, "order_by", "id", "sort", "asc", "all_available", "true"),
		What: "subgroups of group " + strconv.Quote(name),
	}
	for page, err := range httpforge.Pages(l.ctx, l.a.api, subgroups, next[[]group]) {
		if err != nil {
			return err
		}
		for _, g := range page {
			if err := l.group(number(g.ID), g.FullPath, depth+1); err != nil || l.Enough() {
				return err
			}
		}
	}
	return nil
}

// projects lists one list of projects. Its error is errTooMany when there are
// more than can be paged through.
func (l *listing) projects(path []string, q url.Values, what string) error {
	req := httpforge.Request{Path: path, Query: q, What: what}
	err := httpforge.Rows(l.ctx, l.Listing, l.a.api, req, "X-Total", next[[]project], l.take)
	switch {
	case keysetRefused(err) && q.Has("pagination"):
		q.Del("pagination")
		return l.projects(path, q, what)
	case offsetRefused(err):
		return errTooMany
	}
	return err
}

// take passes projects on, each once.
func (l *listing) take(page []project) error {
	for i := range page {
		p := &page[i]
		if !l.First(p.ID) {
			continue
		}
		// Gone in some days, or never there: nothing to mirror.
		if p.deleted() != "" {
			continue
		}
		repo, err := l.a.repo(p)
		if err != nil {
			return err
		}
		if !l.filter.Keep(repo, p.topics()) {
			continue
		}
		l.Give(repo)
		if l.a.settings.Wikis {
			wiki, err := l.a.wiki(p, repo)
			if err != nil {
				return err
			}
			l.Give(wiki)
		}
		if l.Enough() {
			return nil
		}
	}
	return nil
}
