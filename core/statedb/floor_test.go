package statedb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// floor is the bare engine doing the two transactions of a cycle, with no rule,
// no fence and no output: claim the first due row, insert a job and read what it
// is to do; end the job and make the row due again. It has the same tables and
// indexes and writes the same rows. PostgreSQL does each of the two in one
// statement, and leaves out the numbering of jobs, for which a bare program would
// take a sequence. SQLite does them in one transaction each or, for several
// clients, with the group commit that a hand-written program would have. There
// the next number is written once in each transaction that starts jobs, which is
// the least that keeps numbers from coming again after the last jobs were removed
// (AUTOINCREMENT writes as much, for every job).
type floor struct {
	db   *sql.DB
	lite bool
	jobs atomic.Int64
	// started says that the transaction under way has started jobs.
	started bool
	conn    *sql.Conn // SQLite's one, with its prepared statements
	stmts   map[string]*sql.Stmt
	group   chan floorRequest // nil: a transaction each
	ended   sync.WaitGroup
}

type floorRequest struct {
	fn   func(ctx context.Context, on floorRunner) error
	done chan error
}

type floorRunner interface {
	exec(ctx context.Context, query string, args ...any) error
	row(ctx context.Context, query string, args ...any) *sql.Row
}

func (f *floor) exec(ctx context.Context, query string, args ...any) error {
	_, err := f.stmts[query].ExecContext(ctx, args...)
	return err
}

func (f *floor) row(ctx context.Context, query string, args ...any) *sql.Row {
	return f.stmts[query].QueryRowContext(ctx, args...)
}

