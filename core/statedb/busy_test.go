package statedb_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// A file that another program has locked for good is refused after a while, and
// the error says what to do.
func TestAFileThatIsLockedByAnotherProgramSaysSo(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "state.db")
	other, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, text := range []string{"CREATE TABLE t (a)", "DROP TABLE t", "BEGIN EXCLUSIVE"} {
		if _, err := conn.ExecContext(t.Context(), text); err != nil {
			t.Fatal(err)
		}
	}
	_, err = statedb.Open(t.Context(), statedb.Options{URL: file, Clock: time.Now})
	var told *core.Error
	if !errors.As(err, &told) || told.Kind != core.KindUnavailable || !strings.Contains(told.Hint, "another program has locked the file") {
		t.Errorf("got %v", err)
	}
}
