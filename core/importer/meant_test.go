package importer

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

// cutting is a way to the mirror that can be made to end a run at its push.
type cutting struct {
	*world
	next http.Handler // the mirror
	// now, when not nil, gets the next push; lost is whether nothing gets through.
	now  atomic.Pointer[http.HandlerFunc]
	lost atomic.Bool
}

func newCutting(t *testing.T) *cutting {
	t.Helper()
	c := &cutting{world: newWorld(t)}
	c.opts.Spec.Prune = true
	f := c.behindFront(t)
	c.next = f.next
	f.next = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if c.lost.Load() {
			http.Error(rw, "away", http.StatusServiceUnavailable)
			return
		}
		c.next.ServeHTTP(rw, r)
	})
	f.all = func(rw http.ResponseWriter, r *http.Request) {
		if now := c.now.Swap(nil); now != nil {
			now.ServeHTTP(rw, r)
			return
		}
		f.next.ServeHTTP(rw, r)
	}
	return c
}

// atPush has the next push go to a handler.
func (c *cutting) atPush(handler http.HandlerFunc) { c.now.Store(&handler) }

// notReadBack runs, and loses the mirror with the push, which arrives or does
// not.
func (c *cutting) notReadBack(arrives bool) {
	c.t.Helper()
	c.atPush(func(rw http.ResponseWriter, r *http.Request) {
		c.lost.Store(true)
		if arrives {
			c.next.ServeHTTP(rw, r)
			return
		}
		http.Error(rw, "away", http.StatusServiceUnavailable)
	})
	c.mustFail(core.FailNetwork)
	c.lost.Store(false)
}

func (c *cutting) file(name string) string {
	return filepath.Join(c.opts.WorkingArea, "group_thing", name)
}

// read gives a file of the Lorry's directory, "" when there is none.
func (c *cutting) read(name string) string {
	text, err := os.ReadFile(c.file(name))
	if err != nil && !os.IsNotExist(err) {
		c.t.Error(err)
	}
	return string(text)
}

// vanish deletes branches upstream, runs, and gives what became of the refs.
func (c *cutting) vanish(branches ...string) map[string]string {
	c.t.Helper()
	for _, name := range branches {
		c.up.Git("update-ref", "-d", "refs/heads/"+name)
	}
	status := refStatus(c.mustRun())
	if _, err := os.Stat(c.file("to-be-pushed")); err == nil {
		c.t.Error("the note is still there after a push that was read back")
	}
	return status
}

// TestPruneAfterAPushThatNobodySawTheEndOf: what a run brought that came to
// nothing afterwards is this Lorry's, whether upstream keeps it for a while or
// not.
func TestPruneAfterAPushThatNobodySawTheEndOf(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(c *cutting){
		"not read back": func(c *cutting) { c.notReadBack(true) },
		"stopped": func(c *cutting) {
			ctx, stop := context.WithCancelCause(c.t.Context())
			c.atPush(func(_ http.ResponseWriter, r *http.Request) {
				c.next.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithoutCancel(r.Context())))
				stop(ErrStopped)
			})
			if report := c.runIn(ctx); report.Exit != ExitStopped {
				c.t.Errorf("got %+v", report)
			}
		},
		"killed": func(c *cutting) {
			var pushed, meant string
			c.atPush(func(rw http.ResponseWriter, r *http.Request) {
				pushed, meant = c.read("pushed"), c.read("to-be-pushed")
				c.next.ServeHTTP(rw, r)
			})
			c.mustRun()
			for name, text := range map[string]string{"pushed": pushed, "to-be-pushed": meant} {
				if err := os.WriteFile(c.file(name), []byte(text), 0o644); err != nil {
					c.t.Fatal(err)
				}
			}
			if pushed == "" {
				_ = os.Remove(c.file("pushed"))
			}
		},
	} {
		for _, first := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " at the first push"}[first], func(t *testing.T) {
				t.Parallel()
				c := newCutting(t)
				c.t = t
				if !first {
					c.mustRun()
				}
				c.up.Commit("refs/heads/new", "will go")
				c.up.Commit("refs/heads/later", "will go later")
				c.up.Commit("refs/heads/next", "goes on, and will go")
				end(c)
				if diff := cmp.Diff(c.up.Mirrored(), c.down.Mirrored()); diff != "" {
					t.Fatal(diff)
				}
				want := map[string]string{"refs/heads/new": core.RefDeleted, "refs/heads/next": core.RefDeleted}
				if diff := cmp.Diff(want, c.vanish("new", "next")); diff != "" {
					t.Errorf("%s\n%s", diff, c.out)
				}
				if diff := cmp.Diff(map[string]string{"refs/heads/later": core.RefDeleted}, c.vanish("later")); diff != "" {
					t.Errorf("%s\n%s", diff, c.out)
				}
				c.mustEqual()
				if strings.Contains(c.out.String(), "changed by somebody else") {
					t.Errorf("what the Lorry pushed is told as somebody else's\n%s", c.out)
				}
			})
		}
	}
}

