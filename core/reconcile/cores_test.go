package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// archives is what a section says whose mirrors are archived when they go.
const archives = `"retire": "archive"`

// another gives a core with the same CONFGIT and STATEDB, whose hosts say what
// they say to it.
func (w *world) another() *world {
	w.Helper()
	o := &world{T: w.T, dir: w.dir, clock: w.clock, store: w.store, hosts: &hosts{byName: map[string]*fakeHost{}}}
	o.restart()
	return o
}

// archived gives what is to be archived downstream.
func (w *world) archived() (paths []string) {
	w.Helper()
	db, ok := w.store.(*statedb.DB)
	if !ok {
		memory, _ := w.store.(*memoryStore)
		return memory.retired
	}
	all, err := db.DueRetirements(w.Context(), w.clock.Now().Add(time.Hour), 1000)
	if err != nil {
		w.Fatal(err)
	}
	for _, r := range all {
		paths = append(paths, r.Path)
	}
	return paths
}

// push is a webhook that tells of something new at a host.
func (w *world) push(host string) {
	w.Helper()
	if db, ok := w.store.(*statedb.DB); ok {
		q := queue.New(queue.Options{Store: db, Clock: w.clock.Now})
		if r, err := q.Pushed(w.Context(), queue.Push{Hosts: []string{host}}); err != nil || r.Hosts != 1 {
			w.Fatal(r, err)
		}
		return
	}
	if err := w.store.AskListing(w.Context(), []string{host}); err != nil {
		w.Fatal(err)
	}
}

// TestAnOlderListingOfAnotherCore: two cores list one host, and the one that began
// first ends last.
func TestAnOlderListingOfAnotherCore(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`, archives)))
		w.read()
		other := w.another()
		old := w.hosts.has("h", "a")
		done := w.listing(t.Context(), old)
		other.hosts.has("h", "b", "c", "d") // a is gone since, the others are new
		other.list(true)
		want := w.paths()
		close(old.wait)
		if listed := <-done; len(listed) > 0 {
			t.Errorf("the older listing counts: %v", listed)
		}
		if diff := cmp.Diff(want, w.paths()); diff != "" || len(want) != 3 || len(w.archived()) > 0 {
			t.Errorf("to be archived: %v; mirrors (-before +after):\n%s", w.archived(), diff)
		}
		if w.host("h").LsDue.After(w.clock.Now()) {
			t.Errorf("the host is not listed again before %s", w.host("h").LsDue)
		}
		old.wait = nil
		w.hosts.has("h", "b", "c", "d", "e")
		w.list(false)
		if len(w.paths()) != 4 || !w.host("h").LsDue.Equal(w.clock.Now().Add(4*time.Hour)) {
			t.Errorf("afterwards: %v, listed next at %s", w.paths(), w.host("h").LsDue)
		}
	})
}

// TestAListingOfASectionThatAnotherCoreHasChanged: this core has not followed yet
// when its listing ends.
func TestAListingOfASectionThatAnotherCoreHasChanged(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "old"}`, archives)))
		w.read()
		w.hosts.has("h", "a", "b")
		w.list(true)
		other := w.another()
		old := w.hosts.has("h", "a", "b")
		done := w.listing(t.Context(), old)
		other.hosts.has("h", "a", "b")
		other.write(confgit.ConfFile, conf(hostSection("h", `{"": "new"}`, archives)))
		other.read()
		close(old.wait)
		<-done
		if got := w.paths(); len(got) > 0 {
			t.Errorf("what the section said before came back: %v", got)
		}
		other.list(false)
		if diff := cmp.Diff([]string{"host:h new/a", "host:h new/b"}, w.paths()); diff != "" {
			t.Error(diff)
		}
	})
}

// slowSource waits between fetching CONFGIT and reading it, once.
type slowSource struct {
	reconcile.Source
	began, wait chan struct{}
}

func (s *slowSource) Read(ctx context.Context, commit string) (*confgit.Config, error) {
	c, err := s.Source.Read(ctx, commit)
	if s.began != nil {
		close(s.began)
		s.began = nil
		<-s.wait
	}
	return c, err
}

// TestAnOlderCommitOfAnotherCore: the core that has fetched the older commit
// applies it last.
func TestAnOlderCommitOfAnotherCore(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		sections := conf(`{"type": "lorries", "interval": "1h", "prefix": "p", "globs": ["*.lorry"], "retire": "archive"}`)
		w.write("a.lorry", lorryFile("a"))
		w.write(confgit.ConfFile, sections)
		began := make(chan struct{})
		slow := &slowSource{confgit.NewSource(confgit.Options{Directory: w.dir}), began, make(chan struct{})}
		late := reconcile.New(reconcile.Options{Source: slow, Store: w.store, Upstreams: w.hosts, PurgeProtect: 5, Clock: w.clock.Now})
		done := make(chan error)
		go func() { _, err := late.ReadConfiguration(t.Context()); done <- err }()
		<-began
		w.write("b.lorry", lorryFile("b", "c", "d", "e", "f", "g"))
		w.read()
		want := w.paths()
		close(slow.wait)
		if err := <-done; err != nil {
			t.Error(err)
		}
		if diff := cmp.Diff(want, w.paths()); diff != "" || len(want) != 7 || len(w.archived()) > 0 {
			t.Errorf("to be archived: %v; mirrors (-before +after):\n%s", w.archived(), diff)
		}
		commit, err := w.store.ConfigCommit(t.Context())
		if now := late.Config().Commit; err != nil || now != commit {
			t.Errorf("the late core has %q in force, and %q is stored: %v", now, commit, err)
		}
	})
}

// TestAHookDuringAListing tells of a repository that the listing has passed.
func TestAHookDuringAListing(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
		w.read()
		w.clock.advance(time.Second) // it is overdue
		h := w.hosts.has("h", "a")
		done := w.listing(t.Context(), h)
		w.clock.advance(time.Second)
		w.push("h")
		w.clock.advance(time.Second)
		close(h.wait)
		if listed := <-done; len(listed) != 1 {
			t.Errorf("the listing does not count: %v", listed)
		}
		h.wait = nil
		w.hosts.has("h", "a", "b")
		w.list(false)
		if len(w.paths()) != 2 || !w.host("h").LsDue.Equal(w.clock.Now().Add(4*time.Hour)) {
			t.Errorf("got %v; the host is listed next at %s", w.paths(), w.host("h").LsDue)
		}
	})
}

// TestAnErrorWithNUL: a host answers with bytes that are no text.
func TestAnErrorWithNUL(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
		w.read()
		w.hosts.has("h", "a").err = core.Errorf(core.KindUnavailable, "the host answered %s", "oops\x00\xff")
		w.list(false)
		state := w.host("h")
		want := "the host answered oops\uFFFD\uFFFD; the listing is not complete, so nothing was removed"
		if diff := cmp.Diff(want, state.LsError); diff != "" || !state.LsDue.After(w.clock.Now()) {
			t.Errorf("listed again at %s: %s", state.LsDue, diff)
		}
	})
}
