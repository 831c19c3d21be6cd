package importer

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// packsOf are the names of a repository's packs.
func packsOf(t *testing.T, r *gittest.Repo) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(r.Dir, "objects", "pack", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for i, path := range paths {
		paths[i] = filepath.Base(path)
	}
	return paths
}

// isFilled reports whether the mirror's refs came all at once: a push writes a
// file for each.
func isFilled(w *world) bool {
	_, err := os.Stat(filepath.Join(w.down.Dir, "packed-refs"))
	return err == nil
}

// TestEmptyMirrorIsFilled: what was cloned a moment ago is copied into an empty
// mirror on this machine, pack and refs alike; later runs push.
func TestEmptyMirrorIsFilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	report := w.mustRun()
	if got := refStatus(report); len(got) != 4 || got["refs/tags/v1"] != core.RefNew {
		t.Errorf("got %v", got)
	}
	w.mustEqual()
	if diff := cmp.Diff(packsOf(t, w.area()), packsOf(t, w.down)); diff != "" || !isFilled(w) {
		t.Errorf("not the packs of the working copy: %s", diff)
	}
	if got, want := w.down.Git("for-each-ref", "--format=%(refname) %(*objectname)"), w.up.Git("for-each-ref", "--format=%(refname) %(*objectname)"); got != want {
		t.Errorf("what tags lead to: got %q, want %q", got, want)
	}
	w.up.Commit("refs/heads/main", "more")
	w.mustRun()
	w.mustEqual()
}

// TestMirrorIsPushedTo: whatever else is there, or is wanted, is a push's to
// respect.
func TestMirrorIsPushedTo(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, w *world){
		"it has settings of its own": func(_ *testing.T, w *world) { w.down.Git("config", "receive.updateServerInfo", "true") },
		"it has an object":           func(_ *testing.T, w *world) { w.down.Stdin("text", "hash-object", "-w", "--stdin") },
		"it has a branch of its own": func(_ *testing.T, w *world) { w.down.Commit("refs/heads/own", "own") },
		"it borrows objects": func(t *testing.T, w *world) {
			if err := os.WriteFile(filepath.Join(w.down.Dir, "objects", "info", "alternates"), []byte(w.up.Dir+"/objects\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		},
		"not all is wanted": func(_ *testing.T, w *world) { w.opts.Spec.Refspecs = []string{"refs/heads/main"} },
		"names change": func(_ *testing.T, w *world) {
			w.opts.Spec.Refspecs = []string{"refs/heads/*:refs/heads/up/*", "refs/tags/*"}
		},
		"it has two packs": func(_ *testing.T, w *world) {
			w.opts.PullOnly = true
			w.mustRun()
			w.up.Commit("refs/heads/main", "more")
			w.mustRun()
			w.opts.PullOnly = false
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			prepare(t, w)
			w.mustRun()
			w.down.Fsck()
			if isFilled(w) {
				t.Error("it was filled, not pushed to")
			}
			if got, want := w.down.Refs("refs/heads/main", "refs/heads/up/main"), w.up.Refs("refs/heads/main"); len(got) != 1 ||
				got["refs/heads/main"]+got["refs/heads/up/main"] != want["refs/heads/main"] {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

// TestEmptyMirrorAfterADeadRun: a run that died while it copied is no trouble to
// the next one.
func TestEmptyMirrorAfterADeadRun(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	push := w.opts.Request.Push
	w.opts.PullOnly, w.opts.Request.Push = true, nil
	w.mustRun()
	w.opts.PullOnly, w.opts.Request.Push = false, push
	for _, name := range packsOf(t, w.area()) {
		if strings.HasSuffix(name, ".pack") {
			if err := os.WriteFile(filepath.Join(w.down.Dir, "objects", "pack", name), []byte("half"), 0o444); err != nil {
				t.Fatal(err)
			}
		}
	}
	// Somebody is changing the mirror's refs: nothing is left of ours.
	lock := filepath.Join(w.down.Dir, "packed-refs.lock")
	if err := os.WriteFile(lock, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	w.mustFail(core.FailOther)
	if left := packsOf(t, w.down); len(left) > 0 || len(w.down.Mirrored()) > 0 {
		t.Errorf("%v was left", left)
	}
	if _, err := os.Stat(lock); errors.Is(err, fs.ErrNotExist) {
		t.Error("another's lock is gone")
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	w.mustRun()
	w.mustEqual()
	if diff := cmp.Diff(packsOf(t, w.area()), packsOf(t, w.down)); diff != "" || !isFilled(w) {
		t.Errorf("not the packs of the working copy: %s", diff)
	}
}

// TestDamagedPackIsNotCopied: one flipped bit in the working copy, anywhere, is
// seen before anything of it is downstream, and the copy is made anew.
func TestDamagedPackIsNotCopied(t *testing.T) {
	t.Parallel()
	for _, end := range []string{".pack", ".idx"} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.PullOnly = true
			w.mustRun()
			w.opts.PullOnly = false
			for _, name := range packsOf(t, w.area()) {
				if !strings.HasSuffix(name, end) {
					continue
				}
				path := filepath.Join(w.area().Dir, "objects", "pack", name)
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				text[len(text)/2] ^= 1
				if err := errors.Join(os.Remove(path), os.WriteFile(path, text, 0o444)); err != nil {
					t.Fatal(err)
				}
			}
			w.mustRun()
			w.mustEqual()
			if !strings.Contains(w.out.String(), "the working copy is damaged") {
				t.Errorf("nobody was told:\n%s", w.out)
			}
		})
	}
}

// TestHalfMadeMirror: by hand, a run that died while it made the mirror is no
// trouble to the next one. What is there for another reason is left alone.
func TestHalfMadeMirror(t *testing.T) {
	t.Parallel()
	for name, half := range map[string]bool{"objects/info": true, "objects/pack": true, "something": false} {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Request, w.opts.PushBase = nil, filepath.Join(w.dir, "by-hand")
			w.down = gittest.OpenRepo(t, filepath.Join(w.opts.PushBase, "group", "thing"))
			if err := os.MkdirAll(filepath.Join(w.down.Dir, filepath.FromSlash(name)), 0o755); err != nil {
				t.Fatal(err)
			}
			if half {
				w.mustRun()
				w.mustEqual()
				return
			}
			w.mustFail(core.FailGone)
		})
	}
}
