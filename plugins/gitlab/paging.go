package gitlab

import (
	"maps"
	"net/http"
	"net/url"

	"github.com/lorry-controller/lorry-controller/plugins/internal/httpforge"
)

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
	found := maps.Clone(q)
	found.Set("page", page)
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
