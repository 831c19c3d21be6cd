package svnsource

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestRedirectsAreNotFollowed: neither by the client nor by git svn.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	m := newMirror(t)
	var hits atomic.Int32
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hits.Add(1) }))
	defer inner.Close()
	if err := m.source.Ensure(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, status := range []int{http.StatusMovedPermanently, http.StatusFound} {
		outer := httptest.NewServer(http.RedirectHandler(inner.URL+"/x", status))
		defer outer.Close()
		m.source.Access.URL = outer.URL + "/x"
		_, err := m.source.List(t.Context())
		m.wantFailure(err, core.FailGone)
		err = m.source.fetch(t.Context(), record{URL: m.source.Access.URL, Layout: m.source.layout()}, info{})
		m.wantFailure(err, core.FailGone)
	}
	if hits.Load() != 0 {
		t.Errorf("the redirect was followed %d times", hits.Load())
	}
}

// FuzzProperties reads any answer.
func FuzzProperties(f *testing.F) {
	f.Add(`<D:multistatus xmlns:D="DAV:" xmlns:S="http://subversion.tigris.org/xmlns/dav/"><D:response><D:propstat><D:prop><D:version-name>7</D:version-name><S:repository-uuid>u-1</S:repository-uuid></D:prop></D:propstat></D:response></D:multistatus>`)
	f.Fuzz(func(t *testing.T, text string) {
		i, err := parseProperties(strings.NewReader(text))
		if (err == nil) != (i.uuid != "" && i.revision != "") {
			t.Errorf("%+v with %v", i, err)
		}
	})
}

func TestProperties(t *testing.T) {
	t.Parallel()
	got, err := parseProperties(strings.NewReader(`<D:multistatus xmlns:D="DAV:" xmlns:S="http://subversion.tigris.org/xmlns/dav/"><D:response><D:propstat><D:prop><D:version-name>7</D:version-name><S:repository-uuid>u-1</S:repository-uuid></D:prop></D:propstat></D:response></D:multistatus>`))
	if err != nil || got != (info{uuid: "u-1", revision: "7"}) {
		t.Errorf("got %+v, %v", got, err)
	}
}
