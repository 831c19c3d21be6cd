package statedb

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// The columns of a LorryState, in the order of lorryRow; lists leave the text
// out.
const (
	lorryState = `l.path, l.section, l.host, l.host_path, l.upstream_host, l.interval_us, l.timeout_us,
		l.rewrites, l.listed_head, l.listed_description,
		q.turn, q.due, COALESCE(q.running_job, 0), q.removed, q.last_run, q.last_success, q.last_equal, q.last_exit,
		q.fail_kind, q.fail_cause, q.fail_hint, q.failures, q.disk_usage, q.digest, q.held, q.fence, l.repository, q.pushed`
	lorryText   = lorryState + `, l.spec_text`
	lorryNoText = lorryState + `, ''`
	lorryFrom   = ` FROM queue q JOIN lorries l ON l.path = q.path`
)

// lorryRow takes those columns.
type lorryRow struct {
	queue.Ready
	interval, timeout, turn, due, lastRun, lastSuccess, lastEqual, pushed int64
}

func (r *lorryRow) dest() []any {
	l := &r.LorryState
	return []any{
		&l.Path, &l.Section, &l.Host, &l.HostPath, &l.UpstreamHost, &r.interval, &r.timeout,
		&l.Rewrites, &l.ListedHead, &l.ListedDescription,
		&r.turn, &r.due, &l.RunningJob, &l.Removed, &r.lastRun, &r.lastSuccess, &r.lastEqual, &l.LastExit,
		&l.LastFailure.Kind, &l.LastFailure.Cause, &l.LastFailure.Hint, &l.Failures, &l.DiskUsage, &l.Digest, &l.HeldReason,
		&r.Fence, &l.Repository, &r.pushed, &l.Text,
	}
}

func (r *lorryRow) value() queue.Ready {
	l := r.Ready
	l.Interval, l.Timeout = duration(r.interval), duration(r.timeout)
	l.Due, l.LastRun = fromMicros(r.due), fromMicros(r.lastRun)
	l.LastSuccess, l.LastEqual = fromMicros(r.lastSuccess), fromMicros(r.lastEqual)
	l.Position, l.Pushed = min(r.turn, 0), fromMicros(r.pushed)
	return l
}

func scanReady(s scanner) (queue.Ready, error) {
	var r lorryRow
	err := s.Scan(append(r.dest(), &r.Approved)...)
	return r.value(), err
}

func scanLorry(s scanner) (core.LorryState, error) {
	var r lorryRow
	err := s.Scan(r.dest()...)
	return r.value().LorryState, err
}

// storable reports whether a text can be a key at all; PostgreSQL refuses
// others with an error.
func storable(key string) bool { return utf8.ValidString(key) && !strings.Contains(key, "\x00") }

// Lorry implements queue.Store.
func (db *DB) Lorry(ctx context.Context, path string) (core.LorryState, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	if !storable(path) {
		return core.LorryState{}, notFound("there is no Lorry %q", path)
	}
	l, err := scanLorry(db.read.row(ctx, `SELECT `+lorryText+lorryFrom+` WHERE q.path = $1`, path))
	if errors.Is(err, sql.ErrNoRows) {
		return core.LorryState{}, notFound("there is no Lorry %q", path)
	}
	return l, classify("reading a Lorry", err)
}

// Lorries implements queue.Store. The queue's index holds the Lorries that no
// job runs; the few others are merged in.
func (db *DB) Lorries(ctx context.Context, page queue.Page) ([]core.LorryState, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	args, err := db.pageOf(ctx, page)
	if err != nil {
		return nil, err
	}
	all, err := collect(ctx, db.read, scanLorry, `SELECT `+lorryNoText+` FROM (`+inQueueOrder()+`) p
		JOIN queue q ON q.path = p.path JOIN lorries l ON l.path = p.path
		ORDER BY q.turn, q.path`, args...)
	return all, classify("reading the queue", err)
}

// QueuePaths implements queue.Store.
func (db *DB) QueuePaths(ctx context.Context, page queue.Page) ([]string, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	args, err := db.pageOf(ctx, page)
	if err != nil {
		return nil, err
	}
	all, err := collect(ctx, db.read, scanText, `SELECT path FROM (`+inQueueOrder()+`) p ORDER BY turn, path`, args...)
	return all, classify("reading the queue", err)
}

