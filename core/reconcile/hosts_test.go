package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

func TestListingGivesLorries(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"z/y": "first", "z": "second", "keep": "keep"}`, `"ignore": ["z/*/secret*"]`, `"rewrites": "hold"`)))
		w.read()
		if got := w.paths(); len(got) > 0 || w.host("h").LsDue.After(w.clock.Now()) {
			t.Errorf("before the listing: %v, %+v", got, w.host("h"))
		}
		h := w.hosts.has("h", "z/y/a", "z/b", "z", "zz/c", "other/d", "z/q/secret/e", "z/disabled", "z/empty")
		h.repos[6].Disabled, h.repos[7].Empty = true, true
		if diff := cmp.Diff([]string{"h"}, w.list(false)); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"host:h first/a", "host:h second/b"}, w.paths()); diff != "" {
			t.Error(diff)
		}
		want := core.Lorry{
			Path: "first/a", Section: "host:h", Host: "h", HostPath: "z/y/a", UpstreamHost: "h", Repository: "h/git/z/y/a", Interval: time.Hour, Timeout: time.Hour,
			Rewrites: core.RewriteHold, ListedHead: "refs/heads/main", ListedDescription: "h: about z/y/a",
			Text: "{\n    \"first/a\": {\n        \"type\": \"git\",\n        \"url\": \"https://h/git/z/y/a\",\n        \"refspecs\": [\n            \"+refs/heads/*\",\n            \"+refs/tags/*\"\n        ]\n    }\n}",
		}
		if diff := cmp.Diff(want, w.lorries()[0]); diff != "" {
			t.Error(diff)
		}
		state := w.host("h")
		if !state.LsLast.Equal(w.clock.Now()) || !state.LsDue.Equal(w.clock.Now().Add(4*time.Hour)) || state.Listed != 8 || state.LsError+state.Purge != "" {
			t.Errorf("got %+v", state)
		}

		// Not due; then again, with nothing new.
		if got := w.list(false); len(got) > 0 || h.calls != 1 {
			t.Errorf("listed %v though it is not due", got)
		}
		changed := w.changed
		if got := w.list(true); len(got) != 1 || w.changed != changed {
			t.Errorf("listed %v, and something changed: %t", got, w.changed != changed)
		}
		w.read()
		if len(w.paths()) != 2 {
			t.Error("reading CONFGIT again lost generated Lorries")
		}
		w.clock.advance(4 * time.Hour)
		w.hosts.has("h", "z/b", "keep/new")
		w.list(false)
		if diff := cmp.Diff([]string{"host:h keep/new", "host:h second/b"}, w.paths()); diff != "" {
			t.Error(diff)
		}
		w.write(confgit.ConfFile, "[]")
		w.read()
		if hosts, err := w.store.Hosts(t.Context()); err != nil || len(hosts) > 0 || len(w.paths()) > 0 {
			t.Errorf("the host is gone, but %v, %v, %v", w.paths(), hosts, err)
		}
	})
}

func TestFailuresOfOneHost(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("a", `{"": "a"}`), hostSection("b", `{"": "b"}`), hostSection("none", `{"": "n"}`)))
		w.read()
		w.hosts.has("a", "1", "2", "3", "4", "5")
		w.hosts.has("b", "1")
		if diff := cmp.Diff([]string{"a", "b"}, w.list(false)); diff != "" {
			t.Error(diff)
		}
		if state := w.host("none"); !strings.Contains(state.LsError, `the adapter of "none" is missing`) || !state.LsDue.Equal(w.clock.Now().Add(5*time.Minute)) {
			t.Errorf("got %+v", state)
		}
		w.hosts.has("a", "1", "2", "3", "new").err = errors.New("connection lost") // so few that a whole listing would be believed
		w.hosts.has("b", "1", "2").err = nil
		if diff := cmp.Diff([]string{"b"}, w.list(true)); diff != "" {
			t.Error(diff)
		}
		want := []string{"host:a a/1", "host:a a/2", "host:a a/3", "host:a a/4", "host:a a/5", "host:a a/new", "host:b b/1", "host:b b/2"}
		if diff := cmp.Diff(want, w.paths()); diff != "" {
			t.Error("an incomplete listing removed something:", diff)
		}
		state := w.host("a")
		if state.LsError != "connection lost; the listing is not complete, so nothing was removed" || state.Listed != 5 {
			t.Errorf("got %+v", state)
		}
		w.hosts.has("a").err = &core.Error{Kind: core.KindRateLimited, Fact: "too many requests", RetryAfter: time.Hour}
		w.list(true)
		if state := w.host("a"); !state.LsDue.Equal(w.clock.Now().Add(time.Hour)) {
			t.Errorf("a host that asked to be left alone: %+v", state)
		}
		w.hosts.has("a", "1", "2", "3", "4", "5", "new")
		w.list(true)
		if state := w.host("a"); state.LsError != "" {
			t.Errorf("got %+v", state)
		}
	})
}

func TestOneHostIsListedAlone(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("a", `{"": "a"}`), hostSection("b", `{"": "b"}`)))
		w.read()
		a := w.hosts.has("a", "1")
		b := w.hosts.has("b", "1", "2")
		for host, want := range map[string][]string{"b": {"b"}, "none": nil} {
			got, err := w.r.ListHost(t.Context(), host)
			if diff := cmp.Diff(want, got); diff != "" || (core.KindOf(err) == core.KindNotFound) != (host == "none") || err != nil && host == "b" {
				t.Errorf("%s: %v %s", host, err, diff)
			}
		}
		if diff := cmp.Diff([]string{"host:b b/1", "host:b b/2"}, w.paths()); diff != "" || a.calls != 0 || b.calls != 1 {
			t.Errorf("a was asked %d times and b %d times %s", a.calls, b.calls, diff)
		}
		b.err = errors.New("connection lost")
		if got, err := w.r.ListHost(t.Context(), "b"); len(got) > 0 || err != nil || w.host("b").LsError == "" {
			t.Errorf("a host that fails: %v, %v, %q", got, err, w.host("b").LsError)
		}
	})
}

// numbered gives n paths.
func numbered(from, to int) []string {
	var paths []string
	for i := from; i < to; i++ {
		paths = append(paths, fmt.Sprintf("r%04d", i))
	}
	return paths
}

func TestShrinkGuard(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
		w.read()
		count := func(paths ...string) int {
			w.clock.advance(time.Hour)
			w.hosts.has("h", paths...)
			w.list(true)
			return len(w.paths())
		}
		if n := count(numbered(0, 200)...); n != 200 {
			t.Fatalf("got %d", n)
		}
		if n := count(numbered(10, 200)...); n != 190 || w.host("h").Purge != "" {
			t.Errorf("5 %% may go: got %d, %q", n, w.host("h").Purge)
		}
		if n := count(numbered(30, 200)...); n != 190 {
			t.Errorf("20 of 190 went: %d are left", n)
		}
		want := `the listing lacks 20 of 190 repositories, such as "h/r0010"; none is removed until 3 complete listings in a row, 1h0m0s or more apart, agree (this is number 1) or an admin approves`
		if diff := cmp.Diff(want, w.host("h").Purge); diff != "" {
			t.Error(diff)
		}
		if n := count(numbered(31, 201)...); n != 191 || !strings.Contains(w.host("h").Purge, "number 1") {
			t.Errorf("a listing that does not agree counted: %d, %q", n, w.host("h").Purge)
		}
		w.restart() // it goes on counting
		w.read()
		if n := count(numbered(31, 201)...); n != 191 || !strings.Contains(w.host("h").Purge, "number 2") {
			t.Errorf("the second: %d, %q", n, w.host("h").Purge)
		}
		w.hosts.has("h").err = errors.New("lost")
		w.list(true)
		if len(w.paths()) != 191 || !strings.Contains(w.host("h").Purge, "number 2") {
			t.Errorf("an incomplete one: %d, %q", len(w.paths()), w.host("h").Purge)
		}
		if n := count(numbered(31, 201)...); n != 170 || w.host("h").Purge != "" {
			t.Errorf("the third: %d, %q", n, w.host("h").Purge)
		}

		// An admin can say that it is right.
		if n := count(); n != 170 {
			t.Errorf("an empty listing removed all but %d", n)
		}
		w.hosts.has("h", numbered(31, 35)...)
		for range 2 { // of something else, the second time with nothing held
			if err := w.r.ApprovePurge(t.Context(), "h"); err == nil || core.KindOf(err) != core.KindConflict || len(w.paths()) != 170 {
				t.Errorf("what was not seen was approved: %v, %d are left", err, len(w.paths()))
			}
			count(numbered(31, 201)...)
			w.hosts.has("h")
		}
		if n := count(); n != 170 {
			t.Errorf("an empty listing removed all but %d", n)
		}
		if err := w.r.ApprovePurge(t.Context(), "h"); err != nil || len(w.paths()) != 0 || w.host("h").Purge != "" {
			t.Errorf("got %v, %v, %q", err, w.paths(), w.host("h").Purge)
		}
		if err := w.r.ApprovePurge(t.Context(), "nobody"); err == nil || core.KindOf(err) != core.KindNotFound {
			t.Errorf("got %v", err)
		}
		// Three may always go.
		count(numbered(0, 4)...)
		if n := count(numbered(3, 4)...); n != 1 {
			t.Errorf("got %d, want 1", n)
		}
	})
}

// What the admin leaves out is not a shrunken listing.
func TestConfgitRemovalsAreNotHeld(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
		w.read()
		w.hosts.has("h", append(numbered(0, 50), "keep")...)
		w.list(false)
		w.write(confgit.ConfFile, conf(strings.Replace(hostSection("h", `{"": "h"}`, `"ignore": ["r*"]`), `"1h"`, `"3h"`, 1)))
		w.read()
		if diff := cmp.Diff([]string{"host:h h/keep"}, w.paths()); diff != "" {
			t.Error(diff)
		}
		if l := w.lorries()[0]; l.Interval != 3*time.Hour {
			t.Errorf("the new interval is not used: %s", l.Interval)
		}
		if w.host("h").LsDue.After(w.clock.Now()) {
			t.Error("a section that changed is not listed soon")
		}
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "elsewhere"}`)))
		w.read()
		w.list(false)
		if n := len(w.paths()); n != 51 || !strings.HasPrefix(w.paths()[0], "host:h elsewhere/") {
			t.Errorf("got %d: %v", n, w.paths()[:1])
		}
	})
}

