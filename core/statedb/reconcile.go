package statedb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

const commitSetting = "confgit-commit"

// Setting gives a named value, or "" when it was never set.
func (db *DB) Setting(ctx context.Context, name string) (string, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	v, err := scanText(db.read.row(ctx, `SELECT value FROM settings WHERE name = $1`, name))
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return v, classify("reading a setting", err)
}

// SetSetting records a named value. It must not be a credential.
func (db *DB) SetSetting(ctx context.Context, name, value string) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error { return tx.set(ctx, name, value) })
}

func (t *txn) set(ctx context.Context, name, value string) error {
	_, err := t.change(ctx, "recording a setting", `INSERT INTO settings (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
	return err
}

// ConfigCommit implements reconcile.Store.
func (db *DB) ConfigCommit(ctx context.Context) (string, error) {
	return db.Setting(ctx, commitSetting)
}

type problemRow struct {
	Seq      int    `json:"seq"`
	File     string `json:"file"`
	Line     int    `json:"line"`
	Key      string `json:"key"`
	Message  string `json:"message"`
	Severity string `json:"severity"`
}

// SetConfig implements reconcile.Store.
func (db *DB) SetConfig(ctx context.Context, commit string, problems []core.Problem) error {
	rows := make([]problemRow, len(problems))
	for i, p := range problems {
		rows[i] = problemRow{i, p.File, p.Line, p.Key, p.Message, p.Severity}
	}
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		if err := tx.set(ctx, commitSetting, commit); err != nil {
			return err
		}
		if _, err := tx.change(ctx, "replacing the problems", `DELETE FROM problems`); err != nil {
			return err
		}
		return each(ctx, tx, "recording problems", rows, `INSERT INTO problems (seq, file, line, key, message, severity)
			SELECT x.seq, x.file, x.line, x.key, x.message, x.severity FROM `+
			tx.d.from("x", "seq bigint, file text, line bigint, key text, message text, severity text"))
	})
}

// Problems lists what of CONFGIT could not be used, in the order of SetConfig.
func (db *DB) Problems(ctx context.Context) ([]core.Problem, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, func(s scanner) (p core.Problem, err error) {
		err = s.Scan(&p.File, &p.Line, &p.Key, &p.Message, &p.Severity)
		return p, err
	}, `SELECT file, line, key, message, severity FROM problems ORDER BY seq`)
	return all, classify("reading the problems", err)
}

// Sections implements reconcile.Store.
func (db *DB) Sections(ctx context.Context) ([]string, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, scanText, `SELECT DISTINCT l.section FROM lorries l JOIN queue q ON q.path = l.path
		WHERE NOT q.removed ORDER BY l.section`)
	return all, classify("listing sections", err)
}

// SectionLorries implements reconcile.Store.
func (db *DB) SectionLorries(ctx context.Context, section, after string, limit int) ([]core.Lorry, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	if limit <= 0 {
		limit = 1<<31 - 1
	}
	all, err := collect(ctx, db.read, func(s scanner) (core.Lorry, error) {
		l, err := scanLorry(s)
		return l.Lorry, err
	}, `SELECT `+lorryText+` FROM lorries l JOIN queue q ON q.path = l.path
		WHERE l.section = $1 AND l.path > $2 AND NOT q.removed ORDER BY l.path LIMIT $3`, section, after, limit)
	return all, classify("reading a section", err)
}

// wantRow is one wanted Lorry, as dialect.rows reads it.
type wantRow struct {
	Path              string             `json:"path"`
	SpecText          string             `json:"spec_text"`
	Section           string             `json:"section"`
	Host              string             `json:"host"`
	HostPath          string             `json:"host_path"`
	UpstreamHost      string             `json:"upstream_host"`
	Repository        string             `json:"repository"`
	Interval          int64              `json:"interval_us"`
	Timeout           int64              `json:"timeout_us"`
	Rewrites          core.RewritePolicy `json:"rewrites"`
	ListedHead        string             `json:"listed_head"`
	ListedDescription string             `json:"listed_description"`
	Due               int64              `json:"due"`
	Now               int64              `json:"now"`
}

const wantCols = "path text, spec_text text, section text, host text, host_path text, upstream_host text, repository text, interval_us bigint, " +
	"timeout_us bigint, rewrites text, listed_head text, listed_description text, due bigint, now bigint"

// PutLorries implements reconcile.Store. A changed interval moves the due time
// of a Lorry that waits for it, as the original's sum of last run and interval
// did, but not of one that an admin made due; a changed text forgets the digest,
// so that the next job looks again: one more than that which runs, if one does.
func (db *DB) PutLorries(ctx context.Context, lorries []core.Lorry) error {
	return db.PutLorriesDue(ctx, lorries, slices.Repeat([]time.Time{db.clock()}, len(lorries)))
}

// PutLorriesDue implements reconcile.Store.
func (db *DB) PutLorriesDue(ctx context.Context, lorries []core.Lorry, due []time.Time) error {
	rows := make([]wantRow, 0, len(lorries))
	at := map[string]int{}
	for n, l := range lorries {
		r := wantRow{
			l.Path, l.Text, l.Section, l.Host, l.HostPath, l.UpstreamHost, l.Repository,
			l.Interval.Microseconds(), l.Timeout.Microseconds(), l.Rewrites, l.ListedHead, l.ListedDescription, micros(due[n]), 0,
		}
		if i, twice := at[l.Path]; twice {
			rows[i] = r // the last one wins
			continue
		}
		at[l.Path] = len(rows)
		rows = append(rows, r)
	}
	// One order for all who lock several rows.
	slices.SortFunc(rows, func(a, b wantRow) int { return strings.Compare(a.Path, b.Path) })
	defer db.head.forget() // a shorter interval may make one overdue
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		if len(rows) == 0 {
			return nil
		}
		// Not before it is its turn to write: a job that began until then has the
		// old text.
		now := micros(db.clock())
		for i := range rows {
			rows[i].Now = now
		}
		for _, put := range putLorries() {
			if err := tx.putAll(ctx, put, rows); err != nil {
				return err
			}
		}
		return nil
	})
}

// statement is one with "FROM {rows}", and what it is for.
type statement struct{ doing, query string }

// putAll runs a statement for rows. PostgreSQL gets only the columns that it
// needs, as arrays, which it reads far faster than JSON.
func (t *txn) putAll(ctx context.Context, s statement, rows []wantRow) error {
	if t.d.name != sqliteName {
		return atOnce(ctx, t, s.doing, rows, s.query, wantCols)
	}
	return each(ctx, t, s.doing, rows, strings.Replace(s.query, "{rows}", t.d.from("x", wantCols), 1))
}

// putLorries are the statements of PutLorries, in order. The one that changes
// known Lorries looks them up one by one, by subqueries: left to its estimates,
// PostgreSQL would compare each with every other.
func putLorries() []statement {
	const waits = `queue.running_job IS NULL AND queue.last_run > 0 AND queue.failures = 0 AND queue.turn = queue.due AND queue.due >= queue.last_run + c.was`
	return []statement{
		{"moving due times and forgetting digests", `WITH w AS MATERIALIZED (SELECT x.path AS path, x.interval_us AS interval_us, x.spec_text AS spec_text, x.now AS now FROM {rows}),
			k AS MATERIALIZED (SELECT w.path, w.interval_us, w.spec_text, w.now, (SELECT l.interval_us FROM lorries l WHERE l.path = w.path) AS was,
				(SELECT l.spec_text FROM lorries l WHERE l.path = w.path) AS wrote FROM w),
			c AS MATERIALIZED (SELECT k.path, k.interval_us, k.now, k.was, k.was <> k.interval_us AS moved, k.wrote <> k.spec_text AS rewritten
				FROM k WHERE k.was <> k.interval_us OR k.wrote <> k.spec_text)
		UPDATE queue SET due = CASE WHEN c.moved AND ` + waits + ` THEN last_run + c.interval_us ELSE due END,
			turn = CASE WHEN c.moved AND ` + waits + ` THEN last_run + c.interval_us ELSE turn END,
			digest = CASE WHEN c.rewritten THEN '' ELSE digest END,
			pushed = CASE WHEN c.rewritten AND running_job IS NOT NULL THEN c.now ELSE pushed END FROM c
		WHERE queue.path = c.path AND (c.moved AND ` + waits + ` OR c.rewritten AND (queue.digest <> '' OR queue.running_job IS NOT NULL))`},
		{"writing Lorries", `INSERT INTO lorries (path, spec_text, section, host, host_path, upstream_host, repository, interval_us, timeout_us,
			rewrites, listed_head, listed_description)
		SELECT x.path, x.spec_text, x.section, x.host, x.host_path, x.upstream_host, x.repository, x.interval_us, x.timeout_us,
			x.rewrites, x.listed_head, x.listed_description FROM {rows} WHERE TRUE
		ON CONFLICT (path) DO UPDATE SET spec_text = excluded.spec_text, section = excluded.section, host = excluded.host,
			host_path = excluded.host_path, upstream_host = excluded.upstream_host, repository = excluded.repository, interval_us = excluded.interval_us,
			timeout_us = excluded.timeout_us, rewrites = excluded.rewrites, listed_head = excluded.listed_head,
			listed_description = excluded.listed_description
		WHERE (lorries.spec_text, lorries.section, lorries.host, lorries.host_path, lorries.upstream_host, lorries.repository, lorries.interval_us,
			lorries.timeout_us, lorries.rewrites, lorries.listed_head, lorries.listed_description) <>
			(excluded.spec_text, excluded.section, excluded.host, excluded.host_path, excluded.upstream_host, excluded.repository, excluded.interval_us,
			excluded.timeout_us, excluded.rewrites, excluded.listed_head, excluded.listed_description)`},
		{"queueing Lorries", `INSERT INTO queue (path, upstream_host, turn, due)
		SELECT x.path, x.upstream_host, x.due, x.due FROM {rows} WHERE TRUE
		ON CONFLICT (path) DO UPDATE SET removed = FALSE, upstream_host = excluded.upstream_host
		WHERE queue.removed OR queue.upstream_host <> excluded.upstream_host`},
	}
}

// RemoveLorries implements reconcile.Store.
func (db *DB) RemoveLorries(ctx context.Context, paths []string) error {
	if len(paths) == 0 {
		return nil
	}
	b, err := json.Marshal(paths)
	if err != nil {
		return err
	}
	arg := dropNUL(string(b))
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		// Locked first: a claim that has just taken one must be seen.
		idle, err := collect(ctx, tx, scanText, `SELECT CASE WHEN running_job IS NULL THEN path ELSE '' END FROM queue
			WHERE `+tx.d.among("path", "$1", "text")+` ORDER BY path`+tx.d.forUpdate("queue"), arg)
		if err != nil {
			return describe("looking for Lorries to remove", err)
		}
		if _, err := tx.change(ctx, "marking Lorries as removed", `UPDATE queue SET removed = TRUE
			WHERE running_job IS NOT NULL AND `+tx.d.among("path", "$1", "text"), arg); err != nil {
			return err
		}
		return tx.forget(ctx, slices.DeleteFunc(idle, func(path string) bool { return path == "" }))
	})
}