// TestPruneAfterSeveralSuchPushes: a branch that moved on upstream meanwhile is
// this Lorry's as the first of them left it, should the second not arrive.
func TestPruneAfterSeveralSuchPushes(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"the first push of all": true, "later": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCutting(t)
			c.t = t
			if !first {
				c.mustRun()
			}
			c.up.Commit("refs/heads/new", "will go")
			c.notReadBack(true)
			c.up.Commit("refs/heads/new", "goes on")
			c.up.Commit("refs/heads/other", "is never there")
			c.notReadBack(false)
			if c.down.Refs()["refs/heads/new"] == c.up.Refs()["refs/heads/new"] {
				t.Fatal("the second push has arrived")
			}
			if diff := cmp.Diff(map[string]string{"refs/heads/new": core.RefDeleted}, c.vanish("new", "other")); diff != "" {
				t.Errorf("%s\n%s", diff, c.out)
			}
			c.mustEqual()
		})
	}
}

// TestPruneLeavesWhatWasOnlyMeant: what somebody else has is not this Lorry's,
// whatever it once meant to push there.
func TestPruneLeavesWhatWasOnlyMeant(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		before func(c *cutting) // the push that nobody saw the end of
		after  func(c *cutting) // it, and before the next run
	}{
		"another object": {nil, func(c *cutting) { c.down.Commit("refs/heads/new", "somebody else's") }},
		"there with that object before the push": {func(c *cutting) {
			c.down.Git("fetch", "-q", "--no-tags", c.up.Dir, "refs/heads/new:refs/heads/new")
		}, nil},
		"refused, which was read back": {nil, func(c *cutting) {
			c.down.Git("update-ref", "-d", "refs/heads/new")
			hook := filepath.Join(c.down.Dir, "hooks", "update")
			if err := os.MkdirAll(filepath.Dir(hook), 0o755); err != nil {
				c.t.Fatal(err)
			}
			if err := os.WriteFile(hook, []byte("#!/bin/sh\ntest \"$1\" != refs/heads/new\n"), 0o755); err != nil {
				c.t.Fatal(err)
			}
			c.mustFail(core.FailRefused)
			c.down.Git("update-ref", "refs/heads/new", c.up.Refs()["refs/heads/new"])
		}},
		"a note that ends too early": {nil, func(c *cutting) {
			text := c.read("to-be-pushed")
			if !strings.Contains(text, " refs/heads/new refs/heads/new\n") {
				c.t.Errorf("the note is %q", text)
			}
			if err := os.WriteFile(c.file("to-be-pushed"), []byte(strings.TrimSuffix(text, "end\n")), 0o644); err != nil {
				c.t.Fatal(err)
			}
		}},
		"a note that cannot be read": {nil, func(c *cutting) {
			if err := os.Remove(c.file("to-be-pushed")); err != nil {
				c.t.Fatal(err)
			}
			if err := os.Symlink("to-be-pushed", c.file("to-be-pushed")); err != nil {
				c.t.Fatal(err)
			}
		}},
		"a push to another mirror": {nil, func(c *cutting) {
			text := strings.Replace(c.read("to-be-pushed"), "/group/thing.git\n", "/group/other.git\n", 1)
			if err := os.WriteFile(c.file("to-be-pushed"), []byte(text), 0o644); err != nil {
				c.t.Fatal(err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCutting(t)
			c.t = t
			c.mustRun()
			c.up.Commit("refs/heads/new", "will go")
			if test.before != nil {
				test.before(c)
			}
			c.up.Commit("refs/heads/main", "goes on")
			c.notReadBack(true)
			if test.after != nil {
				test.after(c)
			}
			was := c.down.Refs()["refs/heads/new"]
			for range 2 {
				if status := c.vanish("new"); status["refs/heads/new"] != "" || was == "" || c.down.Refs()["refs/heads/new"] != was {
					t.Errorf("somebody else's branch is %s now, not %s: %v", c.down.Refs()["refs/heads/new"], was, status)
				}
				c.up.Commit("refs/heads/main", "more")
			}
		})
	}
}

// TestMirrorTakenOverBySuchAPush: what was there as upstream has it counts as
// before a first push, however many do not come to their end.
func TestMirrorTakenOverBySuchAPush(t *testing.T) {
	t.Parallel()
	c := newCutting(t)
	c.down.Git("fetch", "-q", "--no-tags", c.up.Dir, "refs/heads/next:refs/heads/next")
	c.notReadBack(true)
	c.up.Commit("refs/heads/main", "goes on")
	c.notReadBack(true)
	c.up.Commit("refs/heads/main", "goes on")
	c.mustRun()
	if n := strings.Count(c.out.String(), "what upstream has was downstream before the first push (1 refs)"); n != 1 {
		t.Errorf("what the mirror had is told %d times\n%s", n, c.out)
	}
	if diff := cmp.Diff(map[string]string{"refs/heads/next": core.RefDeleted}, c.vanish("next")); diff != "" {
		t.Errorf("%s\n%s", diff, c.out)
	}
	c.mustEqual()
}
