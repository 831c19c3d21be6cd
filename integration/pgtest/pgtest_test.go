package pgtest_test

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"testing"

	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

var servers pgtest.Servers

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m, &servers)) }

func count(t *testing.T, url, query string) int {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	var n int
	if err := db.QueryRowContext(context.Background(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

const tables = `SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = 'public'`

// prepare makes a database with one table.
func prepare(url string) error {
	db, err := sql.Open("pgx", url)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(context.Background(), `CREATE TABLE t (a INT)`)
	return errors.Join(err, db.Close())
}

func TestEveryTestGetsADatabaseOfItsOwn(t *testing.T) {
	t.Parallel()
	one := servers.URL(t)
	if err := prepare(one); err != nil {
		t.Fatal(err)
	}
	if got := count(t, one, tables); got != 1 {
		t.Errorf("want the table that was made, got %d", got)
	}
	if got := count(t, servers.URL(t), tables); got != 0 {
		t.Errorf("want an empty database, got %d tables", got)
	}
}

func TestAPreparedDatabaseIsCopied(t *testing.T) {
	t.Parallel()
	for range 2 {
		if got := count(t, servers.Prepared(t, prepare), tables); got != 1 {
			t.Errorf("want a copy with one table, got %d", got)
		}
	}
}
