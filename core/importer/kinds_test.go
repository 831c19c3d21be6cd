package importer

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

func tarball(t *testing.T, text string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	err := w.WriteHeader(&tar.Header{Name: "thing/file", Size: int64(len(text)), ModTime: time.Unix(1_600_000_000, 0)})
	if err == nil {
		_, err = w.Write([]byte(text))
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestTarballFromServerToMirror runs the whole importer on an archive: the
// first time, with nothing new, with a new version, and with a broken one.
func TestTarballFromServerToMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var data atomic.Pointer[[]byte]
	var gets atomic.Int32
	put := func(b []byte) { data.Store(&b) }
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			gets.Add(1)
		}
		now := *data.Load()
		out.Header().Set("ETag", fmt.Sprintf(`"%x"`, sha256.Sum256(now)))
		http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(now))
	}))
	defer server.Close()
	put(tarball(t, "one"))
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Tarball, Access: core.Access{URL: server.URL + "/thing-1.tar"}}
	report := w.mustRun()
	if report.Digest == "" || report.Head != "refs/heads/master" || report.Unchanged {
		t.Errorf("got %+v", report)
	}
	want := w.area().Mirrored()
	if got := w.down.Mirrored(); len(got) != 2 || got["refs/tags/thing-1"] != want["refs/tags/thing-1"] || got["refs/heads/master"] != want["refs/heads/master"] {
		t.Errorf("downstream has %v, want %v", got, want)
	}
	w.down.Fsck()
	w.opts.Request.Digest = report.Digest
	if again := w.mustRun(); !again.Unchanged || again.Digest != report.Digest || gets.Load() != 1 {
		t.Errorf("%d downloads, %+v", gets.Load(), again)
	}
	if looked, same := Look(t.Context(), w.opts); !same || !looked.Unchanged {
		t.Errorf("Look gave %+v, %v", looked, same)
	}
	w.opts.Spec.Access.URL = server.URL + "/thing-2.tar"
	put(tarball(t, "two and longer")[:600])
	down := w.down.Refs()
	w.mustFail(core.FailCorrupt)
	if len(w.down.Refs()) != len(down) {
		t.Error("a broken archive changed the mirror")
	}
	put(tarball(t, strings.Repeat("two", 300)))
	if next := w.mustRun(); next.Digest == report.Digest || next.Unchanged {
		t.Errorf("got %+v", next)
	}
	if got := w.down.Git("rev-parse", "refs/heads/master^"); got != want["refs/heads/master"] {
		t.Errorf("the second version lies on %s", got)
	}
	// Downstream is not trusted less because upstream is no git: all is the same.
	gittest.OpenRepo(t, w.area().Dir).Fsck()
}

// runTool runs a program in the upstream's directory.
func runTool(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	gittest.Require(t, name)
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir(), "LC_ALL=C", "HGRCPATH=", "HGPLAIN=1"}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %v: %v: %s", name, args, err, out)
	}
}

// TestOtherKindsFromUpstreamToMirror runs the whole importer on each kind of
// upstream that has a server or a directory of its own.
func TestOtherKindsFromUpstreamToMirror(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind spec.Type
		make func(t *testing.T, dir string)
		more func(t *testing.T, dir string)
	}{
		{spec.Svn, func(t *testing.T, dir string) {
			if _, err := exec.Command("git", "svn", "--version").Output(); err != nil {
				gittest.Require(t, "git-svn")
			}
			runTool(t, "/", "svnadmin", "create", dir)
			runTool(t, "/", "svn", "mkdir", "-q", "-m", "layout", "file://"+dir+"/trunk", "file://"+dir+"/branches", "file://"+dir+"/tags")
			runTool(t, "/", "svn", "mkdir", "-q", "-m", "a tag", "file://"+dir+"/tags/v1")
		}, func(t *testing.T, dir string) {
			runTool(t, "/", "svn", "mkdir", "-q", "-m", "more", "file://"+dir+"/trunk/more")
		}},
		{spec.Hg, func(t *testing.T, dir string) {
			runTool(t, "/", "hg", "init", dir)
			runTool(t, dir, "hg", "commit", "-q", "-u", "ann", "-m", "first", "--config", "ui.allowemptycommit=1")
			runTool(t, dir, "hg", "tag", "-u", "ann", "v1")
		}, func(t *testing.T, dir string) {
			runTool(t, dir, "hg", "commit", "-q", "-u", "ann", "-m", "more", "--config", "ui.allowemptycommit=1")
		}},
	} {
		t.Run(string(test.kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			dir := filepath.Join(w.dir, "other")
			test.make(t, dir)
			w.opts.Spec = spec.Spec{Name: "group/thing", Type: test.kind, Access: core.Access{URL: "file://" + dir}}
			// A path that is not listed is not read.
			roots := w.opts.Request.FileRoots
			w.opts.Request.FileRoots = nil
			w.mustFail(core.FailSpec)
			w.opts.Request.FileRoots = roots
			report := w.mustRun()
			down := w.down.Mirrored()
			if len(down) != 2 || down["refs/heads/master"] == "" || down["refs/tags/v1"] == "" || report.Head != "refs/heads/master" {
				t.Fatalf("downstream has %v, %+v", down, report)
			}
			w.down.Fsck()
			w.opts.Request.Digest = report.Digest
			if again, same := Look(t.Context(), w.opts); !same || !again.Unchanged || report.Digest == "" {
				t.Errorf("got %+v", again)
			}
			test.more(t, dir)
			if next := w.mustRun(); next.Unchanged || next.Digest == report.Digest {
				t.Errorf("got %+v", next)
			}
			if got := w.down.Git("rev-parse", "refs/heads/master^"); got != down["refs/heads/master"] {
				t.Errorf("the new commit lies on %s", got)
			}
		})
	}
}
