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
	return func(yield func(sdk.Repo, error) bool) {
		l := listing{a: a, ctx: ctx, yield: yield, filter: a.settings.filter(), seen: map[int64]struct{}{}}
		switch err := l.run(); {
		case l.left:
		case err != nil:
			yield(sdk.Repo{}, httpforge.Unlisted(err))
		case ctx.Err() != nil:
			yield(sdk.Repo{}, ctx.Err())
		case l.missed != "":
			yield(sdk.Repo{}, sdk.Incomplete(l.missed))
		}
	}
}

// Repo implements sdk.Upstream.
func (a *Adapter) Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
	name, wiki := path, false
	if a.settings.Wikis {
		name, wiki = strings.CutSuffix(path, wikiSuffix)
	}
	r, err := a.repository(ctx, name)
	var moved *movedError
	switch {
	case errors.As(err, &moved):
		return sdk.Repo{}, sdk.Access{}, sdk.WithHint(
			&sdk.Error{Kind: sdk.NotFound, Fact: moved.Error(), Subject: path},
			"the next listing of the host gives the new path")
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
	a      *Adapter
	ctx    context.Context //nolint:containedctx // of one call
	yield  func(sdk.Repo, error) bool
	filter httpforge.Filter
	seen   map[int64]struct{} // pages by offset repeat rows when others go
	left   bool               // the caller has seen enough
	missed string             // why the listing is not complete, or ""
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
			if err := l.list([]string{kind, owner, "repos"}, url.Values{"limit": {pageLimit}}, what); err != nil || l.left {
				return err
			}
		}
	}
	return nil
}

func (l *listing) list(path []string, q url.Values, what string) error {
	var totals httpforge.Totals
	next := counted()
	watched := func(h http.Header, page repoPage, q url.Values) (url.Values, error) {
		totals.See(h, "X-Total-Count")
		return next(h, page, q)
	}
	req := httpforge.Request{Path: path, Query: q, What: what}
	for page, err := range httpforge.Pages(l.ctx, l.a.api, req, watched) {
		if err != nil {
			return err
		}
		if err := l.take(page); err != nil || l.left {
			return err
		}
	}
	if totals.Shrunk() {
		l.missed = what + ": some went away while they were listed, so others may have been missed"
	}
	return nil
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
		if _, again := l.seen[r.ID]; again {
			continue
		}
		l.seen[r.ID] = struct{}{}
		repo, err := l.a.repo(r)
		if err != nil {
			return err
		}
		if !l.filter.Keep(repo, r.Topics) || !l.mirrorFits(r.Mirror) {
			continue
		}
		if !repo.Disabled && !l.yield(repo, nil) {
			l.left = true
			return nil
		}
		if !l.a.settings.Wikis || !r.HasWiki {
			continue
		}
		wiki, err := l.a.wiki(r, repo)
		if err != nil {
			return err
		}
		if !l.yield(wiki, nil) {
			l.left = true
			return nil
		}
	}
	return nil
}

func (l *listing) mirrorFits(mirror bool) bool {
	choice := l.a.settings.Mirrors
	return !(choice == httpforge.Skip && mirror || choice == httpforge.Only && !mirror)
}
