package statedb_test

import (
	"database/sql"
	"errors"
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
	file := sqliteFile(t)
	other, err := sql.Open("sqlite", file)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	other.SetMaxOpenConns(1)
	for _, text := range []string{"CREATE TABLE t (a)", "DROP TABLE t", "BEGIN EXCLUSIVE"} {
		if _, err := other.Exec(text); err != nil {
			t.Fatal(err)
		}
	}
	_, err = statedb.Open(t.Context(), statedb.Options{URL: file, Clock: time.Now})
	var told *core.Error
	if !errors.As(err, &told) || told.Kind != core.KindUnavailable || !strings.Contains(told.Hint, "another program has locked the file") {
		t.Errorf("got %v", err)
	}
}
