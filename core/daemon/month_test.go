package daemon

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

const simDay = 24 * time.Hour

// TestAMonth lives through a month of a busy installation, in the time of a
// synctest bubble, with the daemon's own wiring and a real SQLite STATEDB: jobs
// that succeed, fail, hang and vanish; an admin who holds, resumes, moves, stops
// and changes CONFGIT; hosts whose listings change or break off; cores that stop
// and crash; a wall clock that is set. What must hold is in book, and judged
// several times a day: no Lorry twice at once, none before its interval unless
// asked, none later while a minion waits for work, backoff capped and reset, no
// lease outlived, no job missing in the history, and a database that does not
// grow for ever.
func TestAMonth(t *testing.T) {
	t.Parallel()
	days, lorries := 2, 50
	if os.Getenv("LORRY_TEST_SOAK") != "" {
		days, lorries = 30, 100
	}
	dir, began := t.TempDir(), time.Now()
	synctest.Test(t, func(t *testing.T) {
		s := newSim(t, dir, days, lorries)
		for s.day = range days {
			s.live()
		}
		s.finish()
	})
	t.Logf("%d days took %s", days, time.Since(began).Round(time.Millisecond))
}

// sim is one month.
type sim struct {
	*testing.T
	dir     string
	draw    *rand.Rand
	days    int
	day     int
	begin   time.Time
	config  settings.Controller
	net     *simNet
	core    *simCore
	off     time.Duration // of the wall clock
	minions []*simMinion
	stop    func()
	book    *book

	intervals map[string]time.Duration // of what CONFGIT has
	listed    []string                 // paths below "up/"
	held      map[string]time.Time     // what is held, since when
	sizes     []figures
	added     int
}

// figures are sizes of the database at the end of a day.
type figures struct {
	rows   int
	output int64
	file   int64
}

func newSim(t *testing.T, dir string, days, lorries int) *sim {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	s := &sim{
		T: t, dir: dir, days: days, begin: time.Now(), draw: rand.New(rand.NewPCG(seed, 1)), net: &simNet{}, book: newBook(),
		intervals: map[string]time.Duration{}, held: map[string]time.Time{},
	}
	keep := time.Duration(days) * simDay / 6
	s.config = settings.Controller{
		Data: dir, StateDB: core.NewSecret(filepath.Join(dir, "state.db")), Confgit: settings.Confgit{Directory: s.mkdir("confgit")},
		FakeHosts: map[string]string{"up.example.org": filepath.Join(dir, "listing")}, PurgeProtect: 5,
		GhostTimeout: queue.DefaultGhostTimeout, MaxJobsPerHost: simPerHost, RetryBackoff: simDay, AffinityGrace: time.Minute,
		ReadConfiguration: 10 * time.Minute, LsTroves: 10 * time.Minute, MaxJobOutput: 1 << 20,
		Retention: settings.Retention{Age: keep, UnchangedAge: keep / 5, PerLorry: 100},
	}
	for i := range lorries {
		// One in 25 is wanted every 20 minutes, most of them once in a day or less.
		interval := []time.Duration{6 * time.Hour, simDay, simDay, 3 * simDay}[i%4]
		if i%25 == 0 {
			interval = 20 * time.Minute
		}
		s.want(fmt.Sprintf("c/%03d", i), interval)
	}
	for i := range lorries / 5 {
		s.listed = append(s.listed, fmt.Sprintf("up/%03d", i))
	}
	s.writeConfgit()
	s.writeListing(true)
	s.startCore()
	ctx, cancel := context.WithCancel(t.Context())
	var working sync.WaitGroup
	s.minions = simMinions(4, seed, s.net, s.fails)
	for _, m := range s.minions {
		working.Go(func() { m.run(ctx) })
	}
	s.stop = func() { cancel(); working.Wait() }
	t.Cleanup(s.end) // in the bubble
	return s
}

func (s *sim) mkdir(name string) string {
	dir := filepath.Join(s.dir, name)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		s.Fatal(err)
	}
	return dir
}

// fails says which Lorries have a broken upstream for days.
func (s *sim) fails(path string, at time.Time) bool {
	h := fnv.New32()
	h.Write([]byte(path))
	return (int(h.Sum32())+int(at.Sub(s.begin)/(2*simDay)))%9 == 0
}

