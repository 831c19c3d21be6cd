package statedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"

	"github.com/lorry-controller/lorry-controller/core"
)

// maxBatch bounds how many requests share one transaction.
const maxBatch = 64

// yields is how often others may run before a batch is taken for complete.
const yields = 2

// writer is the one goroutine that writes to an SQLite file. All requests that
// wait when it begins a transaction go into that transaction, each behind a
// savepoint, so that many share one fsync and none waits for another's sake.
type writer struct {
	d        dialect
	conn     *sql.Conn
	stmts    *statements
	file     *watch
	requests chan *request
	stop     chan struct{}
	stopped  chan struct{}
}

// request is one caller's transaction. ctx is used until it is begun; after
// that it runs to its end, because interrupting a statement would roll the
// whole batch back.
type request struct {
	ctx  context.Context
	fn   func(ctx context.Context, tx *txn) error
	done chan error // has room for the answer
}

func startWriter(conn *sql.Conn, file *watch) *writer {
	w := &writer{
		d: sqliteDialect(), conn: conn, stmts: newStatements(conn), file: file, requests: make(chan *request),
		stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	go w.loop()
	return w
}

// do runs fn in a transaction of its own or of a batch, and returns after the
// commit.
func (w *writer) do(ctx context.Context, fn func(ctx context.Context, tx *txn) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r := &request{ctx: ctx, fn: fn, done: make(chan error, 1)}
	select {
	case w.requests <- r:
		return <-r.done
	case <-ctx.Done():
		return ctx.Err()
	case <-w.stopped:
		return core.Errorf(core.KindUnavailable, "state database: it is closed")
	}
}

// close waits for the batch under way. It must be called once.
func (w *writer) close() error {
	close(w.stop)
	<-w.stopped
	return w.stmts.close()
}

func (w *writer) loop() {
	defer close(w.stopped)
	for {
		select {
		case r := <-w.requests:
			w.batch(r)
		case <-w.stop:
			return
		}
	}
}

// answer is what a request is told when the batch has been committed.
type answer struct {
	r   *request
	err error
}

// batch runs first and all that wait in one transaction, and answers them.
// Those that failed wait for the commit as well: why they failed may be what
// others of the batch have written.
func (w *writer) batch(first *request) {
	ctx := context.WithoutCancel(first.ctx)
	if err := w.say(ctx, "BEGIN IMMEDIATE"); err != nil {
		first.done <- classify("beginning a transaction", err)
		return
	}
	var answers []answer
	var broken error
	good := 0
	for r, n := first, 1; r != nil; r, n = w.next(n), n+1 {
		err, gone := w.one(r, good == 0)
		if err == nil || good > 0 {
			answers = append(answers, answer{r, err})
		} else {
			r.done <- err
		}
		if err == nil {
			good++
		}
		if gone != nil {
			broken = classify("undoing a failed request", gone)
			break
		}
	}
	if broken == nil {
		broken = classify("committing", w.say(ctx, "COMMIT"))
	}
	if broken != nil {
		// SQLite may have rolled back by itself; then this fails, rightly.
		_ = w.say(ctx, "ROLLBACK")
	} else {
		// What was committed to a file without a name is not acknowledged.
		broken = w.file.check()
	}
	for _, a := range answers {
		if broken != nil {
			a.err = broken
		}
		a.r.done <- a.err
	}
}

// next is another request if one waits and the batch has room.
func (w *writer) next(n int) *request {
	if n >= maxBatch {
		return nil
	}
	for try := 0; ; try++ {
		select {
		case r := <-w.requests:
			return r
		default:
		}
		if try == yields {
			return nil
		}
		runtime.Gosched() // let those come that were just answered
	}
}

// one runs a request behind a savepoint. gone is set when the transaction
// itself was lost, and all of the batch with it. A request with none before it
// needs no savepoint: the whole transaction is its own.
func (w *writer) one(r *request, alone bool) (err, gone error) {
	if err := r.ctx.Err(); err != nil {
		return err, nil
	}
	ctx := context.WithoutCancel(r.ctx)
	if alone {
		if err := r.fn(ctx, w.txn()); err != nil {
			_ = w.say(ctx, "ROLLBACK") // it may have been rolled back already
			return err, w.say(ctx, "BEGIN IMMEDIATE")
		}
		return nil, nil
	}
	if err := w.say(ctx, "SAVEPOINT request"); err != nil {
		return classify("setting a savepoint", err), err
	}
	if err := r.fn(ctx, w.txn()); err != nil {
		return err, errors.Join(w.say(ctx, "ROLLBACK TO request"), w.say(ctx, "RELEASE request"))
	}
	if err := w.say(ctx, "RELEASE request"); err != nil {
		return classify("releasing a savepoint", err), err
	}
	return nil, nil
}

func (w *writer) txn() *txn { return &txn{runner: w.stmts, d: w.d, script: w.control} }

// say runs one of the few statements that frame requests.
func (w *writer) say(ctx context.Context, text string) error {
	_, err := w.stmts.exec(ctx, text)
	return err
}

// control runs SQL that is not worth a prepared statement, or is several.
func (w *writer) control(ctx context.Context, text string) error {
	if _, err := w.conn.ExecContext(ctx, text); err != nil {
		return fmt.Errorf("%w", err)
	}
	return nil
}
