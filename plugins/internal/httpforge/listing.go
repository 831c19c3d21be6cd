package httpforge

import (
	"context"
	"iter"
	"net/http"
	"net/url"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Listing is the state of one listing of an Upstream Host.
type Listing struct {
	yield  func(sdk.Repo, error) bool
	seen   map[int64]struct{} // pages by offset repeat rows when others go
	enough bool
	missed string
}

// List makes a listing of what run gives. A run may ask for several lists.
func List(ctx context.Context, run func(*Listing) error) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) {
		l := &Listing{yield: yield, seen: map[int64]struct{}{}}
		err := run(l)
		switch {
		case l.enough:
		case err != nil:
			yield(sdk.Repo{}, Unlisted(err))
		case ctx.Err() != nil:
			yield(sdk.Repo{}, ctx.Err())
		case l.missed != "":
			yield(sdk.Repo{}, sdk.Incomplete(l.missed))
		}
	}
}

// Enough reports whether the caller has seen enough, so that the run should
// end.
func (l *Listing) Enough() bool { return l.enough }

// Miss notes why the listing is not complete.
func (l *Listing) Miss(reason string) { l.missed = reason }

// First reports whether a row comes for the first time, by its number.
func (l *Listing) First(id int64) bool {
	if _, again := l.seen[id]; again {
		return false
	}
	l.seen[id] = struct{}{}
	return true
}

// Give passes a repository on, unless it is disabled.
func (l *Listing) Give(repo sdk.Repo) {
	if !repo.Disabled && !l.enough {
		l.enough = !l.yield(repo, nil)
	}
}

// Rows reads a list page by page and passes the pages to take, until the caller
// has seen enough. header names the total of rows in a page's header: when it
// shrinks, rows may have been missed.
func Rows[P any](ctx context.Context, l *Listing, c *Client, req Request, header string, next NextFunc[P], take func(P) error) error {
	var totals Totals
	watched := func(h http.Header, page P, q url.Values) (url.Values, error) {
		totals.See(h, header)
		return next(h, page, q)
	}
	for page, err := range Pages(ctx, c, req, watched) {
		if err != nil {
			return err
		}
		if err := take(page); err != nil || l.enough {
			return err
		}
	}
	if totals.Shrunk() {
		l.Miss(req.What + ": some went away while they were listed, so others may have been missed")
	}
	return nil
}