// The last one in CONFGIT gets a path, and .lorry files come before listings.
func TestSamePathFromSeveralSections(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(
			hostSection("a", `{"": "m"}`), hostSection("b", `{"x": "m/x", "y": "m/x"}`), hostSection("c", `{"": "c"}`), section("m", "*.lorry")))
		w.write("f.lorry", lorryFile("file"))
		w.read()
		w.hosts.has("a", "file", "x/1", "z")
		w.hosts.has("b", "x/1", "y/1", "x/bad..lock.lock")
		w.hosts.has("c", "1")
		want := []string{"host:a m/z", "host:b m/x/1", "host:c c/1", "lorries:m m/file"}
		for range 3 {
			w.list(true)
		}
		if diff := cmp.Diff(want, w.paths()); diff != "" {
			t.Error(diff)
		}
		wantProblems := `lorry-controller.conf: a: "file" is mapped to "m/file", which lorries:m gives as well; the latter is used
lorry-controller.conf: a: "x/1" is mapped to "m/x/1", which host:b gives as well; the latter is used
lorry-controller.conf: b: "x/bad..lock.lock" can't be mirrored: the name "m/x/bad..lock.lock" has a part that ends in ".lock"
lorry-controller.conf: b: "x/1" and "y/1" are both mapped to "m/x/1"; the first one is mirrored`
		if diff := cmp.Diff(wantProblems, w.stored()); diff != "" {
			t.Error(diff)
		}
		if got := w.lorries()[1]; got.HostPath != "x/1" {
			t.Errorf("got %+v", got)
		}
		w.hosts.has("b")
		w.hosts.has("a", "x/1", "z")
		w.list(true) // b loses m/x/1 …
		w.list(true) // … and a gets it
		if diff := cmp.Diff([]string{"host:a m/x/1", "host:a m/z", "host:c c/1", "lorries:m m/file"}, w.paths()); diff != "" || w.stored() != "" {
			t.Error(diff, w.stored())
		}
	})
}

