package httpforge

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// maxPages is where a listing is taken for an endless one.
const maxPages = 200_000

// NextFunc finds the query of the page that follows one: nil when it was the
// last. It gets the header and the content of the page and its own query. An
// error of its ends the list.
type NextFunc[P any] func(h http.Header, page P, query url.Values) (url.Values, error)

// Pages reads a list page by page. It holds one page at a time and stops at
// the first error, which it gives with an empty page.
func Pages[P any](ctx context.Context, c *Client, req Request, next NextFunc[P]) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		var none P
		for range maxPages {
			var page P
			header, err := c.Do(ctx, req, &page)
			if err != nil {
				yield(none, err)
				return
			}
			if !yield(page, nil) {
				return
			}
			query, err := next(header, page, req.Query)
			if err != nil {
				yield(none, err)
				return
			}
			if query == nil {
				return
			}
			if query.Encode() == req.Query.Encode() {
				yield(none, sdk.Errorf(sdk.Unavailable, "%s: %s says that a page is followed by itself", req.What, c.Host()))
				return
			}
			req.Query = query
		}
		yield(none, sdk.Errorf(sdk.Unavailable, "%s: the list of %s has more than %d pages", req.What, c.Host(), maxPages))
	}
}

// LinkNext finds the next page in the header Link. Only the query of that link
// is taken, and put on top of the query at hand: the rest of it is the server's
// idea of its own address, which is wrong behind many proxies and could lead to
// another host.
func LinkNext(h http.Header, query url.Values) url.Values {
	for _, target := range h.Values("Link") {
		raw, ok := relNext(target)
		if !ok {
			continue
		}
		_, rawQuery, _ := strings.Cut(raw, "?")
		rawQuery, _, _ = strings.Cut(rawQuery, "#")
		found, err := url.ParseQuery(rawQuery)
		if err != nil || len(found) == 0 {
			continue
		}
		merged := maps.Clone(query)
		if merged == nil {
			merged = url.Values{}
		}
		maps.Copy(merged, found)
		return merged
	}
	return nil
}

// relNext finds the target of rel="next" in one header Link (RFC 8288).
func relNext(header string) (target string, ok bool) {
	for header != "" {
		_, rest, found := strings.Cut(header, "<")
		if !found {
			return "", false
		}
		link, params, found := strings.Cut(rest, ">")
		if !found {
			return "", false
		}
		// The parameters go on to the next "<": a comma can be part of one.
		params, rest, found = strings.Cut(params, "<")
		header = ""
		if found {
			header = "<" + rest
		}
		for param := range strings.FieldsFuncSeq(params, func(r rune) bool { return r == ';' || r == ',' }) {
			name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
			if strings.EqualFold(strings.TrimSpace(name), "rel") && isNext(value) {
				return link, true
			}
		}
	}
	return "", false
}

func isNext(value string) bool {
	for rel := range strings.FieldsSeq(strings.Trim(strings.TrimSpace(value), `"`)) {
		if strings.EqualFold(rel, "next") {
			return true
		}
	}
	return false
}

// Totals watches the number of rows that the pages of one list announce. When
// it shrinks in between, rows have moved forward over the border of a page and
// were never seen: the list is not whole.
type Totals struct {
	last   int
	known  bool
	shrunk bool
}

// See takes in the header of a page; name is that of the one with the total.
func (t *Totals) See(h http.Header, name string) {
	total, err := strconv.Atoi(h.Get(name))
	if err != nil {
		return
	}
	t.shrunk = t.shrunk || t.known && total < t.last
	t.last, t.known = total, true
}

// Shrunk reports whether rows may have been missed.
func (t *Totals) Shrunk() bool { return t.shrunk }
