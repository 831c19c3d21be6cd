package statedb_test

import (
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// sqliteFile is a new SQLite database; its name has everything that a URL would
// take for its own.
func sqliteFile(t *testing.T) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "state #1?x=%41 é.db")
}

func TestSQLite(t *testing.T) {
	t.Parallel()
	statedbtest.Run(t, sqliteFile)
}
