package reconcile_test

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

var servers pgtest.Servers

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &servers)) }

// store is what the tests need of a STATEDB.
type store interface {
	reconcile.Store
	Problems(ctx context.Context) ([]core.Problem, error)
}

// onEveryStore runs a test on the fake and on both kinds of STATEDB.
func onEveryStore(t *testing.T, test func(t *testing.T, open func(core.Clock) store)) {
	t.Helper()
	t.Run("in memory", func(t *testing.T) {
		t.Parallel()
		test(t, func(clock core.Clock) store { return newMemory(clock) })
	})
	for name, url := range map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { return filepath.Join(t.TempDir(), "state.db") },
		"PostgreSQL": func(t *testing.T) string { return servers.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, func(clock core.Clock) store {
				db, err := statedb.Open(t.Context(), statedb.Options{URL: url(t), Clock: clock})
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { db.Close() })
				return db
			})
		})
	}
}

// memoryStore is a STATEDB in memory that knows nothing of jobs.
type memoryStore struct {
	clock    core.Clock
	mu       sync.Mutex
	commit   string
	problems []core.Problem
	lorries  map[string]core.Lorry
	hosts    map[string]core.HostState
	due      map[string]time.Time // first due times
	held     map[string]reconcile.HeldPurge
	policies map[string]core.RetirePolicy
	retired  []string
	turns    map[string]int64
	largest  int // Lorries in one call
	calls    map[string]int
}

func newMemory(clock core.Clock) *memoryStore {
	return &memoryStore{clock: clock, lorries: map[string]core.Lorry{}, hosts: map[string]core.HostState{}, due: map[string]time.Time{}, held: map[string]reconcile.HeldPurge{}, policies: map[string]core.RetirePolicy{}, calls: map[string]int{}, turns: map[string]int64{}}
}

func (s *memoryStore) call(name string) func() {
	s.mu.Lock()
	s.calls[name]++
	return s.mu.Unlock
}

func (s *memoryStore) ConfigCommit(context.Context) (string, error) {
	defer s.call("ConfigCommit")()
	return s.commit, nil
}

func (s *memoryStore) SetConfig(ctx context.Context, commit string, problems []core.Problem) error {
	defer s.call("SetConfig")()
	if s.over(ctx) {
		return reconcile.ErrOvertaken
	}
	s.commit, s.problems = commit, slices.Clone(problems)
	return nil
}

func (s *memoryStore) Problems(context.Context) ([]core.Problem, error) {
	defer s.call("Problems")()
	return slices.Clone(s.problems), nil
}

func (s *memoryStore) Sections(context.Context) ([]string, error) {
	defer s.call("Sections")()
	names := map[string]bool{}
	for _, l := range s.lorries {
		names[l.Section] = true
	}
	return slices.Sorted(maps.Keys(names)), nil
}

func (s *memoryStore) SectionLorries(_ context.Context, section, after string, limit int) ([]core.Lorry, error) {
	defer s.call("SectionLorries")()
	var found []core.Lorry
	for _, l := range s.lorries {
		if l.Section == section && l.Path > after {
			found = append(found, l)
		}
	}
	slices.SortFunc(found, func(a, b core.Lorry) int { return cmp.Compare(a.Path, b.Path) })
	return found[:min(limit, len(found))], nil
}

func (s *memoryStore) PutLorries(ctx context.Context, lorries []core.Lorry) error {
	defer s.call("PutLorries")()
	if s.over(ctx) {
		return reconcile.ErrOvertaken
	}
	s.largest = max(s.largest, len(lorries))
	for _, l := range lorries {
		s.lorries[l.Path] = l
	}
	return nil
}

func (s *memoryStore) PutLorriesDue(ctx context.Context, lorries []core.Lorry, due []time.Time) error {
	err := s.PutLorries(ctx, lorries)
	defer s.call("PutLorriesDue")()
	for i, l := range lorries {
		if _, known := s.due[l.Path]; !known {
			s.due[l.Path] = due[i]
		}
	}
	return err
}

func (s *memoryStore) HeldPurge(_ context.Context, host string) (reconcile.HeldPurge, error) {
	defer s.call("HeldPurge")()
	return s.held[host], nil
}

