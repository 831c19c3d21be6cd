package gitea

import (
	"context"
	"errors"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// pageLimit is the largest page that a forge gives unless its admin changed
// that. A smaller one comes without a word, so the size of a page tells nothing.
const pageLimit = "50"

const wikiSuffix = ".wiki"

// Repos implements sdk.Upstream.
func (a *Adapter) Repos(ctx context.Context, _ sdk.Query) iter.Seq2[sdk.Repo, error] {
	return httpforge.List(ctx, func(out *httpforge.Listing) error {
		return (&listing{Listing: out, a: a, ctx: ctx, filter: a.settings.filter()}).run()
	})
}

// Repo implements sdk.Upstream.
func (a *Adapter) Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
	name, wiki := path, false
	if a.settings.Wikis {
		name, wiki = strings.CutSuffix(path, wikiSuffix)
	}
	r, err := a.repository(ctx, name)
	var moved *httpforge.Moved
	switch {
	case errors.As(err, &moved):
		return sdk.Repo{}, sdk.Access{}, moved.Missing(path)
	case err != nil:
		return sdk.Repo{}, sdk.Access{}, err
	}
	repo, err := a.repo(r)
	if err == nil && wiki {
		repo, err = a.wiki(r, repo)
	}
	if err != nil || repo.Disabled {
		return repo, sdk.Access{}, err
	}
	return repo, a.access(repo.CloneURL), nil
}

// wiki gives the facts about a repository's wiki, which is a repository with a
// default branch of its own.
func (a *Adapter) wiki(r *repository, of sdk.Repo) (sdk.Repo, error) {
	ssh := strings.TrimSuffix(r.SSHURL, ".git")
	if ssh != "" {
		ssh += wikiSuffix + ".git"
	}
	cloneURL, err := a.site.CloneURL(r.FullName+wikiSuffix, ssh)
	return sdk.Repo{
		ID: of.ID + wikiSuffix, Path: r.FullName + wikiSuffix, CloneURL: cloneURL, Visibility: of.Visibility,
		Description: of.Description, Archived: of.Archived, Fork: of.Fork, ChangeHint: of.ChangeHint, Disabled: !r.HasWiki,
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
	orgs := slices.Concat(s.Organizations, s.Groups)
	if len(orgs) == 0 && len(s.Users) == 0 {
		q := url.Values{"sort": {"id"}, "order": {"asc"}, "limit": {pageLimit}}
		switch l.filter.Archived {
		case httpforge.Skip:
			q.Set("archived", "false")
		case httpforge.Only:
			q.Set("archived", "true")
		}
		return l.list([]string{"repos", "search"}, q, "repositories of the instance")
	}
	lists := map[string][]string{"orgs": orgs, "users": s.Users}
	for _, kind := range []string{"orgs", "users"} {
		for _, owner := range lists[kind] {
			what := "repositories of " + strconv.Quote(owner)
			if err := l.list([]string{kind, owner, "repos"}, url.Values{"limit": {pageLimit}}, what); err != nil || l.Enough() {
				return err
			}
		}
	}
	return nil
}

func (l *listing) list(path []string, q url.Values, what string) error {
	req := httpforge.Request{Path: path, Query: q, What: what}
	return httpforge.Rows(l.ctx, l.Listing, l.a.api, req, "X-Total-Count", counted(), l.take)
}

// counted follows the links to the next page. Where there are none, as with old
// versions and behind some proxies, it goes on until as many rows have come as
// the forge counts, or until an empty page.
func counted() httpforge.NextFunc[repoPage] {
	rows, number := 0, 1
	linked := false
	return func(h http.Header, page repoPage, q url.Values) (url.Values, error) {
		rows += len(page)
		number++
		if found := httpforge.LinkNext(h, q); found != nil {
			linked = true
			return found, nil
		}
		total, err := strconv.Atoi(h.Get("X-Total-Count"))
		if linked || len(page) == 0 || err == nil && rows >= total {
			return nil, nil
		}
		found := maps.Clone(q)
		found.Set("page", strconv.Itoa(number))
		return found, nil
	}
}

// take passes repositories on, each once.
func (l *listing) take(page repoPage) error {
	for i := range page {
		r := &page[i]
		if !l.First(r.ID) {
			continue
		}
		repo, err := l.a.repo(r)
		if err != nil {
			return err
		}
		if !l.filter.Keep(repo, r.Topics) || !l.mirrorFits(r.Mirror) {
			continue
		}
		l.Give(repo)
		if l.a.settings.Wikis {
			wiki, err := l.a.wiki(r, repo)
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

func (l *listing) mirrorFits(mirror bool) bool {
	choice := l.a.settings.Mirrors
	return !(choice == httpforge.Skip && mirror || choice == httpforge.Only && !mirror)
}