// A section that changes under a listing makes the listing worthless.
func TestListingOfAChangedSection(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, now string
		want      []string // at the next listing
	}{
		{"changed", conf(hostSection("h", `{"": "new"}`)), []string{"host:h new/x"}},
		{"removed", conf(), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(clock core.Clock) store { return newMemory(clock) })
			w.write(confgit.ConfFile, conf(hostSection("h", `{"": "old"}`)))
			w.read()
			h := w.hosts.has("h", "x")
			done := w.listing(t.Context(), h)
			w.write(confgit.ConfFile, tt.now)
			w.read()
			close(h.wait)
			if listed := <-done; len(listed) > 0 || len(w.paths()) > 0 {
				t.Errorf("got %v, %v", listed, w.paths())
			}
			h.wait = nil
			w.list(false)
			if diff := cmp.Diff(tt.want, w.paths()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// listing begins to list all hosts, and returns as soon as h is asked, which
// answers when its wait is closed.
func (w *world) listing(ctx context.Context, h *fakeHost) (done chan []string) {
	h.began, h.wait, done = make(chan struct{}), make(chan struct{}), make(chan []string)
	go func() {
		listed, err := w.r.ListHosts(ctx, true)
		if err != nil && ctx.Err() == nil {
			w.Error(err)
		}
		done <- listed
	}()
	<-h.began
	return done
}

// TestAListingThatIsStoppedIsNoFailureOfTheHost: the program ends.
func TestAListingThatIsStoppedIsNoFailureOfTheHost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(clock core.Clock) store { return newMemory(clock) })
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	h := w.hosts.has("h", "x")
	before := w.host("h")
	ctx, stop := context.WithCancel(t.Context())
	done := w.listing(ctx, h)
	stop()
	<-done
	if diff := cmp.Diff(before, w.host("h")); diff != "" {
		t.Errorf("what is known of the host (-before +after):\n%s", diff)
	}
}

func TestManyRepositories(t *testing.T) {
	t.Parallel()
	memory := newMemory(newClock().Now)
	w := newWorld(t, func(core.Clock) store { return memory })
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	w.hosts.has("h", numbered(0, 3001)...)
	w.list(false)
	w.hosts.has("h", numbered(2, 3001)...)
	w.list(true)
	if len(memory.lorries) != 2999 || memory.largest > 500 {
		t.Errorf("got %d Lorries, %d in one call", len(memory.lorries), memory.largest)
	}
}
