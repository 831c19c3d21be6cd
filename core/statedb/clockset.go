package statedb

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// backSlack is how far the clocks of several cores may be apart.
const backSlack = time.Minute

// clocksSetting is how often a clock that was set was put right.
const clocksSetting = "clocks-set"

// ClocksSet implements queue.Store.
func (db *DB) ClocksSet(ctx context.Context) (int64, error) {
	text, err := db.Setting(ctx, clocksSetting)
	if err != nil || text == "" {
		return 0, err
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, core.Errorf(core.KindInternal, "state database: the setting %q is no number: %q", clocksSetting, text)
	}
	return n, nil
}

// CountClockSet implements queue.Tx.
func (t *txn) CountClockSet(ctx context.Context, before int64) (bool, error) {
	n, err := t.change(ctx, "counting that the clock was set", `INSERT INTO settings (name, value) VALUES ($1, $2)
		ON CONFLICT (name) DO UPDATE SET value = excluded.value WHERE settings.value = $3`,
		clocksSetting, strconv.FormatInt(before+1, 10), strconv.FormatInt(before, 10))
	return n > 0, err
}

// ClockSet implements queue.Tx. What was written by the clock as it was before
// has times that have not come yet; once they are moved, they have: so a second
// call finds nothing more to do when it does not know by how much.
func (t *txn) ClockSet(ctx context.Context, by time.Duration, now time.Time) (time.Duration, error) {
	back, err := t.backBy(ctx, by, now)
	if err != nil {
		return 0, err
	}
	if err := t.setRunning(ctx, max(by, 0), now); err != nil {
		return 0, err
	}
	if by >= 0 && back == 0 {
		return 0, t.soonest(ctx, now)
	}
	// A push of a later time would bring one job after the other until then.
	if _, err := t.change(ctx, "setting the time of pushes", `UPDATE queue SET pushed = $1 WHERE pushed > $2`, micros(now)-1, micros(now)); err != nil {
		return 0, err
	}
	if back > 0 {
		if err := t.back(ctx, back, now); err != nil {
			return 0, err
		}
	}
	return back, t.soonest(ctx, now)
}

// backBy is by how much times are to be moved back: by as much as the clock was,
// or, if that is more, or not known, so that what ran, began or was listed last
// did so now.
func (t *txn) backBy(ctx context.Context, by time.Duration, now time.Time) (time.Duration, error) {
	if by > 0 {
		return 0, nil
	}
	last, err := collect(ctx, t, scanInt, `SELECT COALESCE(MAX(last_run), 0) FROM queue
		UNION ALL SELECT COALESCE(MAX(ls_last), 0) FROM hosts UNION ALL SELECT COALESCE(MAX(started), 0) FROM jobs WHERE exit = ''`)
	if err != nil {
		return 0, describe("looking for what was done at a later time", err)
	}
	if newest := slices.Max(last); newest > 0 {
		by = min(by, now.Sub(fromMicros(newest)))
	}
	if -by <= backSlack {
		return 0, nil
	}
	return -by, nil
}

// setRunning keeps running jobs as old as they were when the clock was set
// forward, and lets none have begun, or reported, at a time that is to come.
func (t *txn) setRunning(ctx context.Context, forward time.Duration, now time.Time) error {
	// Just before now, so that what begins now has begun later.
	before := micros(now) - 1
	// What was asked for while a job ran still comes after its beginning.
	if _, err := t.change(ctx, "setting the time of pushes", `UPDATE queue SET pushed = CASE WHEN pushed + $1 < $2 THEN pushed + $1 ELSE $2 END
		WHERE CAST($1 AS BIGINT) > 0 AND running_job IS NOT NULL AND EXISTS (SELECT 1 FROM jobs j
			WHERE j.id = running_job AND j.exit = '' AND j.started <= pushed)`, forward.Microseconds(), micros(now)); err != nil {
		return err
	}
	// Whoever remembers the jobs forgets them.
	ids, err := collect(ctx, t, scanID, `UPDATE jobs SET started = CASE WHEN started + $1 < $2 THEN started + $1 ELSE $2 END,
		updated = CASE WHEN updated < $2 THEN updated ELSE $2 END
		WHERE exit = '' AND (CAST($1 AS BIGINT) > 0 OR started > $3 OR updated > $3) RETURNING id`, forward.Microseconds(), before, micros(now))
	if err != nil {
		return describe("setting the beginning of jobs", err)
	}
	if t.lives != nil {
		t.lives.forget()
	}
	t.gone = append(t.gone, ids...)
	return nil
}

