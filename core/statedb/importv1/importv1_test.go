package importv1_test

import (
	"database/sql"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb/importv1"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

var servers pgtest.Servers

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &servers)) }

// databases are what an old file can be imported into.
var databases = []struct {
	name string
	url  func(t testing.TB) string
}{
	{"SQLite", func(t testing.TB) string { return filepath.Join(t.TempDir(), "state.db") }},
	{"PostgreSQL", servers.URL},
}

// The two generations of the original's schema.
const (
	trovesSchema = `
CREATE TABLE running_queue (running INT); INSERT INTO running_queue VALUES (0);
CREATE TABLE max_jobs (max_jobs INT); INSERT INTO max_jobs VALUES (3);
CREATE TABLE time (now INT); CREATE TABLE stupid (value INT);
CREATE TABLE next_job_id (job_id INT); INSERT INTO next_job_id VALUES (9);
CREATE TABLE lorries (path TEXT PRIMARY KEY, text TEXT, from_trovehost TEXT, from_path TEXT, running_job INT, last_run INT,
	interval INT, lorry_timeout INT, disk_usage INT);
CREATE TABLE jobs (job_id INT PRIMARY KEY, host TEXT, pid INT, started INT, ended INT, updated INT, kill INT, path TEXT,
	exit TEXT, disk_usage INT, output TEXT);
CREATE TABLE troves (trovehost TEXT PRIMARY KEY, protocol TEXT, username TEXT, password TEXT, lorry_interval INT,
	lorry_timeout INT, ls_interval INT, ls_last_run INT, prefixmap TEXT, ignore TEXT);
INSERT INTO troves VALUES ('trove.example.org', 'https', 'u', 'sesame', 60, 70, 80, 1000000, '{}', '[]');
INSERT INTO lorries VALUES ('up/a', '{"up/a": {"type": "git", "url": "https://u:sesame@trove.example.org/git/a"}}', 'trove.example.org', 'a', NULL,
	1000000, 3600, 7200, 55);
INSERT INTO lorries VALUES ('up/b', 'not JSON', '', '', 8, -3, NULL, NULL, NULL);
INSERT INTO jobs VALUES (7, 'minion', 12, 999990, 1000000, 1000000, 0, 'up/a', '0', 55, 'cloning https://u:sesame@trove.example.org/git/a');
INSERT INTO jobs VALUES (8, 'minion', 13, 1000001, NULL, 1000002, 0, 'up/b', NULL, NULL, NULL);`
	hostsSchema = `
CREATE TABLE running_queue (running INT); INSERT INTO running_queue VALUES (1);
CREATE TABLE max_jobs (max_jobs INT);
CREATE TABLE next_job_id (job_id INT); INSERT INTO next_job_id VALUES (1);
CREATE TABLE _yoyo_migration (id TEXT);
CREATE TABLE lorries (path TEXT PRIMARY KEY, text TEXT, from_host TEXT, from_path TEXT, running_job INT, last_run INT,
	interval INT, lorry_timeout INT, disk_usage INT, last_run_exit TEXT, last_run_error TEXT);
CREATE TABLE jobs (job_id INT PRIMARY KEY, host TEXT, pid INT, started INT, ended INT, updated INT, kill INT, path TEXT,
	exit TEXT, disk_usage INT, output TEXT);
CREATE TABLE hosts (host TEXT PRIMARY KEY, protocol TEXT, username TEXT, password TEXT, type TEXT, type_params TEXT,
	lorry_interval INT, lorry_timeout INT, ls_interval INT, ls_last_run INT, prefixmap TEXT, ignore TEXT);
INSERT INTO hosts VALUES ('git.example.org', 'ssh', NULL, NULL, 'gitlab', '{"private-token": "sesame"}', 60, 70, 80, 0, '{}', '[]');
INSERT INTO lorries VALUES ('up/c', '{"up/c": {"type": "git", "url": "ssh://git@git.example.org/c"}}', 'git.example.org', 'c', NULL,
	1000000, 3600, 7200, 55, '1', 'boom');`
)

func oldFile(t *testing.T, schema string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webapp.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	_, err = db.ExecContext(t.Context(), schema)
	if err := errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheOldestStateDatabaseComesOver(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			importOldest(t, d.url(t))
		})
	}
}

