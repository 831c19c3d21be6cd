package importer

import (
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/pktline"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// hook writes one of the mirror's hooks.
func (w *world) hook(t *testing.T, name, script string) {
	t.Helper()
	dir := filepath.Join(w.down.Dir, "hooks")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

// TestMirrorOverHTTPRefusesRefs: what the mirror refuses of a pack is told as of
// a push, and everything else arrives.
func TestMirrorOverHTTPRefusesRefs(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		prepare func(t *testing.T, w *world, f *front)
		kind    core.FailureKind
		refused map[string]string // by ref, a part of the reason
		cause   string
	}{
		"an update hook": {
			func(t *testing.T, w *world, _ *front) { w.hook(t, "update", `[ "$1" != refs/heads/next ]`) }, core.FailRefused,
			map[string]string{"refs/heads/next": "hook declined"},
			"downstream refused refs/heads/next: hook declined",
		},
		"a hook for all": {
			func(t *testing.T, w *world, _ *front) { w.hook(t, "pre-receive", "echo >&2 not today; exit 1") }, core.FailRefused,
			map[string]string{
				"refs/heads/main": "pre-receive hook declined", "refs/heads/next": "pre-receive hook declined",
				"refs/tags/light": "pre-receive hook declined", "refs/tags/v1": "pre-receive hook declined",
			},
			"(and 3 more refs)",
		},
		"a hook that knows more": {
			func(t *testing.T, w *world, _ *front) {
				w.hook(t, "update", `[ "$1" != refs/heads/next ] || { echo >&2 "GitLab: LFS objects are missing."; exit 1; }`)
			}, core.FailLFS,
			map[string]string{"refs/heads/next": "hook declined"},
			"LFS objects are missing",
		},
		"hidden refs": {
			func(_ *testing.T, w *world, _ *front) { w.down.Git("config", "receive.hideRefs", "refs/tags") }, core.FailRefused,
			map[string]string{"refs/tags/light": "deny updating a hidden ref", "refs/tags/v1": "deny updating a hidden ref"},
			"hidden ref",
		},
		"somebody else is faster": {
			func(_ *testing.T, w *world, f *front) {
				f.pack = func(rw http.ResponseWriter, r *http.Request) {
					w.down.Commit("refs/heads/main", "somebody else's")
					f.next.ServeHTTP(rw, r)
				}
			}, core.FailRefused,
			map[string]string{"refs/heads/main": "failed to update ref"},
			"downstream refused refs/heads/main",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := w.behindFront(t)
			test.prepare(t, w, f)
			report := w.mustFail(test.kind)
			if !strings.Contains(report.Failure.Cause, test.cause) {
				t.Errorf("got %q", report.Failure.Cause)
			}
			want, down := w.up.Mirrored(), w.down.Mirrored()
			for _, r := range report.Refs {
				switch reason, refused := test.refused[r.Ref]; {
				case refused && (r.Status != core.RefRejected || !strings.Contains(r.Reason, reason)), !refused && r.Status != core.RefNew:
					t.Errorf("got %+v", r)
				case refused && down[r.Ref] == want[r.Ref]:
					t.Errorf("%s has arrived", r.Ref)
				}
			}
			for ref, object := range want {
				if test.refused[ref] == "" && down[ref] != object {
					t.Errorf("%s has not arrived", ref)
				}
			}
			if got := f.packs(); got != [2]int{1, 0} || len(report.Refs) != len(want) {
				t.Errorf("%v packs came, %d refs were told of\n%s", got, len(report.Refs), w.out)
			}
			w.down.Fsck()
		})
	}
}

// TestFasterPusherIsNotOverwritten: what somebody else has put into the mirror
// between our look and our pack stays, then and in later runs.
func TestFasterPusherIsNotOverwritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.behindFront(t)
	f.pack = func(rw http.ResponseWriter, r *http.Request) {
		w.down.Commit("refs/heads/main", "somebody else's")
		w.down.Git("tag", "theirs", "refs/heads/main")
		f.next.ServeHTTP(rw, r)
	}
	w.mustFail(core.FailRefused)
	theirs := w.down.Refs("refs/heads/main", "refs/tags/theirs")
	w.mustFail(core.FailDiverged)
	if diff := cmp.Diff(theirs, w.down.Refs("refs/heads/main", "refs/tags/theirs")); diff != "" || len(theirs) != 2 {
		t.Error(diff)
	}
}

// TestFasterPusherOfTheSame: a mirror may still be at work on what a run sent
// that was killed. What it creates is what is wanted.
func TestFasterPusherOfTheSame(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.behindFront(t)
	f.pack = func(rw http.ResponseWriter, r *http.Request) {
		w.down.Git("fetch", "-q", w.up.Dir, "refs/*:refs/*")
		f.next.ServeHTTP(rw, r)
	}
	w.mustRun()
	w.mustEqual()
	if got := f.packs(); got != [2]int{1, 0} {
		t.Errorf("%v packs came", got)
	}
}