// prepare prepares what SQLite is asked.
func (f *floor) prepare(b *testing.B) {
	conn, err := f.db.Conn(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	f.conn, f.stmts = conn, map[string]*sql.Stmt{}
	numbered := regexp.MustCompile(`\$\d`)
	for _, query := range []string{
		"BEGIN IMMEDIATE", "COMMIT", "SAVEPOINT one", "RELEASE one",
		floorClaim, floorInsert, floorSpec, floorNumber, floorEnd, floorDue,
	} {
		text := numbered.ReplaceAllString(query, "?")                                 // which is bound sooner
		if f.stmts[query], err = conn.PrepareContext(b.Context(), text); err != nil { //nolint:sqlclosecheck // with the floor
			b.Fatal(err)
		}
	}
}

// floorConns is the size of the pool that PostgreSQL is given, as the store's.
const floorConns = 16

func newFloor(b *testing.B, url string, clients int) *floor {
	b.Helper()
	f := &floor{lite: !statedb.IsPostgres(url)}
	driver, dsn, conns := "pgx", url, floorConns
	if f.lite {
		driver, dsn, conns = "sqlite", statedb.SQLiteDSN(url), 1
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(conns)
	db.SetMaxIdleConns(conns)
	f.db = db
	var last int64 // of those before
	if err := db.QueryRowContext(b.Context(), `SELECT COALESCE(MAX(id), 0) FROM jobs`).Scan(&last); err != nil {
		b.Fatal(err)
	}
	f.jobs.Store(last)
	if f.lite {
		f.prepare(b)
	}
	if f.lite && clients > 1 {
		f.group = make(chan floorRequest)
		f.ended.Go(func() { f.write(b) })
	}
	b.Cleanup(func() {
		if f.group != nil {
			close(f.group)
		}
		f.ended.Wait()
		for _, st := range f.stmts {
			if err := st.Close(); err != nil {
				b.Error(err)
			}
		}
		if f.conn != nil {
			if err := f.conn.Close(); err != nil {
				b.Error(err)
			}
		}
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	return f
}

const (
	floorClaim = `UPDATE queue SET running_job = $1 WHERE path =
		(SELECT path FROM queue WHERE running_job IS NULL ORDER BY turn, path LIMIT 1) RETURNING path`
	floorInsert = `INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease) VALUES ($1, $2, 1, 'm', 1, ` + floorTimes + `)`
	floorTimes  = `1790000000000000, 1790000000000000, 1790000120000000`
	floorNumber = `UPDATE run_queue SET next_job = $1 WHERE id = 1`
	floorSpec   = `SELECT spec_text FROM lorries WHERE path = $1`
	floorEnd    = `UPDATE jobs SET ended = 1790000000000000, exit = '0' WHERE id = $1`
	floorDue    = `UPDATE queue SET running_job = NULL, turn = turn + 3600000000, due = due + 3600000000 WHERE running_job = $1 AND path = $2`
)

// cycle claims and ends one job.
func (f *floor) cycle(ctx context.Context) error {
	id := f.jobs.Add(1)
	if !f.lite {
		return f.statements(ctx, id)
	}
	var path, spec string
	err := f.tx(ctx, func(ctx context.Context, on floorRunner) error {
		f.started = true
		if err := on.row(ctx, floorClaim, id).Scan(&path); err != nil {
			return err
		}
		return errors.Join(on.exec(ctx, floorInsert, id, path), on.row(ctx, floorSpec, path).Scan(&spec))
	})
	if err != nil {
		return err
	}
	return f.tx(ctx, func(ctx context.Context, on floorRunner) error {
		return errors.Join(on.exec(ctx, floorEnd, id), on.exec(ctx, floorDue, id, path))
	})
}

// statements does each of the two in one statement.
func (f *floor) statements(ctx context.Context, id int64) error {
	var path, spec string
	claim := func() error {
		return f.db.QueryRowContext(ctx, `WITH c AS (UPDATE queue SET running_job = $1 WHERE path =
			(SELECT path FROM queue WHERE running_job IS NULL ORDER BY turn, path LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING path)
		INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease) SELECT $1, path, 1, 'm', 1, `+floorTimes+` FROM c
		RETURNING path, (SELECT l.spec_text FROM lorries l WHERE l.path = jobs.path)`, id).Scan(&path, &spec)
	}
	err := claim()
	for errors.Is(err, sql.ErrNoRows) { // somebody was quicker
		err = claim()
	}
	if err != nil {
		return fmt.Errorf("claim: %w", err)
	}
	_, err = f.db.ExecContext(ctx, `WITH j AS (`+floorEnd+`) `+floorDue, id, path)
	return err
}

func (f *floor) tx(ctx context.Context, fn func(ctx context.Context, on floorRunner) error) error {
	if f.group != nil {
		r := floorRequest{fn, make(chan error, 1)}
		f.group <- r
		return <-r.done
	}
	return errors.Join(f.exec(ctx, "BEGIN IMMEDIATE"), fn(ctx, f), f.commit(ctx))
}

func (f *floor) commit(ctx context.Context) error {
	var err error
	if f.started {
		err = f.exec(ctx, floorNumber, f.jobs.Load()+1)
	}
	f.started = false
	return errors.Join(err, f.exec(ctx, "COMMIT"))
}

// write puts all requests that wait, at most 64, into one transaction with a
// savepoint each.
func (f *floor) write(b *testing.B) {
	ctx := context.Background()
	for first := range f.group {
		err := f.exec(ctx, "BEGIN IMMEDIATE")
		batch := []floorRequest{first}
		for i := 0; i < len(batch); i++ {
			if err == nil {
				err = f.exec(ctx, "SAVEPOINT one")
			}
			if err == nil {
				err = batch[i].fn(ctx, f)
			}
			if err == nil {
				err = f.exec(ctx, "RELEASE one")
			}
			if len(batch) == 64 {
				continue
			}
			select {
			case r, more := <-f.group:
				if more {
					batch = append(batch, r)
				}
			default:
			}
		}
		if err = errors.Join(err, f.commit(ctx)); err != nil {
			b.Error(err)
		}
		for _, r := range batch {
			r.done <- err
		}
	}
}