const (
	// ownHold are holds that a core has set because of what a host has said, for
	// some minutes from then on. An admin's ends when the admin said.
	ownHold = `(reason LIKE '[%: %] %' OR reason LIKE 'it said that it is asked too often%')`
	// fiftyYears is from when on a hold is without an end, in microseconds.
	fiftyYears = "1576800000000000"
)

// back moves the times of what ran, or was listed, by a time that is still to
// come: all by as much, so that their order and their distances stay.
func (t *txn) back(ctx context.Context, by time.Duration, now time.Time) error {
	t.early = true
	for _, change := range []struct{ doing, query string }{
		{"moving due times back", `UPDATE queue SET due = due - $1, turn = CASE WHEN turn = due THEN turn - $1 ELSE turn END,
			last_run = CASE WHEN last_run > $1 THEN last_run - $1 ELSE last_run END,
			last_success = CASE WHEN last_success > $2 THEN last_success - $1 ELSE last_success END,
			last_equal = CASE WHEN last_equal > $2 THEN last_equal - $1 ELSE last_equal END
			WHERE last_run > $2 OR last_run = 0 AND due > $2`},
		{"moving listings back", `UPDATE hosts SET ls_due = ls_due - $1, ls_last = CASE WHEN ls_last > $2 THEN ls_last - $1 ELSE ls_last END
			WHERE ls_last > $2 OR ls_due > $2 + ls_us`},
		{"moving holds back", `UPDATE host_holds SET until = until - $1 WHERE until > $2 AND until < $2 + ` + fiftyYears + ` AND ` + ownHold},
		{"moving what is to be archived back", `UPDATE retirements SET next_try = next_try - $1 WHERE done = 0 AND next_try > $2 AND next_try < ` + strconv.FormatInt(never, 10)},
		{"moving messages back", `UPDATE outbox SET next_try = next_try - $1 WHERE next_try > $2`},
		{"moving what was told back", `UPDATE notice_groups SET told_at = told_at - $1 WHERE told_at > $2`},
		{"moving what was told back", `UPDATE notice_lanes SET told_at = told_at - $1 WHERE told_at > $2`},
	} {
		if _, err := t.change(ctx, change.doing, change.query, by.Microseconds(), micros(now)); err != nil {
			return err
		}
	}
	return nil
}

// firstWait is longer than a Lorry waits for its first job, unless it was moved to
// the bottom, behind others that wait for two intervals at most.
const firstWait = 24 * time.Hour

// soonest lets what has never run, or was never listed, not wait for a time of a
// clock that was set back before anything was done that tells so.
func (t *txn) soonest(ctx context.Context, now time.Time) error {
	n, err := t.change(ctx, "making new Lorries due", `UPDATE queue SET due = $1, turn = CASE WHEN turn = due THEN $1 ELSE turn END
		WHERE last_run = 0 AND due > $2 AND due > $1 + (SELECT COALESCE(MAX(interval_us), 0) * 2 FROM lorries)
			AND due > (SELECT COALESCE(MAX(q.due), 0) + $3 FROM queue q WHERE q.last_run > 0)`,
		micros(now), micros(now.Add(firstWait)), backSlack.Microseconds())
	if err != nil {
		return err
	}
	t.early = t.early || n > 0
	_, err = t.change(ctx, "making first listings due", `UPDATE hosts SET ls_due = $1 WHERE ls_last = 0 AND ls_due > $1 + ls_us`, micros(now))
	return err
}
