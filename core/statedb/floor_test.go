package statedb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// BenchmarkFloor is what the bare engine takes for the two transactions of a
// cycle, with no rule, no fence, no output and one client: claim the first due
// row and insert a job; end the job and make the row due again.
func BenchmarkFloor(b *testing.B) {
	b.Run("SQLite", func(b *testing.B) {
		url := sqliteFile(b)
		db := filled(b, url)
		defer closeFloor(b, db)
		benchFloor(b, func(ctx context.Context, n int) error { return sqliteFloor(ctx, db, n) })
	})
	b.Run("PostgreSQL", func(b *testing.B) {
		db := filled(b, postgres(b))
		defer closeFloor(b, db)
		benchFloor(b, func(ctx context.Context, n int) error { return postgresFloor(ctx, db, n) })
	})
}

func closeFloor(b *testing.B, db *sql.DB) {
	b.Helper()
	if err := db.Close(); err != nil {
		b.Error(err)
	}
}

// filled makes the Lorries and gives a bare connection to them.
func filled(b *testing.B, url string) *sql.DB {
	b.Helper()
	store := statedbtest.Open(b, url, statedbtest.NewClock())
	fill(b, store, benchLorries(b))
	driver, dsn := "pgx", url
	if !statedb.IsPostgres(url) {
		driver, dsn = "sqlite", statedb.SQLiteDSN(url)
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

func benchFloor(b *testing.B, cycle func(ctx context.Context, n int) error) {
	b.ResetTimer()
	for n := range b.N {
		if err := cycle(b.Context(), n+1); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "cycles/s")
}

const (
	floorInsert = `INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease) VALUES ($1, $2, 1, 'm', 1, 1, 1, 1)`
	floorEnd    = `UPDATE jobs SET ended = 1, exit = '0' WHERE id = $1`
	floorDue    = `UPDATE queue SET running_job = NULL, turn = turn + 3600000000, due = due + 3600000000 WHERE running_job = $1 AND path = $2`
)

func sqliteFloor(ctx context.Context, db *sql.DB, n int) error {
	var path string
	err := inTx(ctx, db, func(tx *sql.Tx) error {
		if err := tx.QueryRowContext(ctx, `UPDATE queue SET running_job = $1 WHERE path =
			(SELECT path FROM queue WHERE running_job IS NULL ORDER BY turn, path LIMIT 1) RETURNING path`, n).Scan(&path); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, floorInsert, n, path)
		return err
	})
	if err != nil {
		return err
	}
	return inTx(ctx, db, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, floorEnd, n); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, floorDue, n, path)
		return err
	})
}

func inTx(ctx context.Context, db *sql.DB, fn func(tx *sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// postgresFloor does each of the two in one statement.
func postgresFloor(ctx context.Context, db *sql.DB, n int) error {
	var path string
	err := db.QueryRowContext(ctx, `WITH c AS (UPDATE queue SET running_job = $1 WHERE path =
			(SELECT path FROM queue WHERE running_job IS NULL ORDER BY turn, path LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING path)
		INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease) SELECT $1, path, 1, 'm', 1, 1, 1, 1 FROM c RETURNING path`, n).Scan(&path)
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	_, err = db.ExecContext(ctx, `WITH j AS (`+floorEnd+`) `+floorDue, n, path)
	return err
}