func (s *memoryStore) SetHeldPurge(ctx context.Context, host string, p reconcile.HeldPurge) error {
	defer s.call("SetHeldPurge")()
	if s.over(ctx) {
		return reconcile.ErrOvertaken
	}
	s.held[host] = p
	return nil
}

func (s *memoryStore) SetRetire(ctx context.Context, policies map[string]core.RetirePolicy) error {
	defer s.call("SetRetire")()
	if s.over(ctx) {
		return reconcile.ErrOvertaken
	}
	maps.Copy(s.policies, policies)
	return nil
}

func (s *memoryStore) RemoveLorries(ctx context.Context, paths []string) error {
	defer s.call("RemoveLorries")()
	if s.over(ctx) {
		return reconcile.ErrOvertaken
	}
	for _, path := range paths {
		if s.policies[s.lorries[path].Section] == core.RetireArchive {
			s.retired = append(s.retired, path)
		}
	}
	s.largest = max(s.largest, len(paths))
	for _, path := range paths {
		delete(s.lorries, path)
	}
	return nil
}

func (s *memoryStore) PutHosts(ctx context.Context, hosts []core.Host) error {
	defer s.call("PutHosts")()
	if s.over(ctx) {
		return reconcile.ErrOvertaken
	}
	known := map[string]core.HostState{}
	for _, h := range hosts {
		state, there := s.hosts[h.Name]
		if !there {
			state.LsDue = s.clock()
		}
		state.Name, state.Type, state.Protocol, state.Prefixes, state.Ignore = h.Name, h.Type, h.Protocol, h.Prefixes, h.Ignore
		state.LsInterval, state.Interval, state.Timeout = h.LsInterval, h.Interval, h.Timeout
		known[h.Name] = state
	}
	s.hosts = known
	return nil
}

func (s *memoryStore) Hosts(context.Context) ([]core.HostState, error) {
	defer s.call("Hosts")()
	var all []core.HostState
	for _, name := range slices.Sorted(maps.Keys(s.hosts)) {
		all = append(all, s.hosts[name])
	}
	return all, nil
}

func (s *memoryStore) HostListed(ctx context.Context, o reconcile.HostOutcome) error {
	defer s.call("HostListed")()
	if s.over(ctx) {
		return reconcile.ErrOvertaken
	}
	state, there := s.hosts[o.Name]
	if !there {
		return core.Errorf(core.KindNotFound, "there is no host %q", o.Name)
	}
	text := func(s string) string { // as both databases keep it
		return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
	}
	state.LsDue, state.LsError, state.Purge = o.Next, text(o.Error), text(o.Purge)
	if o.Complete && state.Asked != o.Asked {
		state.LsDue = o.At
	}
	if o.Complete {
		state.LsLast, state.Listed = o.At, o.Listed
	}
	s.hosts[o.Name] = state
	return nil
}

func (s *memoryStore) AskListing(ctx context.Context, hosts []string) error {
	defer s.call("AskListing")()
	if s.over(ctx) {
		return reconcile.ErrOvertaken
	}
	for _, name := range hosts {
		state, there := s.hosts[name]
		if !there {
			continue
		}
		if now := s.clock(); state.LsDue.After(now) {
			state.LsDue = now
		}
		state.Asked++
		s.hosts[name] = state
	}
	return nil
}

func (s *memoryStore) Turn(_ context.Context, name string) (int64, error) {
	defer s.call("Turn")()
	return s.turns[name], nil
}

func (s *memoryStore) TakeTurn(ctx context.Context, name string, seen int64) (int64, error) {
	defer s.call("TakeTurn")()
	if s.over(ctx) || seen >= 0 && seen != s.turns[name] {
		return 0, reconcile.ErrOvertaken
	}
	s.turns[name]++
	return s.turns[name], nil
}

// over tells whether the turn of the context is over.
func (s *memoryStore) over(ctx context.Context) bool {
	name, turn, there := reconcile.TurnOf(ctx)
	return there && s.turns[name] != turn
}

// clock is a clock that a test sets.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}
