package statedb

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
)

// minionRow is one minion, as dialect.rows reads it.
type minionRow struct {
	Name     string `json:"name"`
	Address  string `json:"address"`
	PID      int    `json:"pid"`
	Protocol int    `json:"protocol"`
	Build    string `json:"build"`
	Labels   string `json:"labels"`
	Seen     int64  `json:"seen"`
	Short    string `json:"short"`
}

const minionCols = "name text, address text, pid bigint, protocol bigint, build text, labels text, seen bigint, short text"

// Minions implements queue.Store.
func (db *DB) Minions(ctx context.Context) ([]queue.Minion, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, func(s scanner) (m queue.Minion, err error) {
		var labels string
		var first, seen int64
		if err := s.Scan(&m.Name, &m.Address, &m.PID, &m.Protocol, &m.Build, &labels, &first, &seen, &m.Drain, &m.Short); err != nil {
			return m, err
		}
		m.First, m.Seen = fromMicros(first), fromMicros(seen)
		if err := json.Unmarshal([]byte(labels), &m.Labels); err != nil {
			return m, fmt.Errorf("labels of minion %q: %w", m.Name, err)
		}
		return m, nil
	}, `SELECT name, address, pid, protocol, build, labels, first, seen, drain, short FROM minions ORDER BY name`)
	return all, classify("reading the minions", err)
}

// Drained implements queue.Store.
func (db *DB) Drained(ctx context.Context) ([]string, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, scanText, `SELECT name FROM minions WHERE drain ORDER BY name`)
	return all, classify("reading which minions drain", err)
}

// SeeMinions implements queue.Tx. Minions whose rows others change are locked
// in the order of names, which is the callers' to keep.
func (t *txn) SeeMinions(ctx context.Context, seen []queue.Minion, old time.Time) error {
	defer t.known()()
	rows := make([]minionRow, 0, len(seen))
	for _, m := range seen {
		labels, err := json.Marshal(append([]string{}, m.Labels...))
		if err != nil {
			return err
		}
		rows = append(rows, minionRow{m.Name, m.Address, m.PID, m.Protocol, m.Build, string(labels), micros(m.Seen), m.Short})
	}
	if err := t.later(ctx, "forgetting old minions", `DELETE FROM minions WHERE seen < $1 AND NOT drain`, micros(old)); err != nil {
		return err
	}
	return each(ctx, t, "recording minions", rows, `INSERT INTO minions (name, address, pid, protocol, build, labels, first, seen, drain, short)
		SELECT x.name, x.address, x.pid, x.protocol, x.build, x.labels, x.seen, x.seen, FALSE, x.short FROM `+t.d.from("x", minionCols)+` WHERE TRUE
		ON CONFLICT (name) DO UPDATE SET address = excluded.address, pid = excluded.pid, protocol = excluded.protocol,
			build = excluded.build, labels = excluded.labels, seen = excluded.seen, short = excluded.short`)
}

// DrainMinion implements queue.Tx.
func (t *txn) DrainMinion(ctx context.Context, name string, drain bool) error {
	if !storable(name) {
		return notFound("there is no minion %q", name)
	}
	n, err := t.change(ctx, "draining a minion", `UPDATE minions SET drain = $2 WHERE name = $1`, name, drain)
	if err == nil && n == 0 {
		return notFound("there is no minion %q", name)
	}
	return err
}

// ForgetMinion implements queue.Tx.
func (t *txn) ForgetMinion(ctx context.Context, name string) error {
	if !storable(name) {
		return notFound("there is no minion %q", name)
	}
	n, err := t.change(ctx, "forgetting a minion", `DELETE FROM minions WHERE name = $1`, name)
	if err == nil && n == 0 {
		return notFound("there is no minion %q", name)
	}
	return err
}
