package statedb

import (
	"context"
	"encoding/json"
	"slices"
	"strings"

	"github.com/lorry-controller/lorry-controller/core/notify"
)

type noticeRow struct {
	Lane    notify.Lane `json:"lane"`
	Subject string      `json:"subject"`
	Name    string      `json:"name"`
	Host    string      `json:"host"`
	Cause   string      `json:"cause"`
	Detail  string      `json:"detail"`
	Since   int64       `json:"since"`
	Opened  int64       `json:"opened"`
}

func noticeRows(all []notify.Notice, now int64) []noticeRow {
	rows := make([]noticeRow, 0, len(all))
	seen := map[[2]string]bool{}
	for _, n := range all {
		if key := [2]string{string(n.Lane), n.Subject}; !seen[key] {
			seen[key] = true
			rows = append(rows, noticeRow{n.Lane, n.Subject, n.Group(), n.Host, n.Cause, n.Detail, micros(n.Since), now})
		}
	}
	slices.SortFunc(rows, func(a, b noticeRow) int { return strings.Compare(a.Subject, b.Subject) })
	return rows
}

type groupRow struct {
	Name   string `json:"name"`
	ToldAt int64  `json:"told_at"`
	Tells  int    `json:"tells"`
	Told   int    `json:"told"`
	Sample string `json:"sample"`
}

type outboxRow struct {
	ID      string `json:"id"`
	Target  string `json:"target"`
	Body    string `json:"body"`
	Created int64  `json:"created"`
	Next    int64  `json:"next_try"`
}

// ChangeNotices implements notify.Store.
func (db *DB) ChangeNotices(ctx context.Context, c notify.Change) error {
	groups := make([]groupRow, 0, len(c.Groups))
	for _, g := range c.Groups {
		sample, err := json.Marshal(g.Sample)
		if err != nil {
			return err
		}
		groups = append(groups, groupRow{g.Name, micros(g.ToldAt), g.Tells, g.Told, string(sample)})
	}
	messages := make([]outboxRow, 0, len(c.Messages))
	for _, m := range c.Messages {
		body, err := json.Marshal(m.Message)
		if err != nil {
			return err
		}
		messages = append(messages, outboxRow{m.ID, m.Target, string(body), micros(m.Created), micros(m.Next)})
	}
	now := micros(db.clock())
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		if err := tx.changeNotices(ctx, c, now); err != nil {
			return err
		}
		if err := each(ctx, tx, "recording what was told", groups, `UPDATE notice_groups SET told_at = x.told_at, tells = x.tells, told = x.told,
			sample = x.sample FROM `+tx.d.from("x", "name text, told_at bigint, tells bigint, told bigint, sample text")+`
			WHERE notice_groups.name = x.name`); err != nil {
			return err
		}
		if err := each(ctx, tx, "recording what was told", groups, `UPDATE notices SET told = TRUE WHERE NOT told AND name IN (
			SELECT x.name FROM `+tx.d.from("x", "name text")+`)`); err != nil {
			return err
		}
		if c.Lane != "" {
			if err := tx.later(ctx, "recording when it was told", `INSERT INTO notice_lanes (lane, told_at) VALUES ($1, $2)
				ON CONFLICT (lane) DO UPDATE SET told_at = excluded.told_at`, c.Lane, micros(c.At)); err != nil {
				return err
			}
		}
		return each(ctx, tx, "putting messages into the outbox", messages, `INSERT INTO outbox (id, target, body, created, next_try)
			SELECT x.id, x.target, x.body, x.created, x.next_try FROM `+
			tx.d.from("x", "id text, target text, body text, created bigint, next_try bigint")+` WHERE TRUE ON CONFLICT (id) DO NOTHING`)
	})
}

// changeNotices adds and removes notices and groups. A group begins with its
// first notice.
func (t *txn) changeNotices(ctx context.Context, c notify.Change, now int64) error {
	add, remove := noticeRows(c.Add, now), noticeRows(c.Remove, now)
	const cols = "lane text, subject text, name text, host text, cause text, detail text, since bigint, opened bigint"
	if err := each(ctx, t, "beginning groups", add, `INSERT INTO notice_groups (name, lane, host, cause, opened)
		SELECT x.name, x.lane, x.host, x.cause, MIN(x.opened) FROM `+t.d.from("x", cols)+` WHERE TRUE
		GROUP BY x.name, x.lane, x.host, x.cause ON CONFLICT (name) DO NOTHING`); err != nil {
		return err
	}
	if err := each(ctx, t, "adding notices", add, `INSERT INTO notices (lane, subject, name, detail, since)
		SELECT x.lane, x.subject, x.name, x.detail, x.since FROM `+t.d.from("x", cols)+` WHERE TRUE ON CONFLICT (lane, subject) DO NOTHING`); err != nil {
		return err
	}
	if err := each(ctx, t, "removing notices", remove, `DELETE FROM notices WHERE (lane, subject) IN (
		SELECT x.lane, x.subject FROM `+t.d.from("x", cols)+`)`); err != nil {
		return err
	}
	if len(c.Drop) == 0 {
		return nil
	}
	drop, err := json.Marshal(c.Drop)
	if err != nil {
		return err
	}
	return t.later(ctx, "ending groups", `DELETE FROM notice_groups WHERE `+t.d.among("name", "$1", "text")+`
		AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.name = notice_groups.name)`, dropNUL(string(drop)))
}

// Outbox implements notify.Store.
func (db *DB) Outbox(ctx context.Context, target string, limit int) ([]notify.Outgoing, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, func(s scanner) (notify.Outgoing, error) {
		var o notify.Outgoing
		var body string
		var created, next int64
		if err := s.Scan(&o.ID, &o.Target, &body, &created, &o.Attempts, &next, &o.Error); err != nil {
			return o, err
		}
		o.Created, o.Next = fromMicros(created), fromMicros(next)
		return o, json.Unmarshal([]byte(body), &o.Message)
	}, `SELECT id, target, body, created, attempts, next_try, error FROM outbox WHERE target = $1 ORDER BY created, id LIMIT $2`, target, limit)
	return all, classify("reading the outbox", err)
}

// MessageTargets implements notify.Store.
func (db *DB) MessageTargets(ctx context.Context) ([]string, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, scanText, `SELECT DISTINCT target FROM outbox ORDER BY target`)
	return all, classify("reading the outbox", err)
}

// MessageSent implements notify.Store.
func (db *DB) MessageSent(ctx context.Context, id string) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		return tx.later(ctx, "emptying the outbox", `DELETE FROM outbox WHERE id = $1`, id)
	})
}

// RetryMessage implements notify.Store.
func (db *DB) RetryMessage(ctx context.Context, o notify.Outgoing) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		return tx.later(ctx, "putting off a message", `UPDATE outbox SET attempts = $2, next_try = $3, error = $4 WHERE id = $1`,
			o.ID, int64(o.Attempts), micros(o.Next), strings.ReplaceAll(strings.ToValidUTF8(o.Error, "\uFFFD"), "\x00", "\uFFFD"))
	})
}
