package integration

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// TestKilledInMidApply kills a core while it applies a changed CONFGIT, again and
// again. The next one completes the change: the queue is exactly what CONFGIT
// says, what stays keeps its state, jobs go on, and nothing that an admin took
// out of CONFGIT is held back.
func TestKilledInMidApply(t *testing.T) {
	t.Parallel()
	for _, database := range []string{"SQLite", "PostgreSQL"} {
		t.Run(database, func(t *testing.T) {
			t.Parallel()
			rounds, lorries := 4, 1000
			if os.Getenv("LORRY_TEST_SOAK") != "" {
				rounds, lorries = 50, 10_000
			}
			a := newApplied(t, database == "PostgreSQL", lorries)
			a.write(0)
			a.start()
			began := time.Now()
			a.read()
			a.list()
			whole := time.Since(began)
			a.check(0)
			for round := 1; round <= rounds; round++ {
				a.round(round, whole)
			}
			t.Logf("killed %d times, %d of them between the first transaction of the change and the last", rounds, a.between)
			if a.between == 0 {
				t.Error("no kill came in the middle of a change")
			}
		})
	}
}

// applied is a controller whose CONFGIT changes.
type applied struct {
	*mortal
	lorries int
	between int // kills in the middle
}

func newApplied(t *testing.T, postgres bool, lorries int) *applied {
	t.Helper()
	m := newMortal(t, postgres)
	m.args = append(m.args, "--configuration-directory", filepath.Join(m.dir, "confgit"),
		"--debug-fake-trove", "up.example.org="+filepath.Join(m.dir, "listing.json"))
	return &applied{mortal: m, lorries: lorries}
}

func (a *applied) read() {
	a.Helper()
	a.want(0, "", http.MethodPost, "/1.0/read-configuration", "", http.StatusOK, "updated")
}

func (a *applied) list() {
	a.Helper()
	a.want(0, "", http.MethodPost, "/1.0/force-ls-troves", "", http.StatusOK, "")
}

// wish is what CONFGIT says in a round: of ten sections half have other Lorries
// in each round, one has other intervals, one goes away and one gives its Lorries
// to another; the host's section leaves out half of its repositories every other
// time.
func (a *applied) wish(round int) (files map[string]string, paths []string) {
	const sections = 10
	files = map[string]string{}
	var conf []string
	for s := range sections {
		if s == 9 && round%2 == 1 {
			continue
		}
		interval := "1h"
		if s == 8 {
			interval = fmt.Sprint(1+round%5, "h")
		}
		prefix := fmt.Sprintf("s%d", s)
		if s == 7 {
			prefix = fmt.Sprintf("moved%d", round%2)
		}
		conf = append(conf, fmt.Sprintf(`{"type": "lorries", "interval": %q, "prefix": %q, "globs": ["s%d.lorry"]}`, interval, prefix, s))
		var entries []string
		for i := range a.lorries / sections {
			if s < 5 && i > 0 {
				i += round * a.lorries / sections
			}
			entries = append(entries, fmt.Sprintf(`"r%06d": {"type": "git", "url": "https://git.example.com/s%d/%d"}`, i, s, i))
			paths = append(paths, fmt.Sprintf("%s/r%06d", prefix, i))
		}
		files[fmt.Sprintf("s%d.lorry", s)] = "{" + strings.Join(entries, ",\n") + "}"
	}
	ignore := "none/*"
	for i := range 200 {
		if round%2 == 1 && i >= 100 {
			ignore = "r/1*"
			continue
		}
		paths = append(paths, fmt.Sprintf("host/%03d", i))
	}
	conf = append(conf, fmt.Sprintf(`{"type": "trove", "host": "up.example.org", "protocol": "ssh", "prefixmap": {"r": "host"}, "ignore": [%q],
		"ls-interval": "24h", "interval": "1h"}`, ignore))
	files["lorry-controller.conf"] = "[" + strings.Join(conf, ",\n") + "]"
	slices.Sort(paths)
	return files, paths
}

func (a *applied) write(round int) {
	a.Helper()
	files, _ := a.wish(round)
	var listed []string
	for i := range 200 {
		listed = append(listed, fmt.Sprintf("r/%03d", i))
	}
	text, err := json.Marshal(map[string]any{"ls-output": listed})
	if err != nil {
		a.Fatal(err)
	}
	files["../listing.json"] = string(text)
	for name, text := range files {
		file := filepath.Join(a.dir, "confgit", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			a.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			a.Fatal(err)
		}
	}
}

// queue gives the paths of the run queue, sorted.
func (a *applied) queue() []string {
	a.Helper()
	_, text := a.ask(0, "", http.MethodGet, "/1.0/list-queue", "")
	var got struct{ Queue []string }
	if err := json.Unmarshal([]byte(text), &got); err != nil {
		a.Fatalf("%v: %s", err, text)
	}
	slices.Sort(got.Queue)
	return got.Queue
}

