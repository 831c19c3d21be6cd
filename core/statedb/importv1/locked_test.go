package importv1_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb/importv1"
)

// TestAFileThatIsBeingWrittenSaysSo holds the original's file as its daemon does
// while it writes.
func TestAFileThatIsBeingWrittenSaysSo(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, query := range []string{`CREATE TABLE lorries (path TEXT)`, `CREATE TABLE jobs (job_id INT)`, `BEGIN EXCLUSIVE`, `INSERT INTO lorries VALUES ('a')`} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	_, err = importv1.Import(t.Context(), path, nil)
	var known *core.Error
	if !errors.As(err, &known) || !strings.Contains(known.Hint, "stop the original's daemon") {
		t.Errorf("want the advice to stop the daemon, got %v", err)
	}
}
