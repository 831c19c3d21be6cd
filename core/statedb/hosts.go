package statedb

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

// hostRow is one known host, as dialect.rows reads it. Settings of its adapter
// stay in CONFGIT.
type hostRow struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Protocol string `json:"protocol"`
	Prefixes string `json:"prefixes"`
	Ignored  string `json:"ignored"`
	Ls       int64  `json:"ls_us"`
	Interval int64  `json:"interval_us"`
	Timeout  int64  `json:"timeout_us"`
	Due      int64  `json:"ls_due"`
}

const hostCols = "name text, type text, protocol text, prefixes text, ignored text, ls_us bigint, interval_us bigint, timeout_us bigint, ls_due bigint"

// PutHosts implements reconcile.Store.
func (db *DB) PutHosts(ctx context.Context, hosts []core.Host) error {
	now := micros(db.clock())
	rows := []hostRow{}
	at := map[string]int{}
	for _, h := range hosts {
		prefixes, err := json.Marshal(h.Prefixes)
		if err != nil {
			return err
		}
		ignored, err := json.Marshal(h.Ignore)
		if err != nil {
			return err
		}
		r := hostRow{
			h.Name, h.Type, h.Protocol, string(prefixes), string(ignored),
			h.LsInterval.Microseconds(), h.Interval.Microseconds(), h.Timeout.Microseconds(), now,
		}
		if i, twice := at[h.Name]; twice {
			rows[i] = r
			continue
		}
		at[h.Name] = len(rows)
		rows = append(rows, r)
	}
	arg, err := rowsOf(rows)
	if err != nil {
		return err
	}
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		from := tx.d.from("x", hostCols)
		if _, err := tx.change(ctx, "removing hosts", `DELETE FROM hosts WHERE name NOT IN (SELECT x.name FROM `+from+`)`, arg); err != nil {
			return err
		}
		return each(ctx, tx, "writing hosts", rows, `INSERT INTO hosts (name, type, protocol, prefixes, ignored, ls_us, interval_us, timeout_us, ls_due)
			SELECT x.name, x.type, x.protocol, x.prefixes, x.ignored, x.ls_us, x.interval_us, x.timeout_us, x.ls_due FROM `+from+` WHERE TRUE
			ON CONFLICT (name) DO UPDATE SET type = excluded.type, protocol = excluded.protocol, prefixes = excluded.prefixes,
				ignored = excluded.ignored, ls_us = excluded.ls_us, interval_us = excluded.interval_us, timeout_us = excluded.timeout_us`)
	})
}

// Hosts implements reconcile.Store and queue.Store.
func (db *DB) Hosts(ctx context.Context) ([]core.HostState, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, scanHost, `SELECT h.name, h.type, h.protocol, h.prefixes, h.ignored, h.ls_us, h.interval_us, h.timeout_us,
		h.ls_last, h.ls_due, h.ls_error, h.listed, h.purge, h.asked, COALESCE(p.since, 0), COALESCE(o.until, 0), COALESCE(o.reason, '')
		FROM hosts h LEFT JOIN held_purges p ON p.host = h.name
		LEFT JOIN host_holds o ON o.name = h.name AND o.until > $1 ORDER BY h.name`, micros(db.clock()))
	return all, classify("reading hosts", err)
}

func scanHost(s scanner) (core.HostState, error) {
	var h core.HostState
	var prefixes, ignored string
	var ls, interval, timeout, last, due, purge, held int64
	if err := s.Scan(&h.Name, &h.Type, &h.Protocol, &prefixes, &ignored, &ls, &interval, &timeout,
		&last, &due, &h.LsError, &h.Listed, &h.Purge, &h.Asked, &purge, &held, &h.HeldReason); err != nil {
		return h, err
	}
	if err := json.Unmarshal([]byte(prefixes), &h.Prefixes); err != nil {
		return h, fmt.Errorf("prefixes of host %q: %w", h.Name, err)
	}
	if err := json.Unmarshal([]byte(ignored), &h.Ignore); err != nil {
		return h, fmt.Errorf("globs of host %q: %w", h.Name, err)
	}
	h.LsInterval, h.Interval, h.Timeout = duration(ls), duration(interval), duration(timeout)
	h.LsLast, h.LsDue, h.PurgeSince, h.HeldUntil = fromMicros(last), fromMicros(due), fromMicros(purge), fromMicros(held)
	return h, nil
}

// HostListed implements reconcile.Store.
func (db *DB) HostListed(ctx context.Context, o reconcile.HostOutcome) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		n, err := tx.change(ctx, "recording a listing", `UPDATE hosts SET ls_due = CASE WHEN $5 AND asked <> $8 THEN CAST($6 AS BIGINT) ELSE CAST($2 AS BIGINT) END,
			ls_error = $3, purge = $4, ls_last = CASE WHEN $5 THEN $6 ELSE ls_last END, listed = CASE WHEN $5 THEN $7 ELSE listed END
			WHERE name = $1`,
			o.Name, micros(o.Next), storedText(o.Error), storedText(o.Purge), o.Complete, micros(o.At), int64(o.Listed), o.Asked)
		if err == nil && n == 0 {
			return notFound("there is no host %q", o.Name)
		}
		return err
	})
}

// AskListing implements reconcile.Store.
func (db *DB) AskListing(ctx context.Context, hosts []string) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		_, err := tx.ListSoon(ctx, hosts, db.clock())
		return err
	})
}

// HeldPurge implements reconcile.Store.
func (db *DB) HeldPurge(ctx context.Context, host string) (reconcile.HeldPurge, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	var p reconcile.HeldPurge
	var since, counted int64
	err := db.read.row(ctx, `SELECT missing, digest, seen, since, counted FROM held_purges WHERE host = $1`, host).
		Scan(&p.Missing, &p.Digest, &p.Seen, &since, &counted)
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil
	}
	p.Since, p.Counted = fromMicros(since), fromMicros(counted)
	return p, classify("reading a held purge", err)
}

// SetHeldPurge implements reconcile.Store.
func (db *DB) SetHeldPurge(ctx context.Context, host string, p reconcile.HeldPurge) error {
	return db.tx(ctx, func(ctx context.Context, tx *txn) error {
		if p == (reconcile.HeldPurge{}) {
			return tx.later(ctx, "letting a held purge lapse", `DELETE FROM held_purges WHERE host = $1`, host)
		}
		n, err := tx.change(ctx, "holding a purge", `INSERT INTO held_purges (host, missing, digest, seen, since, counted)
			SELECT name, CAST($2 AS BIGINT), CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS BIGINT), CAST($6 AS BIGINT) FROM hosts WHERE name = $1
			ON CONFLICT (host) DO UPDATE SET missing = excluded.missing, digest = excluded.digest, seen = excluded.seen, since = excluded.since,
				counted = excluded.counted`,
			host, int64(p.Missing), p.Digest, int64(p.Seen), micros(p.Since), micros(p.Counted))
		if err == nil && n == 0 {
			return notFound("there is no host %q", host)
		}
		return err
	})
}
