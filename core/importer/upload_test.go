package importer

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// front stands before the server of the mirror and may answer in its place.
type front struct {
	*httptest.Server
	mirror *gittest.Server
	next   http.Handler // the mirror, or what stands before it, too
	// pack, when set, gets the requests that bring a pack from this process; git
	// sends those that its own programs make.
	pack func(w http.ResponseWriter, r *http.Request)
	// all gets those of both.
	all func(w http.ResponseWriter, r *http.Request)

	mu          sync.Mutex
	here, byGit int // so many packs came
}

// behindFront serves the mirror over HTTP.
func (w *world) behindFront(t *testing.T) *front {
	t.Helper()
	f := &front{mirror: gittest.NewServer(t, filepath.Join(w.dir, "down"))}
	f.next = f.mirror
	f.Server = httptest.NewServer(f)
	t.Cleanup(func() {
		f.CloseClientConnections()
		f.Close()
	})
	w.configure()
	w.opts.Request.Push.URL = f.URL + "/group/thing.git"
	w.opts.Verbose = true
	return f
}

// configure lets the mirror be pushed to, and keep the packs that it gets.
func (w *world) configure() {
	w.down.Git("config", "http.receivepack", "true")
	w.down.Git("config", "receive.unpackLimit", "1")
}

// ServeHTTP implements http.Handler.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost || !strings.HasSuffix(r.URL.Path, "/git-receive-pack") {
		f.next.ServeHTTP(w, r)
		return
	}
	byGit := strings.Contains(r.Header.Get("Accept-Encoding"), "deflate") // as libcurl asks
	f.mu.Lock()
	if byGit {
		f.byGit++
	} else {
		f.here++
	}
	f.mu.Unlock()
	switch {
	case f.all != nil:
		f.all(w, r)
	case f.pack != nil && !byGit:
		f.pack(w, r)
	default:
		f.next.ServeHTTP(w, r)
	}
}

// packs gives how many packs came from this process, and how many from git.
func (f *front) packs() [2]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return [2]int{f.here, f.byGit}
}

// cut ends the connection without an answer.
func cut(t *testing.T, w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		t.Error(err)
		return
	}
	_ = conn.Close()
}

// TestEmptyMirrorOverHTTPGetsThePack: the mirror gets the very pack that was
// received; later runs push.
func TestEmptyMirrorOverHTTPGetsThePack(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, w *world, f *front){
		"plain": func(*testing.T, *world, *front) {},
		"names change": func(_ *testing.T, w *world, _ *front) {
			w.opts.Spec.Refspecs = []string{"refs/heads/*:refs/heads/up/*", "refs/tags/*"}
		},
		"a credential": func(_ *testing.T, w *world, f *front) {
			f.mirror.User, f.mirror.Password = "git", "s3cret"
			w.opts.Request.Push.Secret = "s3cret"
		},
		"no bands": func(_ *testing.T, _ *world, f *front) {
			f.next = without(f.next, " side-band-64k")
		},
		"interim and packed answers": func(_ *testing.T, _ *world, f *front) {
			f.pack = func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(http.StatusContinue)
				answer := httptest.NewRecorder()
				f.next.ServeHTTP(answer, r)
				w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
				w.Header().Set("Content-Encoding", "gzip")
				packed := gzip.NewWriter(w)
				_, _ = io.Copy(packed, answer.Body)
				_ = packed.Close()
			}
		},
		"objects by SHA-256": func(t *testing.T, w *world, _ *front) {
			for _, r := range []**gittest.Repo{&w.up, &w.down} {
				dir := (*r).Dir
				if err := os.RemoveAll(dir); err != nil {
					t.Fatal(err)
				}
				runTool(t, "/", "git", "init", "-q", "--bare", "--template=", "-b", "main", "--object-format=sha256", dir)
				*r = gittest.OpenRepo(t, dir)
			}
			gittest.Seed(t, w.up.Dir)
			w.configure()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := w.behindFront(t)
			prepare(t, w, f)
			report := w.mustRun()
			if got := refStatus(report); len(got) != 4 || got["refs/tags/v1"] != core.RefNew {
				t.Errorf("got %v", got)
			}
			if got := f.packs(); got != [2]int{1, 0} {
				t.Errorf("%v packs came\n%s", got, w.out)
			}
			if diff := cmp.Diff(ending(packsOf(t, w.area()), ".pack"), ending(packsOf(t, w.down), ".pack")); diff != "" {
				t.Errorf("not the pack of the working copy: %s", diff)
			}
			if name != "names change" {
				w.mustEqual()
			}
			w.down.Fsck()
			w.up.Commit("refs/heads/main", "more")
			w.mustRun()
			if got := f.packs(); got != [2]int{1, 1} {
				t.Errorf("%v packs came", got)
			}
		})
	}
}

// ending keeps those with an ending.
func ending(all []string, end string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return !strings.HasSuffix(name, end) })
}

// without leaves a capability out of what a server offers.
func without(next http.Handler, capability string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet {
			next.ServeHTTP(w, r)
			return
		}
		answer := httptest.NewRecorder()
		next.ServeHTTP(answer, r)
		w.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
		_, _ = io.WriteString(w, strings.Replace(answer.Body.String(), capability, strings.Repeat(" ", len(capability)), 1))
	})
}
