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
}

// Write implements queue.Store.
func (db *DB) Write(ctx context.Context, fn func(ctx context.Context, tx queue.Tx) error) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error { return fn(ctx, tx) })
}

// tx runs fn in one short transaction.
func (db *DB) tx(ctx context.Context, fn func(ctx context.Context, tx *txn) error) error {
	if db.write != nil {
		return db.write.do(ctx, fn)
	}
	return db.transact(ctx, fn)
}

// change runs one statement and gives its error a name.
func (t *txn) change(ctx context.Context, doing, query string, args ...any) (int64, error) {
	res, err := t.exec(ctx, query, args...)
	if err != nil {
		return 0, describe(doing, err)
	}
	return res.RowsAffected()
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
