package statedb

import (
	"context"
	"encoding/json"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/notify"
)

// detailKept bounds what is kept of a cause, in bytes.
const detailKept = 300

// NewFailures implements notify.Store.
func (db *DB) NewFailures(ctx context.Context, limit int) ([]notify.Notice, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, func(s scanner) (notify.Notice, error) {
		n := notify.Notice{Lane: notify.Failures}
		var kind core.FailureKind
		var since int64
		err := s.Scan(&n.Subject, &n.Host, &kind, &n.Detail, &since)
		n.Cause, n.Since, n.Detail = string(kind), fromMicros(since), firstBytes(n.Detail)
		return n, err
	}, `SELECT q.path, q.upstream_host, q.fail_kind, q.fail_cause, q.last_run FROM queue q
		WHERE q.failures > 0 AND NOT q.removed AND q.fail_kind <> 'killed'
			AND NOT (q.fail_kind = 'diverged' AND EXISTS (SELECT 1 FROM held_rewrites h WHERE h.path = q.path))
			AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.lane = 'failures' AND n.subject = q.path)
		ORDER BY q.path LIMIT $1`, limit)
	return all, classify("looking for failures to tell of", err)
}

// NewStale implements notify.Store.
func (db *DB) NewStale(ctx context.Context, before time.Time, limit int) ([]notify.Notice, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, func(s scanner) (notify.Notice, error) {
		n := notify.Notice{Lane: notify.Staleness}
		var since int64
		err := s.Scan(&n.Subject, &n.Host, &since)
		n.Since = fromMicros(since)
		n.Detail = "last known to be equal to its upstream at " + n.Since.Format(time.RFC3339)
		return n, err
	}, `SELECT q.path, q.upstream_host, q.last_equal FROM queue q
		WHERE q.last_equal > 0 AND q.last_equal < $1 AND q.failures = 0 AND q.held = '' AND NOT q.removed
			AND NOT EXISTS (SELECT 1 FROM notices n WHERE n.lane = 'staleness' AND n.subject = q.path)
		ORDER BY q.path LIMIT $2`, micros(before), limit)
	return all, classify("looking for mirrors that are out of date", err)
}

// Recovered implements notify.Store.
func (db *DB) Recovered(ctx context.Context, staleBefore time.Time, limit int) ([]notify.Notice, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, func(s scanner) (n notify.Notice, err error) {
		err = s.Scan(&n.Lane, &n.Subject)
		return n, err
	}, `SELECT n.lane, n.subject FROM notices n LEFT JOIN queue q ON q.path = n.subject
		WHERE (n.lane = 'failures' AND (q.path IS NULL OR q.failures = 0))
			OR (n.lane = 'staleness' AND (q.path IS NULL OR q.failures > 0 OR q.held <> '' OR q.last_equal >= $1))
		ORDER BY n.lane, n.subject LIMIT $2`, micros(staleBefore), limit)
	return all, classify("looking for what is over", err)
}

// Notices implements notify.Store.
func (db *DB) Notices(ctx context.Context, lane notify.Lane) ([]notify.Notice, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, scanNotice,
		`SELECT lane, subject, detail, since FROM notices WHERE lane = $1 ORDER BY subject`, lane)
	return all, classify("reading notices", err)
}

// UntoldNotices implements notify.Store.
func (db *DB) UntoldNotices(ctx context.Context, group string, limit int) ([]notify.Notice, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, scanNotice,
		`SELECT lane, subject, detail, since FROM notices WHERE name = $1 AND NOT told ORDER BY since, subject LIMIT $2`, group, limit)
	return all, classify("reading notices", err)
}

func scanNotice(s scanner) (n notify.Notice, err error) {
	var since int64
	err = s.Scan(&n.Lane, &n.Subject, &n.Detail, &since)
	n.Since = fromMicros(since)
	return n, err
}

// NoticeGroups implements notify.Store.
func (db *DB) NoticeGroups(ctx context.Context) ([]notify.Group, map[notify.Lane]time.Time, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	groups, err := collect(ctx, db.read, scanGroup, `SELECT g.name, g.lane, g.host, g.cause, g.opened, g.told_at, g.tells, g.told, g.sample,
			COUNT(n.subject), COUNT(CASE WHEN NOT n.told THEN 1 END)
		FROM notice_groups g LEFT JOIN notices n ON n.name = g.name
		GROUP BY g.name, g.lane, g.host, g.cause, g.opened, g.told_at, g.tells, g.told, g.sample ORDER BY g.name`)
	if err != nil {
		return nil, nil, classify("reading what is told", err)
	}
	lanes := map[notify.Lane]time.Time{}
	_, err = collect(ctx, db.read, func(s scanner) (struct{}, error) {
		var lane notify.Lane
		var at int64
		err := s.Scan(&lane, &at)
		lanes[lane] = fromMicros(at)
		return struct{}{}, err
	}, `SELECT lane, told_at FROM notice_lanes`)
	return groups, lanes, classify("reading what is told", err)
}

func scanGroup(s scanner) (notify.Group, error) {
	var g notify.Group
	var opened, toldAt int64
	var sample string
	if err := s.Scan(&g.Name, &g.Lane, &g.Host, &g.Cause, &opened, &toldAt, &g.Tells, &g.Told, &sample, &g.Open, &g.Untold); err != nil {
		return g, err
	}
	g.Opened, g.ToldAt = fromMicros(opened), fromMicros(toldAt)
	return g, json.Unmarshal([]byte(sample), &g.Sample)
}

// firstBytes shortens a text, between two characters.
func firstBytes(s string) string {
	if len(s) <= detailKept {
		return s
	}
	end := detailKept
	for end > 0 && s[end]&0xc0 == 0x80 {
		end--
	}
	return s[:end] + "…"
}