// TestMirrorOverHTTPThatFails: git takes over where a pack did not arrive, and
// says what is in its way if it is in git's, too.
func TestMirrorOverHTTPThatFails(t *testing.T) {
	t.Parallel()
	status := func(code int) func(*testing.T, *world, *front) {
		return func(_ *testing.T, _ *world, f *front) {
			f.all = func(rw http.ResponseWriter, _ *http.Request) { http.Error(rw, "no", code) }
		}
	}
	for name, test := range map[string]struct {
		prepare func(t *testing.T, w *world, f *front)
		kind    core.FailureKind // "" when all arrives
		packs   [2]int
	}{
		"401": {status(http.StatusUnauthorized), core.FailAuth, [2]int{1, 1}},
		"413": {status(http.StatusRequestEntityTooLarge), core.FailRefused, [2]int{1, 1}},
		"500": {status(http.StatusInternalServerError), core.FailNetwork, [2]int{1, 1}},
		"a page": {func(_ *testing.T, _ *world, f *front) {
			f.pack = func(rw http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(rw, "<html>welcome</html>") }
		}, "", [2]int{1, 1}},
		"a redirect": {func(t *testing.T, _ *world, f *front) {
			elsewhere := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s came after a redirect", r.Method) }))
			t.Cleanup(elsewhere.Close)
			f.all = func(rw http.ResponseWriter, r *http.Request) {
				http.Redirect(rw, r, elsewhere.URL+r.URL.Path, http.StatusTemporaryRedirect)
			}
		}, core.FailGone, [2]int{1, 1}},
		"cut off in the pack": {func(t *testing.T, _ *world, f *front) {
			f.pack = func(rw http.ResponseWriter, r *http.Request) {
				_, _ = io.CopyN(io.Discard, r.Body, 400)
				cut(t, rw)
			}
		}, "", [2]int{1, 1}},
		"half of the pack arrives": {func(t *testing.T, _ *world, f *front) {
			f.pack = func(rw http.ResponseWriter, r *http.Request) {
				r.Body, r.ContentLength = io.NopCloser(io.LimitReader(r.Body, r.ContentLength-30)), r.ContentLength-30
				f.next.ServeHTTP(rw, r)
			}
		}, "", [2]int{1, 1}},
		"cut off after the work": {func(t *testing.T, _ *world, f *front) {
			f.pack = func(rw http.ResponseWriter, r *http.Request) {
				f.next.ServeHTTP(httptest.NewRecorder(), r)
				cut(t, rw)
			}
		}, "", [2]int{1, 0}}, // git finds it done
		"a report that breaks off": {func(_ *testing.T, _ *world, f *front) {
			f.pack = func(rw http.ResponseWriter, r *http.Request) {
				answer := httptest.NewRecorder()
				f.next.ServeHTTP(answer, r)
				rw.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
				_, _ = rw.Write(answer.Body.Bytes()[:answer.Body.Len()-20])
			}
		}, "", [2]int{1, 0}},
		"a report that tells of no ref": {func(_ *testing.T, _ *world, f *front) {
			f.pack = func(rw http.ResponseWriter, r *http.Request) {
				f.next.ServeHTTP(httptest.NewRecorder(), r)
				rw.Header().Set("Content-Type", "application/x-git-receive-pack-result")
				_, _ = io.WriteString(rw, pktline.Line("\x01"+pktline.Line("unpack ok\n")+"0000")+"0000")
			}
		}, "", [2]int{1, 0}},
		"the disk is full": {func(_ *testing.T, _ *world, f *front) {
			f.pack = func(rw http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				rw.Header().Set("Content-Type", "application/x-git-receive-pack-result")
				_, _ = io.WriteString(rw, pktline.Line("\x02fatal: write error: No space left on device\n")+
					pktline.Line("\x01"+pktline.Line("unpack index-pack abnormal exit\n")+pktline.Line("ng refs/heads/main unpacker error\n")+"0000")+"0000")
			}
		}, core.FailDisk, [2]int{1, 0}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := w.behindFront(t)
			test.prepare(t, w, f)
			if test.kind != "" {
				w.mustFail(test.kind)
				if got := w.down.Mirrored(); len(got) > 0 {
					t.Errorf("the mirror has %v", got)
				}
			} else {
				w.mustRun()
				w.mustEqual()
			}
			if got := f.packs(); got != test.packs {
				t.Errorf("%v packs came\n%s", got, w.out)
			}
		})
	}
}

// works says every half second that it is at work, so many times, or says
// nothing until the client has gone.
func works(rw http.ResponseWriter, r *http.Request, times int) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for n := 0; times == 0 || n < times; n++ {
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		}
		if times > 0 {
			_, _ = io.WriteString(rw, pktline.Line("\x02working\r"))
			_ = http.NewResponseController(rw).Flush()
		}
	}
}

