package daemon

import (
	"database/sql"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/importv1"
)

// originalStateDB makes a small STATEDB as the original left it.
func originalStateDB(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webapp.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		`CREATE TABLE running_queue (running INT)`, `INSERT INTO running_queue VALUES (1)`,
		`CREATE TABLE max_jobs (max_jobs INT)`, `CREATE TABLE next_job_id (job_id INT)`, `INSERT INTO next_job_id VALUES (8)`,
		`CREATE TABLE lorries (path TEXT PRIMARY KEY, text TEXT, from_trovehost TEXT, from_path TEXT, running_job INT,
			last_run INT, interval INT, lorry_timeout INT, disk_usage INT)`,
		`INSERT INTO lorries VALUES ('delta/foo', '{"delta/foo": {"type": "git", "url": "git://git.example.com/foo"}}', '', '', NULL, 1400000000, 3600, 3600, 5)`,
		`CREATE TABLE jobs (job_id INT PRIMARY KEY, host TEXT, pid INT, started INT, ended INT, updated INT, kill INT, path TEXT,
			exit TEXT, disk_usage INT, output TEXT)`,
		`INSERT INTO jobs VALUES (7, 'minion', 12, 1399999000, 1400000000, 1400000000, 0, 'delta/foo', '0', 5, 'done')`,
	} {
		if _, err := db.Exec(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTakeOverKeepsTheOriginalAndItsContent(t *testing.T) {
	t.Parallel()
	path := originalStateDB(t)
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is nothing to do
		if err := takeOver(t.Context(), path, hclog.NewNullLogger()); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(path + originalSuffix)
	if err != nil || string(kept) != string(before) {
		t.Errorf("the original's file is not kept as it was: %v", err)
	}
	db, err := statedb.Open(t.Context(), statedb.Options{URL: path, Clock: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	l, err := db.Lorry(t.Context(), "delta/foo")
	if err != nil || l.LastRun.Unix() != 1400000000 || l.Interval != time.Hour {
		t.Errorf("want delta/foo with its last run and interval, got %+v, %v", l, err)
	}
	if j, err := db.Job(t.Context(), 7); err != nil || j.Exit != "0" {
		t.Errorf("want job 7 that ended with 0, got %+v, %v", j, err)
	}
}

func TestTakeOverOverwritesNothing(t *testing.T) {
	t.Parallel()
	path := originalStateDB(t)
	if err := os.WriteFile(path+originalSuffix, []byte("somebody's"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := takeOver(t.Context(), path, hclog.NewNullLogger()); err == nil || core.KindOf(err) != core.KindConflict {
		t.Errorf("want kind %s, got %v", core.KindConflict, err)
	}
	if original, err := importv1.Recognise(t.Context(), path); err != nil || !original {
		t.Errorf("want the original's file where it was, got %v, %v", original, err)
	}
	if text, _ := os.ReadFile(path + originalSuffix); string(text) != "somebody's" {
		t.Errorf("the other file was overwritten: %q", text)
	}
}

func TestTakeOverLeavesOthersAlone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	garbage := filepath.Join(dir, "garbage")
	if err := os.WriteFile(garbage, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{garbage, filepath.Join(dir, "missing"), dir} {
		if err := takeOver(t.Context(), path, hclog.NewNullLogger()); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}
