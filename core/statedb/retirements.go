package statedb

import (
	"context"
	"fmt"
	"math"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/retire"
)

// The state of a retirement r, in the words of package retire. A Lorry whose
// path differs in the case of letters alone is the same to most hosts.
const retirementState = `CASE WHEN lower(r.path) IN (SELECT lower(l.path) FROM lorries l) THEN '` + string(retire.Returning) + `'
	WHEN r.done > 0 THEN '` + string(retire.Archived) + `' WHEN r.next_try = $1 THEN '` + string(retire.Cancelled) + `'
	WHEN r.error <> '' THEN '` + string(retire.Failing) + `' ELSE '` + string(retire.Waiting) + `' END`

// never is the next attempt of a retirement that was cancelled.
const never int64 = math.MaxInt64

// FindRetirements lists the repositories that were to be archived, or are.
func (db *DB) FindRetirements(ctx context.Context, s retire.Search) ([]retire.Listed, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	limit := int64(s.Limit)
	if limit < 1 {
		limit = math.MaxInt64
	}
	all, err := collect(ctx, db.read, scanListed, `SELECT x.path, x.attempts, x.next_try, x.error, x.done, x.state FROM (
			SELECT r.path, r.attempts, r.next_try, r.error, r.done, `+retirementState+` AS state FROM retirements r
			WHERE r.path > $2 AND r.attempts >= $3 AND ($4 = '' OR r.path = $4)) x
		WHERE $5 = '' OR x.state = $5 ORDER BY x.path LIMIT $6`, never, s.After, s.Attempts, s.Path, string(s.State), limit)
	return all, classify("listing what is to be archived", err)
}

func scanListed(s scanner) (retire.Listed, error) {
	var l retire.Listed
	var next, done int64
	err := s.Scan(&l.Path, &l.Attempts, &next, &l.Error, &done, &l.State)
	l.Next, l.Done = fromMicros(next), fromMicros(done)
	return l, err
}

// HastenRetirement has one tried at once, also one that was cancelled.
func (db *DB) HastenRetirement(ctx context.Context, path string) error {
	return db.steerRetirement(ctx, "hastening to archive", path, 0)
}

// CancelRetirement leaves a repository as it is. That it may have been archived
// by an attempt which never ended is not forgotten.
func (db *DB) CancelRetirement(ctx context.Context, path string) error {
	return db.steerRetirement(ctx, "cancelling to archive", path, never)
}

func (db *DB) steerRetirement(ctx context.Context, doing, path string, next int64) error {
	var n int64
	err := db.tx(ctx, func(ctx context.Context, tx *txn) (err error) {
		n, err = tx.change(ctx, doing, `UPDATE retirements SET next_try = $2 WHERE path = $1 AND done = 0`, path, next)
		return err
	})
	if err != nil || n > 0 {
		return err
	}
	_, found, err := db.Retirement(ctx, path)
	switch {
	case err != nil:
		return err
	case found:
		return &core.Error{
			Kind: core.KindConflict, Fact: fmt.Sprintf("the repository %q is archived already", path),
			Hint: "bring its Lorry back, whose next job makes it writable; or do so on the host",
		}
	}
	return &core.Error{
		Kind: core.KindNotFound, Fact: fmt.Sprintf("no repository is to be archived at %q", path), Hint: "GET /1.0/retirements lists them",
	}
}