// TestMirrorOverHTTPThatStalls: a server that says nothing any more is given up,
// one that is slow but goes on is not.
func TestMirrorOverHTTPThatStalls(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		own   bool // the mirror has something: git pushes
		times int
		kind  core.FailureKind
		packs [2]int
	}{
		"nothing comes":         {false, 0, core.FailNetwork, [2]int{1, 0}},
		"a little comes":        {false, 6, "", [2]int{1, 0}},
		"a little comes to git": {true, 6, "", [2]int{0, 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			f := w.behindFront(t)
			if test.own {
				w.down.Git("fetch", "-q", w.up.Dir, "refs/heads/main:refs/heads/main")
			}
			f.all = func(rw http.ResponseWriter, r *http.Request) {
				answer := httptest.NewRecorder()
				f.next.ServeHTTP(answer, r)
				rw.Header().Set("Content-Type", answer.Header().Get("Content-Type"))
				works(rw, r, test.times)
				_, _ = io.Copy(rw, answer.Body)
			}
			if report := w.run(); report.Failure.Kind != test.kind {
				t.Errorf("got %+v\n%s", report.Failure, w.out)
			}
			if got := f.packs(); got != test.packs {
				t.Errorf("%v packs came", got)
			}
			w.mustEqual()
		})
	}
}

// TestUpstreamThatWorksLong: an upstream that packs for longer than one may
// stall, and says so, is waited for.
func TestUpstreamThatWorksLong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	up := gittest.NewServer(t, filepath.Dir(w.up.Dir))
	const section = "000dpackfile\n"
	worked := make(chan bool, 1)
	slow := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		answer := httptest.NewRecorder()
		up.ServeHTTP(answer, r)
		maps.Copy(rw.Header(), answer.Header())
		if text, ok := strings.CutPrefix(answer.Body.String(), section); ok {
			_, _ = io.WriteString(rw, section)
			works(rw, r, 6)
			_, _ = io.WriteString(rw, text)
			worked <- true
			return
		}
		_, _ = io.Copy(rw, answer.Body)
	}))
	t.Cleanup(slow.Close)
	w.opts.Spec.Access.URL = slow.URL + "/" + filepath.Base(w.up.Dir)
	w.mustRun()
	w.mustEqual()
	if len(worked) != 1 {
		t.Error("upstream did not work long")
	}
}

// TestStoppedWhileAPackIsSent: the mirror has nothing of a pack that did not
// come to its end, and the next run brings it all.
func TestStoppedWhileAPackIsSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	f := w.behindFront(t)
	ctx, stop := context.WithCancelCause(t.Context())
	f.pack = func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.CopyN(io.Discard, r.Body, 400)
		stop(ErrStopped)
		_, _ = io.Copy(io.Discard, r.Body) // until the connection ends
	}
	if report := w.runIn(ctx); report.Failure.Kind != core.FailKilled || report.Exit != ExitStopped {
		t.Errorf("got %+v", report)
	}
	if got := w.down.Mirrored(); len(got) > 0 {
		t.Errorf("the mirror has %v", got)
	}
	f.pack = nil
	w.mustRun()
	w.mustEqual()
	if got := f.packs(); got != [2]int{2, 0} {
		t.Errorf("%v packs came", got)
	}
}

// TestMirrorOverHTTPIsPushedTo: a pack that holds more than is wanted, or less
// than all, is not sent, nor one to a mirror that has something.
func TestMirrorOverHTTPIsPushedTo(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, w *world, f *front){
		"not all is wanted":          func(_ *testing.T, w *world, _ *front) { w.opts.Spec.Refspecs = []string{"refs/heads/main"} },
		"it has a branch of its own": func(_ *testing.T, w *world, _ *front) { w.down.Commit("refs/heads/own", "own") },
		"there are push options":     func(_ *testing.T, w *world, _ *front) { w.opts.PushOptions = []string{"ci.skip"} },
		"it hides what it has": func(_ *testing.T, w *world, _ *front) {
			w.down.Commit("refs/own/one", "own")
			w.down.Git("config", "uploadpack.hideRefs", "refs/own")
		},
		"it does not tell of refs": func(_ *testing.T, _ *world, f *front) {
			f.next = without(f.next, "report-status ")
		},
		"there are two packs": func(_ *testing.T, w *world, _ *front) {
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
			f := w.behindFront(t)
			prepare(t, w, f)
			report := w.run()
			if got := f.packs(); got != [2]int{0, 1} || report.Exit != ExitDone {
				t.Errorf("%v packs came: %+v\n%s", got, report.Failure, w.out)
			}
			if name == "not all is wanted" {
				if out, err := w.down.Try("cat-file", "-e", w.up.Refs("refs/heads/next")["refs/heads/next"]); err == nil {
					t.Errorf("what was not wanted is there: %s", out)
				}
			}
			w.down.Fsck()
		})
	}
}
