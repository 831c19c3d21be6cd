package statedb

import (
	"context"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// one turns a change of no row into an unknown Lorry.
func one(n int64, err error, path string) error {
	if err == nil && n == 0 {
		return notFound("there is no Lorry %q", path)
	}
	return err
}

// Place implements queue.Tx. A running Lorry keeps its place in the list only
// until its job ends; then one that was moved to the top is due once more. Otherwise
// a job that starts this very moment is what was asked for.
func (t *txn) Place(ctx context.Context, path string, top bool, now time.Time) error {
	if !storable(path) {
		return notFound("there is no Lorry %q", path)
	}
	if top {
		n, err := t.change(ctx, "moving a Lorry to the top", `UPDATE queue SET
			turn = (SELECT MIN(turn) FROM (SELECT MIN(turn) AS turn FROM queue WHERE running_job IS NULL
				UNION ALL SELECT MIN(turn) FROM queue WHERE running_job IS NOT NULL UNION ALL SELECT CAST($3 AS BIGINT)) m) - 1,
			due = CASE WHEN due < $2 THEN due ELSE $2 END, digest = '',
			pushed = CASE WHEN running_job IS NULL THEN $2 - 1 ELSE $2 END WHERE path = $1`, path, micros(now), int64(queue.FirstTurn))
		return one(n, err, path)
	}
	const last = `(SELECT MAX(turn) FROM (SELECT MAX(turn) AS turn FROM queue WHERE running_job IS NULL
		UNION ALL SELECT MAX(turn) FROM queue WHERE running_job IS NOT NULL UNION ALL SELECT CAST($2 AS BIGINT) - 1) m) + 1`
	n, err := t.change(ctx, "moving a Lorry to the bottom", `UPDATE queue SET turn = `+last+`, due = `+last+` WHERE path = $1`, path, micros(now))
	return one(n, err, path)
}

// asked notes that a job was asked for while one was running, which began before.
const asked = ` pushed = CASE WHEN running_job IS NULL THEN pushed ELSE $2 END, `

// Retry implements queue.Tx.
func (t *txn) Retry(ctx context.Context, path string, now time.Time) error {
	if !storable(path) {
		return notFound("there is no Lorry %q", path)
	}
	n, err := t.change(ctx, "making a Lorry due", `UPDATE queue SET failures = 0, digest = '',`+asked+`
		turn = CASE WHEN turn < $2 THEN turn ELSE $2 END, due = CASE WHEN due < $2 THEN due ELSE $2 END WHERE path = $1`, path, micros(now))
	return one(n, err, path)
}

// Hold implements queue.Tx.
func (t *txn) Hold(ctx context.Context, path, reason string) error {
	if !storable(path) {
		return notFound("there is no Lorry %q", path)
	}
	n, err := t.change(ctx, "holding a Lorry", `UPDATE queue SET held = $2 WHERE path = $1`, path, reason)
	return one(n, err, path)
}

// HoldHost implements queue.Tx.
func (t *txn) HoldHost(ctx context.Context, name string, hold queue.HostHold) error {
	if hold.Until.IsZero() {
		return t.later(ctx, "letting a host go", `DELETE FROM host_holds WHERE name = $1`, name)
	}
	return t.later(ctx, "holding a host", holdHost, name, micros(hold.Until), hold.Reason)
}

const holdHost = `INSERT INTO host_holds (name, until, reason) VALUES ($1, $2, $3)
	ON CONFLICT (name) DO UPDATE SET until = excluded.until, reason = excluded.reason`

// HoldHostLonger implements queue.Tx.
func (t *txn) HoldHostLonger(ctx context.Context, name string, hold queue.HostHold) error {
	return t.later(ctx, "holding a host", holdHost+` WHERE host_holds.until < excluded.until`, name, micros(hold.Until), hold.Reason)
}

// EndHold implements queue.Tx.
func (t *txn) EndHold(ctx context.Context, name, reason string) error {
	return t.later(ctx, "letting a host go", `DELETE FROM host_holds WHERE name = $1 AND reason = $2`, name, reason)
}

// heldRow is one held ref, as dialect.rows reads it.
type heldRow struct {
	Path  string `json:"path"`
	Ref   string `json:"ref"`
	Old   string `json:"old"`
	New   string `json:"new"`
	Since int64  `json:"since"`
}

// HoldRewrites implements queue.Tx. A rewrite that is still the same keeps its
// age and its approval.
func (t *txn) HoldRewrites(ctx context.Context, path string, refs []core.RefResult, now time.Time) error {
	defer t.known()()
	rows := []heldRow{}
	for _, r := range refs {
		if r.Status == core.RefHeld {
			rows = append(rows, heldRow{path, r.Ref, r.Old, r.New, micros(now)})
		}
	}
	arg, err := rowsOf(rows)
	if err != nil {
		return err
	}
	from := t.d.from("x", "path text, ref text, old text, new text, since bigint")
	if err := t.later(ctx, "letting held rewrites lapse", `DELETE FROM held_rewrites WHERE path = $2 AND NOT EXISTS (
		SELECT 1 FROM `+from+` WHERE x.ref = held_rewrites.ref AND x.old = held_rewrites.old AND x.new = held_rewrites.new)`, arg, path); err != nil {
		return err
	}
	if len(rows) == 0 {
		return nil
	}
	return t.later(ctx, "holding rewrites", `INSERT INTO held_rewrites (path, ref, old, new, since)
		SELECT x.path, x.ref, x.old, x.new, x.since FROM `+from+` WHERE TRUE ON CONFLICT (path, ref) DO NOTHING`, arg)
}

// ApproveRewrite implements queue.Tx.
func (t *txn) ApproveRewrite(ctx context.Context, path, ref, old, tip string) error {
	if !storable(path) || !storable(ref) {
		return notFound("no rewrite of %q in %q is held", ref, path)
	}
	n, err := t.change(ctx, "approving a rewrite",
		`UPDATE held_rewrites SET approved = TRUE WHERE path = $1 AND ref = $2 AND new = $3 AND ($4 = '' OR old = $4)`, path, ref, tip, old)
	if err != nil || n > 0 {
		return err
	}
	held, err := heldRewrites(ctx, t, path)
	if err != nil {
		return err
	}
	for _, h := range held {
		if h.Ref == ref {
			return &core.Error{
				Kind: core.KindConflict, Fact: fmt.Sprintf("the rewrite of %q in %q that is held is another: from %q to %q", ref, path, h.Old, h.New),
				Hint: "look at it, and approve it as it is now",
			}
		}
	}
	return notFound("no rewrite of %q in %q is held; it may have gone out, or lapsed", ref, path)
}

// HeldRewrites implements queue.Store; "" gives those of all Lorries.
func (db *DB) HeldRewrites(ctx context.Context, path string) ([]queue.HeldRewrite, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	if !storable(path) {
		return nil, nil
	}
	return heldRewrites(ctx, db.read, path)
}

// HeldRewrites implements queue.Tx.
func (t *txn) HeldRewrites(ctx context.Context, path string) ([]queue.HeldRewrite, error) {
	return heldRewrites(ctx, t, path)
}

func heldRewrites(ctx context.Context, r runner, path string) ([]queue.HeldRewrite, error) {
	query, args := `SELECT path, ref, old, new, since, approved FROM held_rewrites`, []any{}
	if path != "" {
		query, args = query+` WHERE path = $1`, append(args, path)
	}
	all, err := collect(ctx, r, func(s scanner) (h queue.HeldRewrite, err error) {
		var since int64
		err = s.Scan(&h.Path, &h.Ref, &h.Old, &h.New, &since, &h.Approved)
		h.Since = fromMicros(since)
		return h, err
	}, query+` ORDER BY path, ref`, args...)
	return all, describe("reading held rewrites", err)
}
