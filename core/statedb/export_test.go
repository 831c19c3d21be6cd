package statedb

import "context"

// ReadMigrations is readMigrations.
var ReadMigrations = readMigrations

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
