package statedb

import (
	"context"
	"encoding/json"
	"time"
)

// pathList is the JSON array of paths that dialect.among reads.
func pathList(paths []string) (string, error) {
	arg, err := json.Marshal(paths)
	return dropNUL(string(arg)), err
}

// RetryAll implements queue.Tx. The rows are locked in the order of their
// paths first, as by all who change several.
func (t *txn) RetryAll(ctx context.Context, paths []string, now time.Time) (int, error) {
	arg, err := pathList(paths)
	if err != nil {
		return 0, err
	}
	if err := t.lockPaths(ctx, arg); err != nil {
		return 0, err
	}
	n, err := t.change(ctx, "making Lorries due", `UPDATE queue SET failures = 0,`+asked+`
		turn = CASE WHEN turn < $2 THEN turn ELSE $2 END, due = CASE WHEN due < $2 THEN due ELSE $2 END
		WHERE failures > 0 AND `+t.d.among("path", "$1", "text"), arg, micros(now))
	return int(n), err
}

// HoldAll implements queue.Tx.
func (t *txn) HoldAll(ctx context.Context, paths []string, reason string) (int, error) {
	arg, err := pathList(paths)
	if err != nil {
		return 0, err
	}
	if err := t.lockPaths(ctx, arg); err != nil {
		return 0, err
	}
	n, err := t.change(ctx, "holding Lorries", `UPDATE queue SET held = $2 WHERE held <> $2 AND `+t.d.among("path", "$1", "text"), arg, reason)
	return int(n), err
}

// lockPaths locks rows of the queue in one order for all. SQLite has one writer
// and needs no locks.
func (t *txn) lockPaths(ctx context.Context, arg string) error {
	lock := t.d.forUpdate("queue")
	if lock == "" {
		return nil
	}
	_, err := collect(ctx, t, scanText, `SELECT path FROM queue WHERE `+t.d.among("path", "$1", "text")+` ORDER BY path`+lock, arg)
	return describe("locking Lorries", err)
}
