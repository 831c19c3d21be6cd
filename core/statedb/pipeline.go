package statedb

import (
	"context"
	"database/sql"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lorry-controller/lorry-controller/core"
)

// direct runs SQL outside of transactions: pgx keeps its own prepared
// statements.
type direct struct{ on *sql.DB }

func (d direct) exec(ctx context.Context, query string, args ...any) (int64, error) {
	return affected(d.on.ExecContext(ctx, query, args...))
}

func (d direct) each(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	rows, err := d.on.QueryContext(ctx, query, args...)
	return scanAll(rows, err, scan)
}

func (d direct) row(ctx context.Context, query string, args ...any) scanner {
	return d.on.QueryRowContext(ctx, query, args...)
}

// pipeline is a transaction of a PostgreSQL server. A statement whose result
// nobody waits for travels with the next one that somebody waits for, the first
// of all with the BEGIN and the last with the COMMIT: a claim and a report take
// two round trips each.
type pipeline struct {
	conn  *pgx.Conn
	batch *pgx.Batch
	sent  bool // something was
	over  bool // whole has made the transaction
}

func newPipeline(conn *pgx.Conn) *pipeline {
	p := &pipeline{conn: conn, batch: &pgx.Batch{}}
	p.batch.Queue("BEGIN")
	return p
}

// add puts a statement behind those that are to be sent.
func (p *pipeline) add(read func(pgx.BatchResults) error, query string, args []any) {
	p.batch.Queue(query, args...).Fn = read
}

// fresh reports whether there is nothing but a BEGIN yet.
func (p *pipeline) fresh() bool { return !p.sent && p.batch.Len() == 1 }

// whole makes all of a fresh transaction out of what queue puts behind each
// other: what travels together is one without a BEGIN and a COMMIT.
func (p *pipeline) whole(ctx context.Context, queue func() error) error {
	p.batch = &pgx.Batch{}
	err := queue()
	if err == nil {
		err = p.send(ctx)
	}
	p.over = true
	return err
}

// alone makes all of a fresh transaction out of one statement that gives one row,
// which pgx sends sooner than a batch of one.
func (p *pipeline) alone(ctx context.Context, query string, args []any) scanner {
	p.batch = &pgx.Batch{}
	p.sent, p.over = true, true
	return p.conn.QueryRow(ctx, query, args...)
}

// again begins another transaction, after whole has found nothing to do.
func (p *pipeline) again() { *p = *newPipeline(p.conn) }

// send sends everything and reads all results.
func (p *pipeline) send(ctx context.Context) error {
	if p.over {
		return core.Errorf(core.KindInternal, "state database: a statement after the end of its transaction")
	}
	p.sent = true
	batch := p.batch
	p.batch = &pgx.Batch{}
	return p.conn.SendBatch(ctx, batch).Close()
}

func (p *pipeline) later(doing, query string, args []any) {
	p.add(func(br pgx.BatchResults) error {
		_, err := br.Exec()
		return describe(doing, err)
	}, query, args)
}

func (p *pipeline) laterRows(doing string, scan func(scanner) error, query string, args []any) {
	p.add(func(br pgx.BatchResults) error { return describe(doing, readRows(br, scan)) }, query, args)
}

func readRows(br pgx.BatchResults, scan func(scanner) error) error {
	rows, err := br.Query()
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (p *pipeline) exec(ctx context.Context, query string, args ...any) (int64, error) {
	var n int64
	p.add(func(br pgx.BatchResults) error {
		tag, err := br.Exec()
		n = tag.RowsAffected()
		return err
	}, query, args)
	return n, p.send(ctx)
}

func (p *pipeline) each(ctx context.Context, scan func(scanner) error, query string, args ...any) error {
	p.add(func(br pgx.BatchResults) error { return readRows(br, scan) }, query, args)
	return p.send(ctx)
}

func (p *pipeline) row(ctx context.Context, query string, args ...any) scanner {
	return pipelineRow(func(dest ...any) error {
		p.add(func(br pgx.BatchResults) error { return br.QueryRow().Scan(dest...) }, query, args)
		return p.send(ctx)
	})
}

type pipelineRow func(dest ...any) error

func (r pipelineRow) Scan(dest ...any) error { return r(dest...) }

// script runs SQL as it stands, which may be several statements.
func (p *pipeline) script(ctx context.Context, text string) error {
	if p.batch.Len() > 0 {
		if err := p.send(ctx); err != nil {
			return err
		}
	}
	_, err := p.conn.Exec(ctx, text)
	return err
}

func (p *pipeline) commit(ctx context.Context) error {
	if p.fresh() || p.over && p.batch.Len() == 0 {
		return nil
	}
	p.add(func(br pgx.BatchResults) error {
		tag, err := br.Exec()
		if err == nil && tag.String() != "COMMIT" {
			err = errors.New("the transaction was rolled back")
		}
		return err
	}, "COMMIT", nil)
	return p.send(ctx)
}

// rollback ends the transaction if it was begun and goes on.
func (p *pipeline) rollback(ctx context.Context) error {
	if p.conn.IsClosed() || p.conn.PgConn().TxStatus() == 'I' {
		return nil
	}
	_, err := p.conn.Exec(ctx, "ROLLBACK")
	if ctx.Err() != nil || pgconn.Timeout(err) {
		return nil // the connection is closed, which ends it as well
	}
	return err
}
