package daemon

import (
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

// newCore opens a core as far as its run queue, until it is closed or the test
// ends.
func newCore(t *testing.T, data, url string) (*Daemon, error) {
	t.Helper()
	d := &Daemon{opts: Options{Stderr: io.Discard}}
	d.config = settings.Controller{Data: data, StateDB: core.NewSecret(url), GhostTimeout: time.Minute}
	t.Cleanup(d.close)
	for _, open := range []func() error{
		func() error { return d.openPlace(t.Context()) }, func() error { return d.openLog(t.Context()) },
		func() error { return d.openQueue(t.Context()) },
	} {
		if err := open(); err != nil {
			d.close()
			return nil, err
		}
	}
	return d, nil
}

func mustCore(t *testing.T, data, url string) *Daemon {
	t.Helper()
	d, err := newCore(t, data, url)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// leads asks for the upkeep lease once, for far longer than a test takes.
func leads(t *testing.T, d *Daemon) bool {
	t.Helper()
	_, ok, err := d.db.TryLead(t.Context(), d.leaderPrefix()+"me", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

// A core that was killed has not resigned. Its next start does the upkeep at
// once all the same, and reads a CONFGIT that was changed meanwhile.
func TestTheNextStartTakesTheUpkeepOver(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	file := filepath.Join(data, "state.db")
	killed := mustCore(t, data, file)
	if !leads(t, killed) {
		t.Fatal("the first core does not lead")
	}
	killed.close()
	// Also from another data directory: the file itself is locked.
	if !leads(t, mustCore(t, t.TempDir(), file)) {
		t.Error("the next start waits for the lease of a dead core")
	}
}

func TestWithPostgresOnlyTheSameDirectoryTakesTheUpkeepOver(t *testing.T) {
	t.Parallel()
	servers := pgtest.New(t)
	url := servers.URL(t)
	here, there := t.TempDir(), t.TempDir()
	killed := mustCore(t, here, url)
	if !leads(t, killed) {
		t.Fatal("the first core does not lead")
	}
	other := mustCore(t, there, url)
	if leads(t, other) {
		t.Fatal("a core that starts ends the lease of one that lives")
	}
	killed.close()
	if leads(t, other) {
		t.Fatal("a core can't know that another one is dead")
	}
	next := mustCore(t, here, url)
	if !leads(t, next) {
		t.Error("the next start in the same directory waits for the lease of a dead core")
	}
	if leads(t, other) {
		t.Error("two cores lead")
	}
}

func TestACopyOfADataDirectoryIsAnotherPlace(t *testing.T) {
	t.Parallel()
	name := func(dir string) string {
		t.Helper()
		p, err := openPlace(dir)
		if err != nil {
			t.Fatal(err)
		}
		defer p.close()
		return p.name()
	}
	first := t.TempDir()
	once, again := name(first), name(first)
	second := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(second, os.DirFS(first)); err != nil {
		t.Fatal(err)
	}
	if once == "" || once != again || once == name(second) {
		t.Errorf("want one name that no copy has, got %q, %q and %q", once, again, name(second))
	}
}

// Two cores on one SQLite file would not see each other's locks of it as a
// whole: the second one is refused, by whatever name it calls the file.
func TestOneCoreAloneServesAnSQLiteFile(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	file := filepath.Join(data, "state.db")
	mustCore(t, data, file)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(file, link); err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{file, link} {
		if _, err := newCore(t, t.TempDir(), url); core.KindOf(err) != core.KindConflict {
			t.Errorf("%s: want kind %s, got %v", url, core.KindConflict, err)
		}
	}
	if _, err := newCore(t, data, filepath.Join(t.TempDir(), "own.db")); core.KindOf(err) != core.KindConflict {
		t.Errorf("the same data directory: want kind %s, got %v", core.KindConflict, err)
	}
}
