package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

// watchedStore notes what it is asked to do.
type watchedStore struct {
	store
	removed []string
	texts   []int // bytes of specifications, by call
	putting error // of PutLorriesDue
}

func (s *watchedStore) RemoveLorries(ctx context.Context, paths []string) error {
	s.removed = append(s.removed, paths...)
	return s.store.RemoveLorries(ctx, paths)
}

func (s *watchedStore) PutLorriesDue(ctx context.Context, lorries []core.Lorry, due []time.Time) error {
	if s.putting != nil {
		return s.putting
	}
	size := 0
	for _, l := range lorries {
		size += len(l.Text)
	}
	s.texts = append(s.texts, size)
	return s.store.PutLorriesDue(ctx, lorries, due)
}

func watched(t *testing.T) (*world, *watchedStore) {
	t.Helper()
	w := newWorld(t, func(clock core.Clock) store { return newMemory(clock) })
	s := &watchedStore{store: w.store}
	w.store = s
	w.restart()
	return w, s
}

// TestALorryThatMovesKeepsItsState: it would lose it if it were removed first.
func TestALorryThatMovesKeepsItsState(t *testing.T) {
	t.Parallel()
	w, s := watched(t)
	w.write(confgit.ConfFile, conf(section("a", "*.lorry")))
	w.write("x.lorry", lorryFile("b/x"))
	w.read()
	w.write(confgit.ConfFile, conf(section("a/b", "*.lorry")))
	w.write("x.lorry", lorryFile("x"))
	w.read()
	if len(s.removed) > 0 {
		t.Errorf("removed and made anew: %v", s.removed)
	}
}

