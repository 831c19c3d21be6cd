package statedb_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

var (
	servers pgtest.Servers
	durable = pgtest.Servers{Durable: true} // for measuring
)

func TestMain(m *testing.M) {
	if url := os.Getenv(crashHelper); url != "" {
		if err := crash(url); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		os.Exit(1)
	}
	os.Exit(pgtest.Run(m, &servers, &durable))
}

// databases are what every test of the store runs on.
var databases = []struct {
	name string
	url  func(t testing.TB) string
}{{"SQLite", sqliteFile}, {"PostgreSQL", postgres}}

// sqliteFile is a new SQLite database; its name has everything that a URL would
// take for its own.
func sqliteFile(t testing.TB) string {
	t.Helper()
	return filepath.Join(t.TempDir(), "state #1?x=%41 é.db")
}

// postgres is a new PostgreSQL database with the schema in it.
func postgres(t testing.TB) string {
	t.Helper()
	from := &servers
	if _, measured := t.(*testing.B); measured {
		from = &durable
	}
	return from.Prepared(t, func(url string) error {
		db, err := statedb.Open(t.Context(), statedb.Options{URL: url})
		if err != nil {
			return err
		}
		return db.Close()
	})
}

func TestSuite(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			statedbtest.Run(t, d.url)
		})
	}
}

func TestAStateDatabaseMustBeNamed(t *testing.T) {
	t.Parallel()
	_, err := statedb.Open(t.Context(), statedb.Options{})
	if err == nil {
		t.Error("it was opened")
	}
	_, err = statedb.Open(t.Context(), statedb.Options{URL: filepath.Join(t.TempDir(), "none", "state.db")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("want a missing directory, got %v", err)
	}
}

// soak is the usual number of rounds or, when LORRY_TEST_SOAK is set, the long
// one.
func soak(usual, long int) int {
	if os.Getenv("LORRY_TEST_SOAK") != "" {
		return long
	}
	return usual
}
