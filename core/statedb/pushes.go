package statedb

import (
	"context"
	"encoding/json"
	"time"

	"github.com/lorry-controller/lorry-controller/core/queue"
)

// hostPathRow is a repository of a host, as dialect.rows reads it.
type hostPathRow struct {
	Host string `json:"host"`
	Path string `json:"path"`
}

// PushedLorries implements queue.Store. Both parts go by an index.
func (db *DB) PushedLorries(ctx context.Context, p queue.Push, limit int) ([]string, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	names, err := json.Marshal(p.Repositories)
	if err != nil {
		return nil, err
	}
	var found []string
	if len(p.Repositories) > 0 {
		d := db.dialect
		found, err = collect(ctx, db.read, scanText, `SELECT l.path FROM lorries l
			WHERE l.repository <> '' AND `+d.among("l.repository", "$1", "text")+` ORDER BY l.path LIMIT $2`, dropNUL(string(names)), limit)
		if err != nil {
			return nil, classify("looking for pushed Lorries", err)
		}
	}
	if len(p.Generated) == 0 {
		return found, nil
	}
	rows := make([]hostPathRow, len(p.Generated))
	for i, g := range p.Generated {
		rows[i] = hostPathRow(g)
	}
	arg, err := rowsOf(rows)
	if err != nil {
		return nil, err
	}
	more, err := collect(ctx, db.read, scanText, `SELECT l.path FROM `+db.dialect.from("x", "host text, path text")+`
		JOIN lorries l ON l.host = x.host AND l.host_path = x.path AND l.host <> '' ORDER BY l.path LIMIT $2`, arg, limit)
	return append(found, more...), classify("looking for pushed Lorries", err)
}

// Push implements queue.Tx.
func (t *txn) Push(ctx context.Context, paths []string, now time.Time, turn int64) error {
	if len(paths) == 0 {
		return nil
	}
	arg, err := json.Marshal(paths)
	if err != nil {
		return err
	}
	return t.later(ctx, "making pushed Lorries due", `UPDATE queue SET pushed = $2,
		due = CASE WHEN due < $2 THEN due ELSE $2 END,
		turn = CASE WHEN running_job IS NULL AND turn > $3 THEN $3 ELSE turn END
		WHERE NOT removed AND `+t.d.among("path", "$1", "text"), dropNUL(string(arg)), micros(now), turn)
}

// ListSoon implements queue.Tx.
func (t *txn) ListSoon(ctx context.Context, hosts []string, now time.Time) (int, error) {
	if len(hosts) == 0 {
		return 0, nil
	}
	arg, err := json.Marshal(hosts)
	if err != nil {
		return 0, err
	}
	n, err := t.change(ctx, "making listings due", `UPDATE hosts SET ls_due = CASE WHEN ls_due < $2 THEN ls_due ELSE $2 END, asked = asked + 1
		WHERE `+t.d.among("name", "$1", "text"), dropNUL(string(arg)), micros(now))
	return int(n), err
}