// want has CONFGIT name a Lorry, or another interval for it; 0 removes it.
func (s *sim) want(path string, interval time.Duration) {
	p := s.book.paths[path]
	if p == nil {
		p = &ledgerOf{host: simHost(path)}
		s.book.paths[path] = p
	}
	s.book.loose[path] = append(s.book.loose[path], time.Now())
	if s.book.gone[path] = interval == 0; interval == 0 {
		delete(s.intervals, path)
		return
	}
	p.intervals = append(p.intervals, since{time.Now(), interval})
	s.intervals[path] = interval
}

// simHost is the upstream host name of a path.
func simHost(path string) string {
	if strings.HasPrefix(path, "up/") {
		return "up.example.org"
	}
	return fmt.Sprintf("h%c.example.org", path[len(path)-1])
}

func (s *sim) writeConfgit() {
	by := map[time.Duration][]string{}
	for path, interval := range s.intervals {
		by[interval] = append(by[interval], fmt.Sprintf(`%q: {"type": "git", "url": "https://%s/%s"}`, strings.TrimPrefix(path, "c/"), simHost(path), path))
	}
	sections := []string{`{"type": "trove", "host": "up.example.org", "protocol": "ssh", "interval": "12h", "ls-interval": "4h", "lorry-timeout": 3600, "prefixmap": {"pub": "up"}}`}
	for interval, lines := range by {
		slices.Sort(lines)
		name := fmt.Sprintf("every%d.lorry", interval/time.Minute)
		s.writeFile(filepath.Join(s.config.Confgit.Directory, name), "{"+strings.Join(lines, ",\n")+"}")
		sections = append(sections, fmt.Sprintf(`{"type": "lorries", "interval": "%dm", "lorry-timeout": 3600, "prefix": "c", "globs": [%q]}`, interval/time.Minute, name))
	}
	slices.Sort(sections)
	s.writeFile(filepath.Join(s.config.Confgit.Directory, "lorry-controller.conf"), "["+strings.Join(sections, ",\n")+"]")
}

// writeListing has the Upstream Host tell what it has, or break off.
func (s *sim) writeListing(whole bool) {
	var names []string
	for _, path := range s.listed {
		names = append(names, fmt.Sprintf("%q", "pub/"+strings.TrimPrefix(path, "up/")))
		if s.book.paths[path] == nil {
			s.book.paths[path] = &ledgerOf{host: simHost(path), intervals: []since{{interval: 12 * time.Hour}}}
		}
	}
	text := `{"ls-output": [` + strings.Join(names, ", ") + `]}`
	if !whole {
		text = text[:len(text)/2]
	}
	s.writeFile(filepath.Join(s.dir, "listing"), text)
}

func (s *sim) writeFile(name, text string) {
	if err := os.WriteFile(name+".new", []byte(text), 0o600); err != nil {
		s.Fatal(err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		s.Fatal(err)
	}
	// The time of the bubble is not that of the file system.
	if err := os.Chtimes(name, time.Now(), time.Now()); err != nil {
		s.Fatal(err)
	}
}

func (s *sim) startCore() {
	s.core = startSimCore(s.T, s.config, s.off)
	s.net.put(s.core)
}

// restart ends the core in one way or the other, and starts it after some time.
func (s *sim) restart(crash bool, down time.Duration) {
	began := time.Now()
	s.net.put(nil)
	s.core.end(s.T, crash)
	s.core = nil
	pass(s.Context(), down)
	s.startCore()
	// Minions that were refused ask again within simRetry; a job that nobody has
	// heard of is a ghost after its whole new lease.
	s.block(everything, began, time.Now().Add(simRetry))
}

func (s *sim) block(what string, from, to time.Time) {
	s.book.blocked[what] = append(s.book.blocked[what], stretch{from, to})
}

// end stops everything.
func (s *sim) end() {
	s.stop()
	if s.net.put(nil); s.core != nil {
		s.core.end(s.T, false)
	}
	s.core = nil
}

// must ends the test at an unexpected error.
func (s *sim) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}
