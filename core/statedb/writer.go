package statedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/lorry-controller/lorry-controller/core"
)

// maxBatch bounds how many requests share one transaction.
const maxBatch = 64

// yields is how often others may run before a batch is taken for complete.
const yields = 2

// writer writes to an SQLite file. All requests that wait when a transaction
// begins go into it, each behind a savepoint, so that many share one fsync and
// none waits for another's sake. A request that finds nobody at work does its
// work itself, together with those that come meanwhile; what has come by its
// end is for the writer's goroutine. So a single client waits for no other
// goroutine, and of many clients none works long for others.
type writer struct {
	d     dialect
	conn  *sql.Conn
	stmts *statements
	lives *lives
	file  *watch
	// more is told that requests wait and nobody is at work.
	more    chan struct{}
	stopped chan struct{}

	mu      sync.Mutex
	busy    bool
	closed  bool
	waiting []*request
}

// request is one caller's transaction. ctx is used until it is begun; after
// that it runs to its end, because interrupting a statement would roll the
// whole batch back.
type request struct {
	ctx  context.Context
	fn   func(ctx context.Context, tx *txn) error
	done chan error // has room for the answer
	// broke is what fn panicked with: that is its caller's, whoever did the work.
	broke any
}

// run calls fn.
func (r *request) run(ctx context.Context, tx *txn) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			r.broke = fmt.Sprintf("%v\n%s", cause, debug.Stack())
			err = core.Errorf(core.KindInternal, "state database: a transaction broke down")
		}
	}()
	return r.fn(ctx, tx)
}

// answer waits for what becomes of it.
func (r *request) answer() error {
	err := <-r.done
	if r.broke != nil {
		panic(r.broke)
	}
	return err
}

func startWriter(conn *sql.Conn, file *watch) *writer {
	w := &writer{
		d: sqliteDialect(), conn: conn, stmts: newStatements(conn), lives: newLives(), file: file,
		more: make(chan struct{}, 1), stopped: make(chan struct{}),
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
	mine, err := w.join(r)
	if err != nil {
		return err
	}
	if mine {
		defer w.pass()
		w.batch(r) //nolint:contextcheck // each request brings its own
		return r.answer()
	}
	select {
	case err := <-r.done:
		r.done <- err
	case <-ctx.Done():
		if w.leave(r) {
			return ctx.Err()
		}
	}
	return r.answer()
}

// join reports whether the caller is to do the work; otherwise somebody else
// will.
func (w *writer) join(r *request) (mine bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
		return false, core.Errorf(core.KindUnavailable, "state database: it is closed")
	case w.busy:
		w.waiting = append(w.waiting, r)
		return false, nil
	}
	w.busy = true
	return true, nil
}

// leave takes back a request that nobody has begun.
func (w *writer) leave(r *request) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.waiting, r)
	if i >= 0 {
		w.waiting = slices.Delete(w.waiting, i, i+1)
	}
	return i >= 0
}

// waits takes out the first request that waits, if there is one.
func (w *writer) waits() *request {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) == 0 {
		return nil
	}
	r := w.waiting[0]
	w.waiting = slices.Delete(w.waiting, 0, 1)
	return r
}

// pass ends a caller's work.
func (w *writer) pass() {
	if !w.rest() {
		w.more <- struct{}{} // it has room: only one is at work
	}
}

// rest ends the work unless there is more of it.
func (w *writer) rest() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.waiting) > 0 {
		return false
	}
	w.busy = false
	if w.closed {
		close(w.more)
	}
	return true
}

// close serves those who wait, and refuses others. It must be called once.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	if !w.busy {
		close(w.more)
	}
	w.mu.Unlock()
	<-w.stopped
	return w.stmts.close()
}

func (w *writer) loop() {
	defer close(w.stopped)
	for range w.more {
		for r := w.waits(); ; r = w.waits() {
			if r != nil {
				w.batch(r)
			} else if w.rest() {
				break
			}
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
	w.lives.asked = false
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
		w.lives.forget()
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
		if r := w.waits(); r != nil || try == yields {
			return r
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
		if err := r.run(ctx, w.txn()); err != nil {
			w.lives.forget()
			_ = w.say(ctx, "ROLLBACK") // it may have been rolled back already
			return err, w.say(ctx, "BEGIN IMMEDIATE")
		}
		return nil, nil
	}
	if err := w.say(ctx, "SAVEPOINT request"); err != nil {
		return classify("setting a savepoint", err), err
	}
	if err := r.run(ctx, w.txn()); err != nil {
		w.lives.forget()
		return err, errors.Join(w.say(ctx, "ROLLBACK TO request"), w.say(ctx, "RELEASE request"))
	}
	if err := w.say(ctx, "RELEASE request"); err != nil {
		return classify("releasing a savepoint", err), err
	}
	return nil, nil
}

func (w *writer) txn() *txn {
	clear(w.lives.ready)
	return &txn{runner: w.stmts, d: w.d, script: w.control, lives: w.lives}
}

// say runs one of the few statements that frame requests.
func (w *writer) say(ctx context.Context, text string) error {
	_, err := w.stmts.exec(ctx, text)
	return err
}

// control runs SQL that is not worth a prepared statement, or is several.
func (w *writer) control(ctx context.Context, text string) error {
	w.lives.forget()
	if _, err := w.conn.ExecContext(ctx, text); err != nil {
		return fmt.Errorf("%w", err)
	}
	return nil
}