// TestWhatWasNotWrittenIsNotNotedAsRead: whoever goes on, after this program
// was killed, must see that there is something to do.
func TestWhatWasNotWrittenIsNotNotedAsRead(t *testing.T) {
	t.Parallel()
	w, s := watched(t)
	w.write(confgit.ConfFile, conf(section("a", "*.lorry")))
	w.read()
	commit, err := w.store.ConfigCommit(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	w.write(confgit.ConfFile, conf(section("a", "*.lorry"), hostSection("h", `{"": "h"}`)))
	w.write("x.lorry", lorryFile("x"))
	s.putting = errors.New("the disk is full")
	if _, err := w.r.ReadConfiguration(t.Context()); !errors.Is(err, s.putting) {
		t.Errorf("got %v", err)
	}
	if now, err := w.store.ConfigCommit(t.Context()); now != commit || err != nil {
		t.Errorf("commit %q is noted instead of %q: %v", now, commit, err)
	}
	if hosts, err := w.store.Hosts(t.Context()); len(hosts) > 0 || err != nil {
		t.Errorf("hosts are noted: %v, %v", hosts, err)
	}
	s.putting = nil
	w.restart()
	w.read()
	if diff := cmp.Diff([]string{"lorries:a a/x"}, w.paths()); diff != "" {
		t.Error(diff)
	}
}

// TestAHostsIntervalReachesItsLorriesAtOnce: not only with the next listing.
func TestAHostsIntervalReachesItsLorriesAtOnce(t *testing.T) {
	t.Parallel()
	memory := newMemory(newClock().Now)
	w := newWorld(t, func(core.Clock) store { return memory })
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	w.hosts.has("h", "a")
	w.list(true)
	w.write(confgit.ConfFile, strings.Replace(conf(hostSection("h", `{"": "h"}`)), `"interval": "1h"`, `"interval": "5m"`, 1))
	w.read()
	if got := memory.lorries["h/a"].Interval; got != 5*time.Minute {
		t.Errorf("the interval is %s", got)
	}
}

// TestAnApprovalNeedsAWholeListing: what is missing may only not have come yet.
func TestAnApprovalNeedsAWholeListing(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	w.hosts.has("h", numbered(0, 20)...)
	w.list(true)
	w.hosts.has("h", numbered(10, 20)...)
	w.list(true)
	w.hosts.has("h", numbered(10, 20)...).err = errors.New("connection lost")
	if err := w.r.ApprovePurge(t.Context(), "h"); core.KindOf(err) != core.KindUnavailable || len(w.paths()) != 20 {
		t.Errorf("%d are left of 20: %v", len(w.paths()), err)
	}
}

// TestLongSpecificationsGoInSmallerCalls: 500 of them would be too much for one
// transaction.
func TestLongSpecificationsGoInSmallerCalls(t *testing.T) {
	t.Parallel()
	w, s := watched(t)
	w.write(confgit.ConfFile, conf(section("p", "*.lorry")))
	refspecs := strings.Repeat(`"refs/heads/a", `, 6000) + `"refs/heads/b"`
	for i := range 40 {
		w.write(fmt.Sprintf("x%d.lorry", i), fmt.Sprintf(`{"x%d": {"type": "git", "url": "https://git.example.com/x", "refspecs": [%s]}}`, i, refspecs))
	}
	w.read()
	const most = 5 << 20
	for _, size := range s.texts {
		if size > most {
			t.Errorf("a call has %d bytes", size)
		}
	}
	if len(w.paths()) != 40 || len(s.texts) < 2 {
		t.Errorf("%d Lorries came in %d calls", len(w.paths()), len(s.texts))
	}
}

// TestProblemsOfHostsAreBounded: many hosts may each have something to tell.
func TestProblemsOfHostsAreBounded(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	var sections []string
	for i := range 150 {
		name := fmt.Sprintf("h%d.example.org", i)
		sections = append(sections, hostSection(name, fmt.Sprintf(`{"": "h%d"}`, i)))
		w.hosts.has(name, "-a", "-b", "-c", "-d", "-e", "-f", "-g", "-h")
	}
	w.write(confgit.ConfFile, conf(sections...))
	w.read()
	w.list(true)
	stored := strings.Count(w.stored(), "can't be mirrored")
	if stored < 900 || stored > 1000 || !strings.Contains(w.stored(), "there are 200 more problems") {
		t.Errorf("%d problems are stored: %.2000s", stored, w.stored())
	}
}

// TestAHostIsListedSoonButNotAgainAndAgain: jobs whose repository seems to be gone
// ask for it, and there may be many at once.
func TestAHostIsListedSoonButNotAgainAndAgain(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	host := w.hosts.has("h", "a")
	w.list(false)
	soon := func(name string, want int) {
		t.Helper()
		if err := w.r.ListSoon(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		w.list(false)
		if host.calls != want {
			t.Errorf("want %d listings, got %d", want, host.calls)
		}
	}
	soon("h", 1) // listed a moment ago
	w.clock.advance(time.Hour)
	soon("unknown", 1)
	soon("h", 2)
	soon("h", 2)
	w.clock.advance(5 * time.Hour)
	host.err = core.Errorf(core.KindUnavailable, "away")
	w.list(false) // fails, and is tried again in its time
	w.clock.advance(time.Minute)
	soon("h", 3)
}

// TestWhatWasHeldLapsesWhenTheHostHasItAgain: listings agree only in a row.
func TestWhatWasHeldLapsesWhenTheHostHasItAgain(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	for range 4 {
		w.hosts.has("h", numbered(0, 20)...)
		w.list(true)
		w.hosts.has("h", numbered(10, 20)...)
		w.list(true)
		if held := w.host("h").Purge; len(w.paths()) != 20 || !strings.Contains(held, "this is number 1") {
			t.Errorf("%d are left of 20, and held is %q", len(w.paths()), held)
		}
	}
}

// TestARepositoryWithAnAddressThatCanNotBeUsedKeepsItsLorry: the host still has it.
func TestARepositoryWithAnAddressThatCanNotBeUsedKeepsItsLorry(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	host := w.hosts.has("h", "a", "b")
	w.list(true)
	host.repos[0].CloneURL = "ext::sh -c true"
	w.list(true)
	if len(w.paths()) != 2 || !strings.Contains(w.stored(), "can't be mirrored") {
		t.Errorf("got %v, and problems %q", w.paths(), w.stored())
	}
}

// quietHost is one whose listing ends without a word when its time is over.
type quietHost struct{ fakeHost }

func (h *quietHost) Repos(ctx context.Context) iter.Seq2[core.Repo, error] {
	return func(yield func(core.Repo, error) bool) {
		if yield(h.repos[0], nil) {
			<-ctx.Done()
		}
	}
}

func (h *quietHost) Upstream(string) (core.Upstream, error) { return h, nil }

// TestAListingThatTookTooLongIsNotComplete: it would look like one that lacks the
// rest.
func TestAListingThatTookTooLongIsNotComplete(t *testing.T) {
	t.Parallel()
	w, _ := watched(t)
	w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
	w.read()
	host := w.hosts.has("h", "a", "b")
	w.list(true)
	w.r = reconcile.New(reconcile.Options{
		Source: confgit.NewSource(confgit.Options{Directory: w.dir}), Store: w.store, Upstreams: &quietHost{fakeHost{repos: host.repos}},
		PurgeProtect: 5, ListTimeout: time.Millisecond, Clock: w.clock.Now,
	})
	w.read()
	w.list(true)
	if got := w.host("h").LsError; len(w.paths()) != 2 || !strings.Contains(got, "took longer") {
		t.Errorf("got %v, and %q", w.paths(), got)
	}
}
