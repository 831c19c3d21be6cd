package statedb

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/lorry-controller/lorry-controller/core"
)

// Options says which database to open.
type Options struct {
	// URL is the path of an SQLite file, or postgres://USER@HOST/DATABASE.
	URL string
	// Log gets what the database does on its own account; nil drops it.
	Log hclog.Logger
	// Clock tells the time for leases and for the record of migrations; nil
	// means time.Now.
	Clock core.Clock
	// Timeout bounds each call of a PostgreSQL server; 0 means 15 seconds.
	Timeout time.Duration
}

// DB is an open STATEDB. Its methods may be called by several goroutines.
type DB struct {
	dialect dialect
	log     hclog.Logger
	clock   core.Clock
	timeout time.Duration // 0: none, the database is a local file

	read runner        // for what needs no transaction
	pool *pgxpool.Pool // PostgreSQL: all transactions
	head *head         // PostgreSQL: where the queue begins
	// recall is set for PostgreSQL: what was last written of running jobs.
	recall *recall
	write  *writer      // SQLite: all transactions
	file   *watch       // SQLite: the file itself
	close  func() error // everything, in order
}

// Open opens the STATEDB and brings its schema up to date. A schema that is
// newer than this program, or that was changed by hand, is refused with
// core.KindUnsupported.
func Open(ctx context.Context, o Options) (*DB, error) {
	db, err := Connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if _, err := db.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// Connect opens the STATEDB as Open does, but leaves its schema alone; it is
// for looking at the migrations. Nothing else may be called before Migrate.
func Connect(ctx context.Context, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.URL == "" {
		return nil, core.Errorf(core.KindInvalid, "no state database is named; set statedb to a file or to postgres://…")
	}
	if IsPostgres(o.URL) {
		return openPostgres(ctx, o)
	}
	return openSQLite(ctx, o)
}

// IsPostgres reports whether url names a PostgreSQL server and not a file.
func IsPostgres(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// Close ends what is under way and closes the database. A second call does
// nothing.
func (db *DB) Close() error { return db.close() }

// Ping reports whether the database answers and, of a file, is still where it
// was opened; its error has core.KindUnavailable.
func (db *DB) Ping(ctx context.Context) error {
	if db.file != nil {
		if err := db.file.check(); err != nil {
			return err
		}
	}
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	var one int
	return classify("asking whether it answers", db.read.row(ctx, `SELECT 1`).Scan(&one))
}

// deadline bounds one call.
func (db *DB) deadline(ctx context.Context) (context.Context, context.CancelFunc) {
	if db.timeout <= 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, db.timeout)
}