func importOldest(t *testing.T, url string) {
	path := oldFile(t, trovesSchema)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	w := statedbtest.NewWorld(t, url)
	got, err := importv1.Import(w.Ctx, path, w.DB)
	if err != nil {
		t.Fatal(err)
	}
	want := importv1.Report{Lorries: 2, Hosts: 1, Jobs: 2, Interrupted: 1, Passwords: 2, Notes: []string{`the text of Lorry "up/b" is not JSON`}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	at := time.Unix(1000000, 0).UTC()
	a, err := w.Queue.Lorry(w.Ctx, "up/a")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(core.LorryState{
		Lorry: core.Lorry{
			Path: "up/a", Text: `{"up/a": {"type": "git", "url": "https://trove.example.org/git/a"}}`, Section: "host:trove.example.org",
			Host: "trove.example.org", HostPath: "a", UpstreamHost: "trove.example.org", Interval: time.Hour, Timeout: 2 * time.Hour,
		},
		Due: at.Add(time.Hour), LastRun: at, LastSuccess: at, DiskUsage: 55,
	}, a); diff != "" {
		t.Errorf("Lorry (-want +got):\n%s", diff)
	}
	b, err := w.Queue.Lorry(w.Ctx, "up/b")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{statedbtest.Start, core.JobID(0), core.DefaultInterval, core.DefaultTimeout},
		[]any{b.Due, b.RunningJob, b.Interval, b.Timeout}); diff != "" {
		t.Errorf("a Lorry that was moved to the top and ran (-want +got):\n%s", diff)
	}
	output, err := w.Queue.Output(w.Ctx, 7, 0, 0)
	if err != nil || output != "cloning https://trove.example.org/git/a" {
		t.Errorf("output %q: %v", output, err)
	}
	lost, err := w.Queue.Job(w.Ctx, 8)
	if err != nil || lost.Exit != "lost" {
		t.Errorf("the job that ran ended with %q: %v", lost.Exit, err)
	}
	three := 3
	status, err := w.Queue.Status(w.Ctx)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(queue.Status{MaxJobs: &three, Counts: queue.Counts{Lorries: 2, Due: 2}}, status); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	again, err := importv1.Import(w.Ctx, path, w.DB)
	if err != nil || again.Lorries+again.Hosts+again.Jobs+again.Interrupted+again.Passwords != 0 {
		t.Errorf("the second time %+v came over: %v", again, err)
	}
	if err := w.Queue.SetRunning(w.Ctx, true); err != nil {
		t.Fatal(err)
	}
	if err := w.Queue.SetMaxJobs(w.Ctx, nil); err != nil {
		t.Fatal(err)
	}
	c, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m"})
	if err != nil || len(c) != 1 || c[0].Job.ID != 9 {
		t.Errorf("want job 9, got %v: %v", c, err)
	}
	after, err := os.ReadFile(path)
	if err != nil || string(after) != string(before) {
		t.Errorf("the old file was changed: %v", err)
	}
}

func TestTheLatestStateDatabaseComesOver(t *testing.T) {
	t.Parallel()
	w := statedbtest.NewWorld(t, filepath.Join(t.TempDir(), "state.db"))
	got, err := importv1.Import(w.Ctx, oldFile(t, hostsSchema), w.DB)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(importv1.Report{Lorries: 1, Hosts: 1}, got); diff != "" {
		t.Errorf("report (-want +got):\n%s", diff)
	}
	l, err := w.Queue.Lorry(w.Ctx, "up/c")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"1", 1, core.FailOther, "git.example.org"}, []any{l.LastExit, l.Failures, l.LastFailure.Kind, l.UpstreamHost}); diff != "" {
		t.Errorf("Lorry (-want +got):\n%s", diff)
	}
	hosts, err := w.DB.Hosts(w.Ctx)
	if err != nil || len(hosts) != 1 || hosts[0].Type != "gitlab" || hosts[0].LsInterval != 80*time.Second {
		t.Errorf("hosts %v: %v", hosts, err)
	}
}

func TestWhatCannotBeImportedIsRefused(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no database at all, but long enough to be looked at as one"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{filepath.Join(t.TempDir(), "none"), text, oldFile(t, `CREATE TABLE lorries (path TEXT)`)} {
		w := statedbtest.NewWorld(t, filepath.Join(t.TempDir(), "state.db"))
		if _, err := importv1.Import(w.Ctx, path, w.DB); err == nil || core.KindOf(err) != core.KindInvalid {
			t.Errorf("%q: want it refused, got %v", path, err)
		}
	}
	w := statedbtest.NewWorld(t, filepath.Join(t.TempDir(), "state.db"))
	if err := w.DB.PutLorries(w.Ctx, []core.Lorry{statedbtest.NewLorry("a")}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m"}); err != nil {
		t.Fatal(err)
	}
	if _, err := importv1.Import(w.Ctx, oldFile(t, hostsSchema), w.DB); err == nil || core.KindOf(err) != core.KindConflict {
		t.Errorf("want a database in use refused, got %v", err)
	}
}
