package importer

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// TestObjectsThatDownstreamLost: the daily look finds what a Downstream Host
// has lost although its refs are as they were, and sends it again, from the
// working area or from upstream; no other run asks.
func TestObjectsThatDownstreamLost(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(w *largeWorld){
		"they are here":     func(*largeWorld) {},
		"they are upstream": func(w *largeWorld) { w.mustRemove(filepath.Join(w.area().Dir, "lfs")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newLargeWorld(t)
			now := time.Now()
			w.opts.Clock = func() time.Time { return now }
			for i := range 3 {
				w.add(fmt.Sprintf("sub/%d.bin", i), fmt.Sprintf("content %d", i))
			}
			w.opts.Request.Digest = w.mustRun().Digest
			w.mustHave()
			w.server.Forget(downName)
			prepare(w)
			before := len(w.server.Requests())
			if report := w.mustRun(); !report.Unchanged || len(w.server.Requests()) > before {
				t.Errorf("asked %v", w.server.Requests()[before:])
			}
			now = now.Add(25 * time.Hour)
			w.mustRun()
			w.mustHave()
			if !strings.Contains(w.out.String(), "downstream has lost 3 objects of git-lfs") {
				t.Errorf("nobody is told:\n%s", w.out)
			}
			// The same again finds nothing, and asks once.
			before = len(w.server.Requests())
			now = now.Add(25 * time.Hour)
			w.mustRun()
			if diff := cmp.Diff([]string{"POST batch"}, short(w.server.Requests()[before:])); diff != "" {
				t.Error(diff)
			}
			w.mustCloneWithLFS()
		})
	}
}

// mustCloneWithLFS holds that the real git-lfs gets what the mirror has.
func (w *largeWorld) mustCloneWithLFS() {
	w.t.Helper()
	gittest.Require(w.t, "git-lfs")
	clone := filepath.Join(w.dir, "clone")
	cmd := exec.Command("git", "-c", "filter.lfs.smudge=git-lfs smudge -- %f", "-c", "filter.lfs.required=true", "-c", "filter.lfs.process=git-lfs filter-process",
		"clone", "-q", "-b", "main", strings.Replace(w.server.URL, "://", "://ali:opensesame@", 1)+"/"+downName, clone)
	cmd.Env = append(gittest.Env(), "HOME="+w.dir)
	if out, err := cmd.CombinedOutput(); err != nil {
		w.t.Fatalf("%v: %s", err, out)
	}
	if text, err := os.ReadFile(filepath.Join(clone, "sub", "1.bin")); err != nil || string(text) != "content 1" {
		w.t.Errorf("got %q, %v", text, err)
	}
}

func (w *world) mustRemove(dir string) {
	w.t.Helper()
	if err := os.RemoveAll(dir); err != nil {
		w.t.Fatal(err)
	}
}

// TestALookThatIsRefused: who may push may not be allowed to fetch, and a job
// does not depend on it.
func TestALookThatIsRefused(t *testing.T) {
	t.Parallel()
	w := newLargeWorld(t)
	now := time.Now()
	w.opts.Clock = func() time.Time { return now }
	w.add("sub/a.bin", "some content")
	w.opts.Request.Digest = w.mustRun().Digest
	w.server.Trouble = func(out http.ResponseWriter, r *http.Request) bool {
		if !strings.HasPrefix(r.URL.Path, "/"+downName+"/info/lfs/") {
			return false
		}
		http.Error(out, "no", http.StatusForbidden)
		return true
	}
	now = now.Add(25 * time.Hour)
	w.mustRun()
	if !strings.Contains(w.out.String(), "whether downstream still has the objects of git-lfs is not known") {
		t.Errorf("nobody is told:\n%s", w.out)
	}
}

// TestObjectsThatNobodyHas: what downstream and upstream have both lost is told,
// and what is still to be had is sent again.
func TestObjectsThatNobodyHas(t *testing.T) {
	t.Parallel()
	w := newLargeWorld(t)
	now := time.Now()
	w.opts.Clock = func() time.Time { return now }
	w.add("sub/lost.bin", "will be lost")
	w.add("sub/1.bin", "content 1")
	w.opts.Request.Digest = w.mustRun().Digest
	w.server.Forget(downName)
	w.server.Forget(upName)
	w.server.Put(upName, []byte("content 1"))
	w.mustRemove(filepath.Join(w.area().Dir, "lfs"))
	now = now.Add(25 * time.Hour)
	w.mustRun()
	w.mustHave()
	if n := len(w.server.Objects(downName)); n != 1 || !strings.Contains(w.out.String(), "warning: upstream: the object of git-lfs for") {
		t.Errorf("%d objects were sent again\n%s", n, w.out)
	}
}
