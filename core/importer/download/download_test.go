package download

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/pace"
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
			c.Least = pace.Least{Rate: 1000, Over: 50 * time.Millisecond}
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

// TestServerWithoutHead: what is not there for HEAD may be for GET.
func TestServerWithoutHead(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodHead || r.URL.Path == "/gone" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("ETag", `"x"`)
		_, _ = io.WriteString(w, "contents")
	}))
	defer s.Close()
	c := New(core.Access{URL: s.URL + "/there"}, route.Route{})
	defer c.Close()
	if f, err := c.Look(t.Context()); err != nil || f.ETag != `"x"` || f.Size != 8 {
		t.Errorf("got %+v, %v", f, err)
	}
	c.access.URL = s.URL + "/gone"
	var failure *gitfail.Error
	if _, err := c.Look(t.Context()); !errors.As(err, &failure) || failure.Kind != core.FailGone {
		t.Errorf("got %v", err)
	}
}

// growing writes more to the file that is read from it.
type growing struct{ path string }

// Write implements io.Writer.
func (g growing) Write(p []byte) (int, error) {
	return len(p), os.WriteFile(g.path, []byte(string(p)+" and more"), 0o600)
}

// TestFileThatIsWritten: half of a file is none.
func TestFileThatIsWritten(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte("begun"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := CopyLocal(io.Discard, path, path, 100); err != nil {
		t.Error(err)
	}
	if _, err := CopyLocal(growing{path}, path, path, 100); err == nil || !strings.Contains(err.Error(), "changed while it was read") {
		t.Errorf("got %v", err)
	}
}

// TestPackedForTheWay: a server that packs what nobody asked it to pack does not
// send the file, unless it only says of a packed file that it is one.
func TestPackedForTheWay(t *testing.T) {
	t.Parallel()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Accept-Encoding") != "" {
			t.Errorf("asked for %q", r.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "packed")
	}))
	defer s.Close()
	for name, want := range map[string]core.FailureKind{"/a.txt": core.FailNotGit, "/a.tar.gz": core.FailNone, "/a": core.FailNotGit} {
		for _, asIs := range []bool{true, false} {
			c := New(core.Access{URL: s.URL + name}, route.Route{})
			c.AsIs = asIs
			_, err := c.Get(t.Context(), io.Discard, 100)
			var failure *gitfail.Error
			if refused := errors.As(err, &failure); refused != (asIs && want != core.FailNone) || refused && failure.Kind != want {
				t.Errorf("%s, %v: %v", name, asIs, err)
			}
			c.Close()
		}
	}
}
