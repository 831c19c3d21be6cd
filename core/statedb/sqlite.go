package statedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	_ "modernc.org/sqlite" // the driver "sqlite"
)

// sqliteReaders is how many connections read beside the one that writes.
const sqliteReaders = 4

// sqliteDSN names a file with its settings: they stand in the DSN because a
// PRAGMA statement would reach one connection of the pool only.
func sqliteDSN(path string, readOnly bool) string {
	q := url.Values{
		"_busy_timeout": {"5000"},
		"_txlock":       {"immediate"},
		"_pragma":       {"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(2)"},
	}
	if readOnly {
		q["_pragma"] = append(q["_pragma"], "query_only(1)", "cache_size(-4000)") // KiB, each
	} else {
		// A checkpoint writes pages all over the file: rather few of them.
		q["_pragma"] = append(q["_pragma"], "cache_size(-32000)", "wal_autocheckpoint(8000)")
	}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

func openSQLite(ctx context.Context, o Options) (*DB, error) {
	path, err := filepath.Abs(o.URL)
	if err != nil {
		return nil, fmt.Errorf("state database %q: %w", o.URL, err)
	}
	// The driver would make the file readable to all.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the state database: %w", err)
	}
	if err := f.Close(); err != nil {
		return nil, fmt.Errorf("open the state database: %w", err)
	}
	writing, err := sql.Open("sqlite", sqliteDSN(path, false))
	if err != nil {
		return nil, classify("opening it", err)
	}
	writing.SetMaxOpenConns(1)
	conn, err := writing.Conn(ctx)
	if err != nil {
		return nil, errors.Join(classify("opening it", err), writing.Close())
	}
	reading, err := sql.Open("sqlite", sqliteDSN(path, true))
	if err != nil {
		return nil, errors.Join(classify("opening it", err), conn.Close(), writing.Close())
	}
	reading.SetMaxOpenConns(sqliteReaders)
	reading.SetMaxIdleConns(sqliteReaders)

	file, err := newWatch(path, o.Log)
	if err != nil {
		return nil, errors.Join(err, reading.Close(), conn.Close(), writing.Close())
	}
	w := startWriter(conn, file) //nolint:contextcheck // each request brings its own
	read := newStatements(reading)
	return &DB{
		dialect: sqliteDialect(), log: o.Log, clock: o.Clock, read: read, write: w, file: file,
		close: sync.OnceValue(func() error {
			return errors.Join(w.close(), read.close(), reading.Close(), conn.Close(), writing.Close())
		}),
	}, nil
}
