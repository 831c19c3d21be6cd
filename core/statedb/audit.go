package statedb

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/lorry-controller/lorry-controller/core/audit"
)

// AppendAudit puts an entry behind the last one. Seq and Hash are filled in;
// cores that share a database take turns, so that there is one chain.
func (db *DB) AppendAudit(ctx context.Context, e audit.Entry) (audit.Mark, error) {
	e.Clean()
	var mark audit.Mark
	err := db.tx(ctx, func(ctx context.Context, tx *txn) error {
		ends, err := tx.lockAudit(ctx)
		if err != nil {
			return err
		}
		mark, err = tx.appendAudit(ctx, ends.Last, e)
		return err
	})
	return mark, err
}

// lockAudit reads the ends of the chain and keeps others from changing them.
func (t *txn) lockAudit(ctx context.Context) (audit.Ends, error) {
	ends, err := scanEnds(t.row(ctx, auditEnds+t.d.forUpdate("audit_chain")))
	return ends, describe("reading the ends of the audit", err)
}

func (t *txn) appendAudit(ctx context.Context, last audit.Mark, e audit.Entry) (audit.Mark, error) {
	e.Seq = last.Seq + 1
	e.Hash = e.Sum(last.Hash)
	_, err := t.change(ctx, "adding to the audit", `INSERT INTO audit (seq, at, who, origin, action, subject, was, became, result, hash)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		e.Seq, micros(e.At), e.Who, e.From, e.Action, e.Subject, e.Was, e.Became, e.Result, e.Hash)
	if err != nil {
		return audit.Mark{}, err
	}
	return audit.Mark{Seq: e.Seq, Hash: e.Hash}, t.later(ctx, "moving the end of the audit",
		`UPDATE audit_chain SET seq = $1, hash = $2 WHERE id = 1`, e.Seq, e.Hash)
}

// TrimAudit removes the rows from the beginning up to the first one that is not
// older than before. What is left still verifies, since the hash of the last
// row that went is kept. When rows go, e is added as an entry about it. It gives
// how many went.
func (db *DB) TrimAudit(ctx context.Context, before time.Time, e audit.Entry) (int64, error) {
	e.Clean()
	var removed int64
	err := db.tx(ctx, func(ctx context.Context, tx *txn) error {
		removed = 0
		ends, err := tx.lockAudit(ctx)
		if err != nil {
			return err
		}
		last, err := tx.lastOlder(ctx, ends, before)
		if err != nil || last.Seq <= ends.Removed.Seq {
			return err
		}
		if removed, err = tx.change(ctx, "removing old rows of the audit", `DELETE FROM audit WHERE seq <= $1`, last.Seq); err != nil {
			return err
		}
		if err := tx.later(ctx, "noting the beginning of the audit",
			`UPDATE audit_chain SET removed = $1, removed_hash = $2 WHERE id = 1`, last.Seq, last.Hash); err != nil {
			return err
		}
		_, err = tx.appendAudit(ctx, ends.Last, e)
		return err
	})
	return removed, err
}

// lastOlder is the row before the first one that is to stay.
func (t *txn) lastOlder(ctx context.Context, ends audit.Ends, before time.Time) (audit.Mark, error) {
	var last audit.Mark
	err := t.row(ctx, `SELECT seq, hash FROM audit WHERE seq < COALESCE(
		(SELECT seq FROM audit WHERE at >= $1 ORDER BY seq LIMIT 1), $2) ORDER BY seq DESC LIMIT 1`,
		micros(before), ends.Last.Seq+1).Scan(&last.Seq, &last.Hash)
	if errors.Is(err, sql.ErrNoRows) {
		return ends.Removed, nil
	}
	return last, describe("looking for old rows of the audit", err)
}

const auditEnds = `SELECT seq, hash, removed, removed_hash FROM audit_chain WHERE id = 1`

func scanEnds(s scanner) (audit.Ends, error) {
	var e audit.Ends
	err := s.Scan(&e.Last.Seq, &e.Last.Hash, &e.Removed.Seq, &e.Removed.Hash)
	return e, err
}

// AuditEnds gives the two ends of the chain.
func (db *DB) AuditEnds(ctx context.Context) (audit.Ends, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	ends, err := scanEnds(db.read.row(ctx, auditEnds))
	return ends, classify("reading the ends of the audit", err)
}

const auditRows = `SELECT seq, at, who, origin, action, subject, was, became, result, hash FROM audit`

// AuditAfter lists the entries behind seq, oldest first.
func (db *DB) AuditAfter(ctx context.Context, seq int64, limit int) ([]audit.Entry, error) {
	return db.audit(ctx, auditRows+` WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, limit)
}

// AuditBefore lists the entries before seq, newest first; 0 means from the end.
func (db *DB) AuditBefore(ctx context.Context, seq int64, limit int) ([]audit.Entry, error) {
	return db.audit(ctx, auditRows+` WHERE seq < $1 OR $1 = 0 ORDER BY seq DESC LIMIT $2`, seq, limit)
}

func (db *DB) audit(ctx context.Context, query string, args ...any) ([]audit.Entry, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, func(s scanner) (e audit.Entry, err error) {
		var at int64
		err = s.Scan(&e.Seq, &at, &e.Who, &e.From, &e.Action, &e.Subject, &e.Was, &e.Became, &e.Result, &e.Hash)
		e.At = fromMicros(at)
		return e, err
	}, query, args...)
	return all, classify("reading the audit", err)
}