// inQueueOrder selects paths and turns of the Lorries behind the place $1, $2 in
// the queue, at most $3.
func inQueueOrder() string {
	const part = `SELECT q.path, q.turn FROM queue q WHERE q.running_job IS %s AND (q.turn, q.path) > ($1, $2) ORDER BY q.turn, q.path LIMIT $3`
	return `
			SELECT * FROM (` + strings.Replace(part, "%s", "NULL", 1) + `) waiting
			UNION ALL
			SELECT * FROM (` + strings.Replace(part, "%s", "NOT NULL", 1) + `) running
			ORDER BY 2, 1 LIMIT $3`
}

// pageOf gives the arguments of inQueueOrder.
func (db *DB) pageOf(ctx context.Context, page queue.Page) ([]any, error) {
	after, limit := int64(-1<<63), int64(page.Limit)
	if limit <= 0 {
		limit = 1<<62 - 1
	}
	if page.After != "" {
		if !storable(page.After) {
			return nil, notFound("there is no Lorry %q", page.After)
		}
		err := db.read.row(ctx, `SELECT turn FROM queue WHERE path = $1`, page.After).Scan(&after)
		if errors.Is(err, sql.ErrNoRows) {
			return nil, notFound("there is no Lorry %q to go on from", page.After)
		}
		if err != nil {
			return nil, classify("reading the queue", err)
		}
	}
	return []any{after, page.After, limit}, nil
}

// Failing implements queue.Store.
func (db *DB) Failing(ctx context.Context, page queue.Page) ([]core.LorryState, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	limit := int64(page.Limit)
	if limit <= 0 {
		limit = 1<<62 - 1
	}
	if page.After != "" && !storable(page.After) {
		return nil, notFound("there is no Lorry %q", page.After)
	}
	all, err := collect(ctx, db.read, scanLorry, `SELECT `+lorryNoText+lorryFrom+`
		WHERE q.failures > 0 AND q.path > $1 ORDER BY q.path LIMIT $2`, page.After, limit)
	return all, classify("reading the failing Lorries", err)
}

// Ahead implements queue.Store.
func (db *DB) Ahead(ctx context.Context, path string, now time.Time, limit int) (int, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	var n int
	err := db.read.row(ctx, `SELECT COUNT(*) FROM (
		SELECT 1 FROM queue q, queue me WHERE me.path = $1 AND q.running_job IS NULL AND q.held = ''
			AND q.turn <= $2 AND (q.turn, q.path) < (me.turn, me.path) LIMIT $3) x`, path, micros(now), limit).Scan(&n)
	return n, classify("counting who is ahead", err)
}

// NextTurn implements queue.Store.
func (db *DB) NextTurn(ctx context.Context, after time.Time) (time.Time, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	var next int64
	err := db.read.row(ctx, `SELECT COALESCE(MIN(t), 0) FROM (
		SELECT MIN(turn) AS t FROM queue WHERE running_job IS NULL AND turn > $1
		UNION ALL SELECT MIN(until) FROM host_holds WHERE until > $1) x`, micros(after)).Scan(&next)
	return fromMicros(next), classify("looking for the next due time", err)
}

// Counts implements queue.Store. Each count is of a small index, or of the due
// end of one.
func (db *DB) Counts(ctx context.Context, now time.Time) (queue.Counts, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	var c queue.Counts
	err := db.read.row(ctx, `SELECT
		(SELECT COUNT(*) FROM queue WHERE running_job IS NULL),
		(SELECT COUNT(*) FROM queue WHERE running_job IS NOT NULL),
		(SELECT COUNT(*) FROM queue WHERE running_job IS NULL AND turn <= $1),
		(SELECT COUNT(*) FROM queue WHERE failures > 0),
		(SELECT COUNT(*) FROM queue WHERE held <> '')`, micros(now)).
		Scan(&c.Lorries, &c.Running, &c.Due, &c.Failing, &c.Held)
	c.Lorries += c.Running
	return c, classify("counting", err)
}
