package importer

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// versions serves one archive for each name, and makes a Lorry of one.
func versions(t *testing.T, w *world) (take func(version int)) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		out.Header().Set("ETag", fmt.Sprintf("%q", r.URL.Path))
		http.ServeContent(out, r, "", time.Time{}, bytes.NewReader(tarball(t, r.URL.Path)))
	}))
	t.Cleanup(server.Close)
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.Tarball}
	return func(version int) {
		w.opts.Spec.Access = core.Access{URL: fmt.Sprintf("%s/thing-%d.tar", server.URL, version)}
	}
}

func (w *world) lose(names ...string) {
	w.t.Helper()
	for _, name := range names {
		if err := os.RemoveAll(filepath.Join(w.opts.WorkingArea, name)); err != nil {
			w.t.Fatal(err)
		}
	}
}

// mustBeAsOneImport imports everything anew, which gives the very refs that
// several imports have given.
func (w *world) mustBeAsOneImport() {
	w.t.Helper()
	before := w.down.Mirrored()
	w.lose(".")
	w.mustRun()
	if diff := cmp.Diff(before, w.down.Mirrored()); diff != "" {
		w.t.Errorf("one import differs from several: %s", diff)
	}
}

// TestLostWorkingCopyOfArchives: what was imported before lies in the mirror
// alone, and the history goes on from there.
func TestLostWorkingCopyOfArchives(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		refspecs []string
		prune    bool
		lost     []string
		push     string
	}{
		"all of it":      {lost: []string{"."}},
		"repository":     {lost: []string{"group_thing/git"}, prune: true},
		"other names":    {lost: []string{"."}, refspecs: []string{"refs/heads/master:refs/heads/upstream", "refs/tags/*:refs/tags/up/*"}},
		"one branch":     {lost: []string{"."}, refspecs: []string{"master"}},
		"forced":         {lost: []string{"."}, refspecs: []string{"+refs/heads/*", "+refs/tags/*"}},
		"pushed by hand": {lost: []string{"."}, push: "hand"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			take := versions(t, w)
			w.opts.Spec.Refspecs, w.opts.Spec.Prune = test.refspecs, test.prune
			down := w.down
			if test.push != "" {
				w.opts.Request, w.opts.PushBase = nil, filepath.Join(w.dir, test.push)
				down = gittest.OpenRepo(t, filepath.Join(w.opts.PushBase, "group", "thing"))
			}
			for version := 1; version <= 2; version++ {
				take(version)
				w.mustRun()
			}
			before, here := down.Mirrored(), w.area().Mirrored()
			w.lose(test.lost...)
			report := w.mustRun()
			if diff := cmp.Diff(before, down.Mirrored()); diff != "" || len(report.Refs) > 0 {
				t.Errorf("%+v: %s\n%s", report.Refs, diff, w.out)
			}
			if name != "one branch" {
				if diff := cmp.Diff(here, w.area().Mirrored()); diff != "" {
					t.Error(diff)
				}
			}
			w.lose(test.lost...)
			take(3)
			w.mustRun()
			branch := "master"
			if name == "other names" {
				branch = "upstream"
			}
			if got := down.Git("rev-parse", branch+"~1"); got != before["refs/heads/"+branch] {
				t.Errorf("the new version lies on %s, not on %s", got, before["refs/heads/"+branch])
			}
			if got := down.Git("show", branch+":file"); got != "/thing-3.tar" {
				t.Errorf("got %q", got)
			}
			if want := len(before) + 1; name != "one branch" && len(down.Mirrored()) != want {
				t.Errorf("want %d refs, got %v", want, down.Mirrored())
			}
			if refs := w.area().Git("for-each-ref", "refs/lorry/"); refs != "" {
				t.Errorf("left: %s", refs)
			}
			down.Fsck()
		})
	}
}

// TestLostWorkingCopyBesideOthersWork: what others made downstream is neither
// taken for this import's nor touched.
func TestLostWorkingCopyBesideOthersWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	take := versions(t, w)
	take(1)
	w.mustRun()
	w.down.Git("tag", "-m", "ours", "local", "master")
	w.down.Commit("refs/heads/local", "their own branch")
	w.lose(".")
	take(2)
	w.mustRun()
	if got := w.area().Mirrored(); len(got) != 3 || got["refs/tags/local"] != "" {
		t.Errorf("got %v", got)
	}
	before := w.down.Mirrored()
	if before["refs/heads/local"] == "" || before["refs/tags/local"] == "" {
		t.Errorf("got %v", before)
	}

	w.down.Commit("refs/heads/master", "not of this import")
	before = w.down.Mirrored()
	w.lose(".")
	take(3)
	report := w.mustFail(core.FailDiverged)
	if refStatus(report)["refs/heads/master"] != core.RefHeld || !strings.Contains(w.out.String(), "somebody else made the mirror's branch master") {
		t.Errorf("got %+v\n%s", report, w.out)
	}
	if got := w.down.Mirrored(); got["refs/heads/master"] != before["refs/heads/master"] {
		t.Errorf("got %v", got)
	}
}

func TestLostWorkingCopyOfRawFiles(t *testing.T) {
	t.Parallel()
	w, s := newWorld(t), newShelf(t)
	s.put("/a.bin", "one")
	w.opts.Spec = spec.Spec{Name: "group/thing", Type: spec.RawFile, Files: []spec.File{file("x", s.URL+"/a.bin")}}
	told := w.watch()
	w.mustRun()
	if !told("Downloading") || !told("Copying files") {
		t.Errorf("how far it was is not told:\n%s", w.out)
	}
	s.put("/a.bin", "two")
	w.mustRun()
	before := w.down.Mirrored()
	w.lose(".")
	if report := w.mustRun(); len(report.Refs) > 0 || !cmp.Equal(before, w.down.Mirrored()) {
		t.Errorf("got %+v\n%s", report.Refs, w.out)
	}
	w.lose(".")
	s.put("/a.bin", "three")
	w.mustRun()
	if got := w.down.Git("rev-parse", "master~1"); got != before["refs/heads/master"] {
		t.Errorf("the new commit lies on %s", got)
	}
	w.down.Fsck()
}