// check compares the queue with CONFGIT. Lorries whose jobs run are not in the
// queue's list of those that wait, and are given.
func (a *applied) check(round int, running ...string) {
	a.Helper()
	_, want := a.wish(round)
	want = slices.DeleteFunc(want, func(path string) bool { return slices.Contains(running, path) })
	got := slices.DeleteFunc(a.queue(), func(path string) bool { return slices.Contains(running, path) })
	if diff := cmp.Diff(want, got); diff != "" {
		a.Fatalf("round %d: the queue is not what CONFGIT says (-want +got)\n%.3000s", round, diff)
	}
	if _, text := a.ask(0, "", http.MethodGet, "/1.0/hosts", ""); !strings.Contains(text, `"purge":""`) {
		a.Errorf("round %d: removals are held back: %s", round, text)
	}
}

// applyJob is a job as a minion gets it.
type applyJob struct {
	ID    int64 `json:"job_id"`
	Fence int64
	Path  string
}

// claim has a Lorry run.
func (a *applied) claim(path string) applyJob {
	a.Helper()
	a.want(0, "", http.MethodPost, "/1.0/move-to-top", "path="+path, http.StatusOK, "")
	_, text := a.ask(0, "", http.MethodPost, "/1.0/give-me-job", "version=2&pid=1&host=box")
	var job applyJob
	if err := json.Unmarshal([]byte(text), &job); err != nil || job.Path != path {
		a.Fatalf("want a job of %q, got %v, %s", path, err, text)
	}
	return job
}

func (a *applied) finish(job applyJob) {
	a.Helper()
	a.want(0, "", http.MethodPost, "/1.0/job-update", fmt.Sprintf(`{"job_id": %d, "fence": %d, "exit": "0", "stdout": "done"}`, job.ID, job.Fence), http.StatusOK, "")
}

// round changes CONFGIT, kills the core while that is applied, and looks at what
// the next one has made of it.
func (a *applied) round(round int, whole time.Duration) {
	a.Helper()
	// One that stays has run, one is held, one runs, and so does one that goes.
	a.finish(a.claim("s0/r000000"))
	a.want(0, "", http.MethodPost, "/1.0/hold", "path=s5/r000001&reason=moving", http.StatusOK, "")
	stays := a.claim("s6/r000001")
	goes := a.claim(fmt.Sprintf("s1/r%06d", 1+(round-1)*a.lorries/10))
	before := []protocol.Lorry{a.lorry("s0/r000000"), a.lorry("s5/r000001")}
	_, old := a.wish(round - 1)
	_, next := a.wish(round)
	a.write(round)
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		a.ask(0, "", http.MethodPost, "/1.0/read-configuration", "")
	}()
	first := fmt.Sprintf("/1.0/lorry/moved%d/r000000", round%2) // of the first section to be written
	for end := time.Now().Add(patience); ; {
		if status, _ := a.ask(0, "", http.MethodGet, first, ""); status == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			a.Fatal("the change never began")
		}
	}
	delay := time.NewTimer(rand.N(whole / 10))
	<-delay.C
	a.kill()
	<-asked
	if n := a.countStored(next, old); n > 0 {
		a.between++
	}
	a.start()
	a.read()
	a.list()
	a.check(round, stays.Path, goes.Path)
	if diff := cmp.Diff(before, []protocol.Lorry{a.lorry("s0/r000000"), a.lorry("s5/r000001")}); diff != "" {
		a.Errorf("round %d: what stays has changed (-before +after)\n%s", round, diff)
	}
	a.finish(stays)
	a.finish(goes)
	a.check(round)
}

// countStored counts the Lorries that are new and those that were to go, as the
// core left them, if there are both.
func (a *applied) countStored(next, old []string) int {
	a.Helper()
	db, err := statedb.Open(a.Context(), statedb.Options{URL: a.database})
	if err != nil {
		a.Fatal(err)
	}
	defer db.Close()
	sections, err := db.Sections(a.Context())
	if err != nil {
		a.Fatal(err)
	}
	stored := map[string]bool{}
	for _, s := range sections {
		lorries, err := db.SectionLorries(a.Context(), s, "", 0)
		if err != nil {
			a.Fatal(err)
		}
		for _, l := range lorries {
			stored[l.Path] = true
		}
	}
	came, missing := 0, 0
	for _, path := range next {
		if _, had := slices.BinarySearch(old, path); had {
			continue
		}
		if stored[path] {
			came++
		} else if !strings.HasPrefix(path, "host/") {
			missing++
		}
	}
	left := 0
	for _, path := range old {
		if _, wanted := slices.BinarySearch(next, path); !wanted && stored[path] {
			left++
		}
	}
	if came > 0 && missing+left > 1 {
		return came
	}
	return 0
}
