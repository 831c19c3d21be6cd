package gitlab

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
)

// offsetLimit is how many rows GitLab gives by offset unless its admin changed
// that; above it, a group is listed subgroup by subgroup.
const offsetLimit = 50_000

// next follows the link to the next page. A proxy that drops the header Link
// leaves X-Next-Page, which lists by offset have.
func next[P any](h http.Header, _ P, q url.Values) (url.Values, error) {
	if found := httpforge.LinkNext(h, q); found != nil {
		return found, nil
	}
	page := h.Get("X-Next-Page")
	if page == "" || len(h.Values("Link")) > 0 {
		return nil, nil
	}
	found := url.Values{}
	for k, v := range q {
		found[k] = v
	}
	found.Set("page", page)
	return found, nil
}

// nextProjects also looks ahead: a list by offset that announces more rows than
// GitLab gives is left at once, not after fifty thousand rows.
func nextProjects(h http.Header, page []project, q url.Values) (url.Values, error) {
	found, err := next(h, page, q)
	if found == nil || err != nil || found.Has("id_after") || found.Has("cursor") {
		return found, err
	}
	if total, err := strconv.Atoi(h.Get("X-Total")); err == nil && total > offsetLimit {
		return nil, errTooMany
	}
	return found, nil
}

// offsetRefused reports whether GitLab refused a page for its distance from the
// first one.
func offsetRefused(err error) bool {
	return httpforge.StatusOf(err) == http.StatusMethodNotAllowed && httpforge.Says(err, "offset pagination")
}

// keysetRefused reports whether GitLab refused keyset paging for a list.
func keysetRefused(err error) bool {
	return httpforge.StatusOf(err) == http.StatusMethodNotAllowed && httpforge.Says(err, "keyset pagination is not")
}
