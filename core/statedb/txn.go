package statedb

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// txn is one transaction.
type txn struct {
	runner
	d      dialect
	script func(ctx context.Context, text string) error
	// sends is set for a database to which statements travel: it takes those
	// that can travel together with the next one.
	sends *pipeline
	// next is the number of the next job, once Gate has locked it.
	next core.JobID
	// head is set for PostgreSQL; low is where it was when Gate was asked. early
	// says that something gets a place that may be before it.
	head  *head
	low   place
	early bool
	// recall is set for PostgreSQL. read and due are the jobs and Lorries that
	// were read; began and gone are the jobs that are to be remembered and
	// forgotten when this is committed.
	recall *recall
	read   []queue.Live
	due    []queue.Ready
	began  []queue.Live
	gone   []core.JobID
	// guess is set while nothing was read and a report is decided by what is
	// remembered of its job; sure says that it is not to be tried.
	guess *guess
	sure  bool
	// lives is set for SQLite; own says that what is being written is told to it.
	lives *lives
	own   bool
}

// Write implements queue.Store.
func (db *DB) Write(ctx context.Context, fn func(ctx context.Context, tx queue.Tx) error) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error { return fn(ctx, tx) })
}

// tx runs fn in one short transaction, under the turn and the term of the context
// if that has them.
func (db *DB) tx(ctx context.Context, fn func(ctx context.Context, tx *txn) error) error {
	fn = underTerm(ctx, underTurn(ctx, fn))
	if db.write != nil {
		return db.write.do(ctx, fn)
	}
	return db.transact(ctx, fn)
}

func (t *txn) exec(ctx context.Context, query string, args ...any) (int64, error) {
	if t.lives != nil && !t.own {
		t.lives.forget()
	}
	return t.runner.exec(ctx, query, args...)
}

// known begins writes that change nothing that lives remembers, or that are told
// to it; they end with the function that it gives.
func (t *txn) known() func() {
	t.own = true
	return func() { t.own = false }
}

// change runs one statement and gives its error a name.
func (t *txn) change(ctx context.Context, doing, query string, args ...any) (int64, error) {
	n, err := t.exec(ctx, query, args...)
	return n, describe(doing, err)
}

// later runs one statement, at the latest before the commit. What is wrong with
// it may be told by a later call, or by the commit; so what must not be is for
// the database itself to refuse.
func (t *txn) later(ctx context.Context, doing, query string, args ...any) error {
	if t.sends != nil {
		t.sends.later(doing, query, args)
		return nil
	}
	_, err := t.change(ctx, doing, query, args...)
	return err
}

// together reads the rows of one statement before those of the next.
func (t *txn) together(ctx context.Context, doing string, scan func(scanner) error, query string, args ...any) error {
	if t.sends != nil {
		t.sends.laterRows(doing, scan, query, args)
		return nil
	}
	return describe(doing, t.each(ctx, scan, query, args...))
}

// describe says what a failed statement was for, keeping the cause visible to
// retryable.
func describe(doing string, err error) error {
	if err == nil {
		return nil
	}
	if retryable(err) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	return classify(doing, err)
}

// rowsOf is the JSON array that dialect.rows reads. Text that no database
// takes, NUL, is replaced.
func rowsOf[T any](rows []T) (string, error) {
	b, err := json.Marshal(rows)
	if err != nil {
		return "", core.Errorf(core.KindInternal, "state database: encode rows: %w", err)
	}
	return dropNUL(string(b)), nil
}

// dropNUL replaces the JSON escape of NUL by that of U+FFFD, leaving an escaped
// backslash before "u0000" alone.
func dropNUL(s string) string {
	if !strings.Contains(s, `\u0000`) {
		return s
	}
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if strings.HasPrefix(s[i:], `\u0000`) {
			b.WriteString(`\ufffd`)
			i += len(`\u0000`) - 1
			continue
		}
		b.WriteString(s[i : i+2])
		i++
	}
	return b.String()
}
