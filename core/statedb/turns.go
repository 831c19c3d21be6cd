package statedb

import (
	"context"
	"database/sql"
	"errors"

	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

// Turn implements reconcile.Store.
func (db *DB) Turn(ctx context.Context, name string) (int64, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	var turn int64
	err := db.read.row(ctx, `SELECT turn FROM turns WHERE name = $1`, name).Scan(&turn)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return turn, classify("reading a turn", err)
}

// TakeTurn implements reconcile.Store.
func (db *DB) TakeTurn(ctx context.Context, name string, seen int64) (turn int64, err error) {
	err = db.tx(ctx, func(ctx context.Context, tx *txn) error {
		rows, err := collect(ctx, tx, scanInt, `INSERT INTO turns (name, turn) VALUES ($1, 1)
			ON CONFLICT (name) DO UPDATE SET turn = turns.turn + 1 WHERE turns.turn = $2 OR $2 < 0 RETURNING turn`, name, seen)
		if err != nil {
			return describe("taking a turn", err)
		}
		if len(rows) == 0 {
			return reconcile.ErrOvertaken
		}
		turn = rows[0]
		return nil
	})
	return turn, err
}

// underTurn adds to a transaction that its turn, if it has one, must not be over.
func underTurn(ctx context.Context, fn func(ctx context.Context, tx *txn) error) func(ctx context.Context, tx *txn) error {
	name, turn, fenced := reconcile.TurnOf(ctx)
	if !fenced {
		return fn
	}
	return func(ctx context.Context, tx *txn) error {
		if err := fn(ctx, tx); err != nil {
			return err
		}
		// The lock keeps the next one out until the commit.
		now, err := collect(ctx, tx, scanInt, `SELECT turn FROM turns WHERE name = $1`+tx.d.forShare("turns"), name)
		if len(now) == 0 {
			now = []int64{0} // nobody has taken one yet
		}
		if err == nil && now[0] != turn {
			return reconcile.ErrOvertaken
		}
		return describe("looking whose turn it is", err)
	}
}
