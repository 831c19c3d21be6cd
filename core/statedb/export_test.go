package statedb

import (
	"context"
	"fmt"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// ReadMigrations is readMigrations.
var ReadMigrations = readMigrations

// Migrations lists the steps for the kind of database
// that url names, in order.
func Migrations(url string) ([]Migration, error) {
	if IsPostgres(url) {
		return readMigrations(migrationFiles, "migrations/"+postgresName)
	}
	return readMigrations(migrationFiles, "migrations/"+sqliteName)
}

// Classify is classify.
var Classify = classify

// LiveCols are the columns that a report reads.
const LiveCols = liveCols

// Numbered gives a statement with named parameters as the server takes it.
func Numbered(text string, values map[string]any) (string, []any, error) {
	return newNamedTexts().number(text, values)
}

// Texts runs a query with one column.
func Texts(ctx context.Context, db *DB, query string) ([]string, error) {
	return collect(ctx, db.read, scanText, query)
}

// MigrateTo makes the given steps.
func MigrateTo(ctx context.Context, db *DB, known []Migration) ([]Migration, error) {
	return db.migrate(ctx, known)
}

// Script runs SQL as it stands, in one transaction.
func Script(ctx context.Context, db *DB, text string) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error { return tx.script(ctx, text) })
}

// SQLiteDSN is the DSN of the connection that writes.
func SQLiteDSN(path string) string { return sqliteDSN(path, false) }

// Prepared lists the statements that an SQLite database has prepared.
func Prepared(db *DB) []string {
	var all []string
	for _, s := range []*statements{db.write.stmts, db.read.(*statements)} {
		s.mu.Lock()
		for query := range s.kept {
			all = append(all, query)
		}
		s.mu.Unlock()
	}
	return all
}

// Plan gives the lines of SQLite's plan of a statement.
func Plan(ctx context.Context, db *DB, query string) ([]string, error) {
	var lines []string
	err := db.tx(ctx, func(ctx context.Context, tx *txn) error {
		lines = nil
		args := make([]any, 0, 20)
		for i := 1; strings.Contains(query, fmt.Sprintf("$%d", i)); i++ {
			args = append(args, nil)
		}
		args = append(args, make([]any, strings.Count(query, "?"))...)
		return tx.each(ctx, func(s scanner) error {
			var id, parent, unused int64
			var detail string
			err := s.Scan(&id, &parent, &unused, &detail)
			lines = append(lines, detail)
			return err
		}, "EXPLAIN QUERY PLAN "+query, args...)
	})
	return lines, err
}

// Lives gives running jobs as known and as read anew.
func Lives(ctx context.Context, db *DB, ids []core.JobID) (known, read []queue.Live, err error) {
	err = db.tx(ctx, func(ctx context.Context, tx *txn) error {
		if known, err = tx.Live(ctx, ids); err == nil {
			read, err = tx.readLive(ctx, ids)
		}
		return err
	})
	return known, read, err
}

// Remembered is how many running jobs a core of a PostgreSQL server remembers.
func Remembered(db *DB) int {
	db.recall.mu.Lock()
	defer db.recall.mu.Unlock()
	return len(db.recall.kept)
}

// KnownLives is how many running jobs are remembered.
func KnownLives(ctx context.Context, db *DB) (n int, err error) {
	err = db.tx(ctx, func(context.Context, *txn) error {
		n = len(db.write.lives.kept)
		return nil
	})
	return n, err
}
