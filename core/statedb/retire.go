package statedb

import (
	"context"
	"database/sql"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/retire"
)

// retireSetting is the policy of those sections that have none of their own.
const retireSetting = "downstream-retire"

// SetDefaultRetire records what is done with downstream repositories whose
// section says nothing. All cores that share the STATEDB go by the last one.
func (db *DB) SetDefaultRetire(ctx context.Context, policy core.RetirePolicy) error {
	old, err := db.Setting(ctx, retireSetting)
	if err != nil || old == string(policy) {
		return err
	}
	return db.SetSetting(ctx, retireSetting, string(policy))
}

type policyRow struct {
	Section string            `json:"section"`
	Policy  core.RetirePolicy `json:"policy"`
}

// SetRetire implements reconcile.Store.
func (db *DB) SetRetire(ctx context.Context, policies map[string]core.RetirePolicy) error {
	var rows []policyRow
	for _, section := range slices.Sorted(maps.Keys(policies)) {
		rows = append(rows, policyRow{section, policies[section]})
	}
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		return each(ctx, tx, "recording what is done with old repositories", rows, `INSERT INTO section_retire (section, policy)
			SELECT x.section, x.policy FROM `+tx.d.from("x", "section text, policy text")+` WHERE TRUE
			ON CONFLICT (section) DO UPDATE SET policy = excluded.policy WHERE section_retire.policy <> excluded.policy`)
	})
}

// retire notes which of some Lorries that are about to be removed have
// repositories to archive. paths is a JSON array.
func (t *txn) retire(ctx context.Context, paths string) error {
	return t.later(ctx, "noting what is to be archived", `INSERT INTO retirements (path)
		SELECT l.path FROM lorries l LEFT JOIN section_retire s ON s.section = l.section
		WHERE `+t.d.among("l.path", "$1", "text")+` AND COALESCE(NULLIF(s.policy, ''),
			(SELECT value FROM settings WHERE name = '`+retireSetting+`'), '') = '`+string(core.RetireArchive)+`'
		ON CONFLICT (path) DO UPDATE SET next_try = 0, done = 0, error = ''`, paths)
}

const retirementCols = `path, attempts, next_try, error, done`

func scanRetirement(s scanner) (retire.Retirement, error) {
	var r retire.Retirement
	var next, done int64
	err := s.Scan(&r.Path, &r.Attempts, &next, &r.Error, &done)
	r.Next, r.Done = fromMicros(next), fromMicros(done)
	return r, err
}

// DueRetirements implements retire.Store. The Lorries are only gone through
// when there is something due.
func (db *DB) DueRetirements(ctx context.Context, now time.Time, limit int) ([]retire.Retirement, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	const due = ` FROM retirements WHERE done = 0 AND next_try <= $1`
	var n int
	if err := db.read.row(ctx, `SELECT COUNT(*) FROM (SELECT 1`+due+` LIMIT 1) x`, micros(now)).Scan(&n); err != nil || n == 0 {
		return nil, classify("looking for what is to be archived", err)
	}
	all, err := collect(ctx, db.read, scanRetirement, `SELECT `+retirementCols+due+`
		AND lower(path) NOT IN (SELECT lower(l.path) FROM lorries l) ORDER BY next_try, path LIMIT $2`, micros(now), limit)
	return all, classify("looking for what is to be archived", err)
}

// BeginRetirement implements retire.Store.
func (db *DB) BeginRetirement(ctx context.Context, path string, next time.Time) (bool, error) {
	var n int64
	err := db.tx(ctx, func(ctx context.Context, tx *txn) (err error) {
		n, err = tx.change(ctx, "beginning to archive", `UPDATE retirements SET attempts = attempts + 1, next_try = $2
			WHERE path = $1 AND done = 0 AND next_try < $2 AND NOT EXISTS (SELECT 1 FROM lorries l WHERE l.path = retirements.path)`, path, micros(next))
		return err
	})
	return n > 0, err
}

// EndRetirement implements retire.Store.
func (db *DB) EndRetirement(ctx context.Context, r retire.Retirement) error {
	text := strings.ReplaceAll(strings.ToValidUTF8(firstBytes(r.Error), "\uFFFD"), "\x00", "\uFFFD")
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		if r.Done.IsZero() {
			return tx.later(ctx, "putting off what is to be archived",
				`UPDATE retirements SET next_try = CASE WHEN next_try = $4 THEN $4 ELSE $2 END, error = $3 WHERE path = $1 AND done = 0`,
				r.Path, micros(r.Next), text, never)
		}
		return tx.later(ctx, "noting what was archived", `INSERT INTO retirements (path, attempts, next_try, done)
			VALUES ($1, $2, $3, $3) ON CONFLICT (path) DO UPDATE SET done = excluded.done, error = ''`,
			r.Path, r.Attempts, micros(r.Done))
	})
}

// ForgetRetirement implements retire.Store.
func (db *DB) ForgetRetirement(ctx context.Context, path string) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		return tx.later(ctx, "forgetting what was archived", `DELETE FROM retirements WHERE path = $1`, path)
	})
}

// Retirement gives what was to be archived at a path, or was.
func (db *DB) Retirement(ctx context.Context, path string) (r retire.Retirement, found bool, err error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	r, err = scanRetirement(db.read.row(ctx, `SELECT `+retirementCols+` FROM retirements WHERE path = $1`, path))
	if errors.Is(err, sql.ErrNoRows) {
		return retire.Retirement{}, false, nil
	}
	return r, err == nil, classify("looking for what was archived", err)
}
