package download

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDownloadThatBreaksOff(t *testing.T) {
	t.Parallel()
	for _, hang := range []bool{false, true} {
		release := make(chan struct{})
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100000")
			_, _ = io.WriteString(w, "beginning")
			_ = http.NewResponseController(w).Flush()
			if hang {
				<-release
			}
			panic(http.ErrAbortHandler)
		}))
		c := New(core.Access{URL: s.URL + "/x.tar"}, route.Route{})
		if hang {
			c.stall = 50 * time.Millisecond
		}
		_, err := c.Get(t.Context(), io.Discard, 1<<20)
		var failure *gitfail.Error
		if !errors.As(err, &failure) || failure.Kind != core.FailNetwork {
			t.Errorf("hang %v: got %v", hang, err)
		}
		close(release)
		c.Close()
		s.Close()
	}
}

// TestRedirects: to the same host they are followed, to a private address not,
// and a credential goes to its own host alone.
func TestRedirects(t *testing.T) {
	t.Parallel()
	var inner atomic.Int32
	private := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { inner.Add(1) }))
	defer private.Close()
	outer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/same":
			http.Redirect(w, r, "/file", http.StatusFound)
		case "/other":
			http.Redirect(w, r, private.URL+"/secret", http.StatusFound)
		case "/loop":
			http.Redirect(w, r, "/loop", http.StatusFound)
		case "/down":
			w.Header().Set("Location", "file:///etc/passwd")
			w.WriteHeader(http.StatusFound)
		default:
			if _, secret, _ := r.BasicAuth(); secret != "opensesame" {
				w.WriteHeader(http.StatusUnauthorized)
			}
			w.Header().Set("ETag", "x")
		}
	}))
	defer outer.Close()
	for path, want := range map[string]core.FailureKind{"/same": core.FailNone, "/other": core.FailSpec, "/loop": core.FailGone, "/down": core.FailGone} {
		c := New(core.Access{URL: outer.URL + path, Username: "ali", Secret: core.NewSecret("opensesame")}, route.Route{})
		_, err := c.Look(t.Context())
		got := core.FailNone
		if err != nil {
			got = gitfail.From(err, gitfail.Upstream).Kind
		}
		if got != want || path == "/other" && !strings.Contains(err.Error(), "redirects to another host") {
			t.Errorf("%s: want %q, got %v", path, want, err)
		}
		c.Close()
	}
	if inner.Load() != 0 {
		t.Error("a redirect reached a private address")
	}
}
