package statedb

import (
	"context"
	"time"
)

// backSlack is how far the clocks of several cores may be apart.
const backSlack = time.Minute

// ClockSet implements queue.Tx. What has run by a time that has not come yet is
// what was written by the clock as it was before: so a second call, or one of
// another core, finds nothing more to do.
func (t *txn) ClockSet(ctx context.Context, by time.Duration, now time.Time) (time.Duration, error) {
	newest, err := collect(ctx, t, scanInt, `SELECT started FROM jobs ORDER BY id DESC LIMIT 1`)
	if err != nil {
		return 0, describe("looking for jobs of a later time", err)
	}
	isBack := by < 0 || by == 0 && len(newest) > 0 && newest[0] > micros(now.Add(backSlack))
	// Just before now, so that what begins now has begun later.
	before := micros(now) - 1
	// Whoever remembers the jobs forgets them.
	ids, err := collect(ctx, t, scanID, `UPDATE jobs SET started = CASE WHEN started + $1 < $2 THEN started + $1 ELSE $2 END
		WHERE exit = '' AND (CAST($1 AS BIGINT) > 0 OR started > $3) RETURNING id`, max(by, 0).Microseconds(), before, micros(now))
	if err != nil {
		return 0, describe("setting the beginning of jobs", err)
	}
	if t.lives != nil {
		t.lives.forget()
	}
	if t.gone = append(t.gone, ids...); !isBack {
		return 0, nil
	}
	// A push of a later time would bring one job after the other until then.
	if _, err := t.change(ctx, "setting the time of pushes", `UPDATE queue SET pushed = $1 WHERE pushed > $2`, before, micros(now)); err != nil {
		return 0, err
	}
	return t.back(ctx, now)
}

// back moves the times of what ran, or was listed, by a time that is still to
// come: all by as much, so that their order and their distances stay.
func (t *txn) back(ctx context.Context, now time.Time) (time.Duration, error) {
	last, err := collect(ctx, t, scanInt, `SELECT COALESCE(MAX(last_run), 0) FROM queue`)
	if err != nil {
		return 0, describe("looking for runs of a later time", err)
	}
	by := fromMicros(last[0]).Sub(now)
	if last[0] == 0 || by <= backSlack {
		return 0, nil
	}
	micro, until := by.Microseconds(), micros(now)
	t.early = true
	for _, change := range []struct{ doing, query string }{
		{"moving due times back", `UPDATE queue SET due = due - $1, turn = CASE WHEN turn = due THEN turn - $1 ELSE turn END,
			last_run = CASE WHEN last_run > $1 THEN last_run - $1 ELSE last_run END,
			last_success = CASE WHEN last_success > $2 THEN last_success - $1 ELSE last_success END,
			last_equal = CASE WHEN last_equal > $2 THEN last_equal - $1 ELSE last_equal END
			WHERE last_run > $2 OR last_run = 0 AND due > $2`},
		{"moving listings back", `UPDATE hosts SET ls_due = ls_due - $1, ls_last = CASE WHEN ls_last > $2 THEN ls_last - $1 ELSE ls_last END
			WHERE ls_due > $2 AND (ls_last > $2 OR ls_due > $2 + ls_us)`},
	} {
		if _, err := t.change(ctx, change.doing, change.query, micro, until); err != nil {
			return 0, err
		}
	}
	return by, nil
}
