package importer

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
)

// later is a clock that can be put forward.
func (w *world) later() (forward func(time.Duration)) {
	var ahead atomic.Int64
	w.opts.Clock = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	return func(d time.Duration) { ahead.Add(int64(d)) }
}

// TestDownstreamIsVerifiedDaily finds what somebody else changed downstream,
// although upstream is as it was, and mends it by the policy.
func TestDownstreamIsVerifiedDaily(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	forward := w.later()
	w.opts.Request.Digest = w.mustRun().Digest
	w.down.Git("update-ref", "-d", "refs/heads/next")
	forward(23 * time.Hour)
	if _, same := Look(t.Context(), w.opts); !same || !w.mustRun().Unchanged || w.down.Refs()["refs/heads/next"] != "" {
		t.Error("downstream was looked at too early")
	}
	forward(2 * time.Hour)
	if _, same := Look(t.Context(), w.opts); same {
		t.Error("downstream is not to be looked at")
	}
	report := w.mustRun()
	w.mustEqual()
	if report.Unchanged || !strings.Contains(w.out.String(), "refs/heads/next was changed by somebody else: it is gone") {
		t.Errorf("got %+v\n%s", report, w.out)
	}
	if _, same := Look(t.Context(), w.opts); !same {
		t.Error("downstream is to be looked at again")
	}
	// What somebody added on top of our ref is told and stays, without "+".
	theirs := w.down.Commit("refs/heads/main", "somebody's")
	forward(25 * time.Hour)
	if failed := w.mustFail(core.FailDiverged); refStatus(failed)["refs/heads/main"] != core.RefHeld {
		t.Errorf("got %+v", failed.Refs)
	}
	if w.down.Refs()["refs/heads/main"] != theirs {
		t.Error("somebody's commit was overwritten")
	}
	w.opts.Spec.Refspecs = []string{"+refs/heads/*", "+refs/tags/*"}
	w.mustRun()
	w.mustEqual()
}

// TestRotationFindsDamage harms working copies in ways that no import would
// notice. The rotation does, before anything is pushed; the new copy has the
// old tips that could be saved, and downstream stays as it is.
func TestRotationFindsDamage(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, pack string){
		"flipped bits": func(t *testing.T, pack string) {
			text, err := os.ReadFile(pack)
			if err != nil {
				t.Fatal(err)
			}
			for i := 20; i < len(text)-20; i += 41 {
				text[i] ^= 0x10
			}
			write(t, pack, text)
		},
		"cut off": func(t *testing.T, pack string) {
			text, err := os.ReadFile(pack)
			if err != nil {
				t.Fatal(err)
			}
			write(t, pack, text[:len(text)/2])
		},
		"gone": func(t *testing.T, pack string) {
			if err := os.Remove(pack); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			forward := w.later()
			w.opts.Spec.Refspecs = []string{"+refs/heads/*", "+refs/tags/*"}
			w.mustRun()
			packs, err := filepath.Glob(filepath.Join(w.area().Dir, "objects", "pack", "*.pack"))
			if err != nil || len(packs) != 1 {
				t.Fatalf("got %v, %v", packs, err)
			}
			old := w.up.Refs()["refs/heads/next"]
			w.up.Rewrite("refs/heads/next", "another history")
			w.opts.Request.Digest = w.mustRun().Digest
			before := w.down.Refs()
			damage(t, packs[0])
			forward(31 * 24 * time.Hour)
			if _, same := Look(t.Context(), w.opts); same {
				t.Fatal("the working copy is not to be checked")
			}
			w.mustRun()
			if diff := cmp.Diff(before, w.down.Refs()); diff != "" {
				t.Error(diff)
			}
			w.down.Fsck()
			w.area().Fsck()
			saved := false
			for _, object := range w.area().Refs("refs/lorry/kept/") {
				saved = saved || object == old
			}
			if told := strings.Contains(w.out.String(), "lost with the damaged copy") || strings.Contains(w.out.String(), "cannot be read from"); !saved && !told {
				t.Errorf("an old tip went without a word\n%s", w.out)
			}
		})
	}
}

func write(t *testing.T, path string, data []byte) {
	t.Helper()
	_ = os.Remove(path)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

// TestDamageStopsNoPush harms what is about to be pushed.
func TestDamageStopsNoPush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.PullOnly = true
	w.mustRun()
	packs, err := filepath.Glob(filepath.Join(w.area().Dir, "objects", "pack", "*.pack"))
	if err != nil || len(packs) != 1 {
		t.Fatalf("got %v, %v", packs, err)
	}
	text, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	for i := 20; i < len(text)-20; i += 41 {
		text[i] ^= 0x10
	}
	write(t, packs[0], text)
	w.opts.PullOnly = false
	w.mustRun()
	w.mustEqual()
	w.area().Fsck()
}

func TestOldTipsExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	forward := w.later()
	w.opts.Spec.Refspecs = []string{"+refs/heads/*", "+refs/tags/*"}
	w.opts.Upkeep.KeepRewritten = 90 * 24 * time.Hour
	w.mustRun()
	w.up.Rewrite("refs/heads/next", "another history")
	w.mustRun()
	forward(89 * 24 * time.Hour)
	w.up.Commit("refs/heads/main", "more")
	w.mustRun()
	if kept := w.area().Refs("refs/lorry/kept/"); len(kept) == 0 {
		t.Fatal("nothing is kept")
	}
	forward(2 * 24 * time.Hour)
	w.up.Commit("refs/heads/main", "still more")
	w.mustRun()
	if kept := w.area().Refs("refs/lorry/kept/"); len(kept) > 0 || !strings.Contains(w.out.String(), "has expired") {
		t.Errorf("still kept: %v", kept)
	}
	w.area().Fsck()
}

// TestRoomIsMade empties the working copies that can be had again, the least
// used first, and nothing that cannot.
func TestRoomIsMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Spec.Refspecs, w.opts.Spec.Prune = []string{"+refs/heads/*", "+refs/tags/*"}, true
	w.mustRun()
	plain := w.opts.Spec.Name
	w.opts.Spec.Name, w.opts.Request.Path, w.opts.PullOnly = "group/kept", "group/kept", true
	w.mustRun()
	w.up.Rewrite("refs/heads/next", "another history")
	w.mustRun()
	var told []string
	if err := area.Evict(w.opts.WorkingArea, 1, func(line string) { told = append(told, line) }); err != nil || len(told) > 0 {
		t.Fatalf("there is room, but %q, %v", told, err)
	}
	if err := area.Evict(w.opts.WorkingArea, 1<<60, func(line string) { told = append(told, line) }); err != nil {
		t.Fatal(err)
	}
	if len(told) != 2 || !strings.Contains(told[0], "group_thing was removed") || !strings.Contains(told[1], "group_kept stays") {
		t.Errorf("got %q", told)
	}
	if _, err := os.Stat(filepath.Join(w.opts.WorkingArea, "group_kept", "git")); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(w.opts.WorkingArea, "group_thing", "git")); err == nil {
		t.Error("nothing was removed")
	}
	// What it pushed is still known: what vanishes upstream is pruned.
	w.opts.Spec.Name, w.opts.Request.Path, w.opts.PullOnly = plain, plain, false
	w.up.Git("update-ref", "-d", "refs/heads/next")
	w.mustRun()
	w.mustEqual()
}
