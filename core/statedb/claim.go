package statedb

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

const gateQuery = `SELECT running, max_jobs, next_job, (SELECT COALESCE(MAX(until), 0) FROM host_holds) FROM run_queue WHERE id = 1`

// Gate implements queue.Store.
func (db *DB) Gate(ctx context.Context) (queue.Gate, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	g, _, err := scanGate(db.read.row(ctx, gateQuery))
	return g, classify("reading the queue's switch", err)
}

// Gate implements queue.Tx.
func (t *txn) Gate(ctx context.Context, p queue.ReadyParams) (queue.Gate, []queue.Ready, error) {
	var g queue.Gate
	if t.head != nil {
		if err := t.findHead(ctx, p); err != nil {
			return g, nil, err
		}
	}
	err := t.together(ctx, "reading the queue's switch", func(s scanner) (err error) {
		g, t.next, err = scanGate(s)
		return err
	}, gateQuery+t.d.forUpdate("run_queue"))
	if err != nil {
		return g, nil, err
	}
	ready, err := t.Ready(ctx, p)
	if t.head != nil {
		open := g.Running && g.MaxJobs == nil && !g.HoldsUntil.After(p.Now)
		t.head.long.Store(!open || len(ready) == 0)
	}
	return g, ready, err
}

// findHead has a look where the queue begins, for the claims after this one.
func (t *txn) findHead(ctx context.Context, p queue.ReadyParams) error {
	low, look, again := t.head.from(p.Now, p.Limit)
	if t.low = low; !again {
		return nil
	}
	return t.together(ctx, "looking where the queue begins", func(s scanner) error {
		var first place
		if err := s.Scan(&first.turn, &first.path); err != nil {
			return err
		}
		t.head.found(look, first, p.Now)
		return nil
	}, `SELECT turn, path FROM queue WHERE running_job IS NULL AND (turn, path) >= ($1, $2) ORDER BY turn, path LIMIT 1`, low.turn, low.path)
}

func scanGate(s scanner) (queue.Gate, core.JobID, error) {
	var g queue.Gate
	var limit sql.NullInt64
	var holds int64
	var next core.JobID
	err := s.Scan(&g.Running, &limit, &next, &holds)
	g.HoldsUntil = fromMicros(holds)
	if limit.Valid {
		n := int(limit.Int64)
		g.MaxJobs = &n
	}
	return g, next, err
}

// SetRunning implements queue.Tx.
func (t *txn) SetRunning(ctx context.Context, running bool) error {
	_, err := t.change(ctx, "switching the queue", `UPDATE run_queue SET running = $1 WHERE id = 1`, running)
	return err
}

// SetMaxJobs implements queue.Tx.
func (t *txn) SetMaxJobs(ctx context.Context, limit *int) error {
	_, err := t.change(ctx, "setting max-jobs", `UPDATE run_queue SET max_jobs = $1 WHERE id = 1`, limit)
	return err
}

// Load implements queue.Store.
func (db *DB) Load(ctx context.Context) (map[string]int, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	return load(ctx, db.read)
}

// Load implements queue.Tx.
func (t *txn) Load(ctx context.Context) (map[string]int, error) { return load(ctx, t) }

func load(ctx context.Context, r runner) (map[string]int, error) {
	n := map[string]int{}
	_, err := collect(ctx, r, func(s scanner) (struct{}, error) {
		var host string
		var jobs int
		err := s.Scan(&host, &jobs)
		n[host] = jobs
		return struct{}{}, err
	}, `SELECT upstream_host, COUNT(*) FROM queue WHERE running_job IS NOT NULL GROUP BY upstream_host`)
	return n, describe("counting the running jobs", err)
}

// What Ready asks. SQLite would plan anew for each value of a bare LIMIT.
const (
	readyText = `SELECT ` + lorryText + `, (SELECT COUNT(*) FROM held_rewrites h WHERE h.path = q.path AND h.approved)` + lorryFrom + ` WHERE `
	readyDue  = `q.running_job IS NULL AND q.turn <= $1 AND q.held = ''`
	readySome = ` ORDER BY q.turn, q.path LIMIT CAST($2 AS BIGINT)`
)

// Ready implements queue.Tx.
func (t *txn) Ready(ctx context.Context, p queue.ReadyParams) ([]queue.Ready, error) {
	if t.head == nil && len(p.ExceptHosts) == 0 {
		return t.readyInFile(ctx, fileReady, micros(p.Now), p.Limit)
	}
	args := []any{micros(p.Now), p.Limit}
	if len(p.ExceptHosts) > 0 {
		hosts, err := json.Marshal(p.ExceptHosts)
		if err != nil {
			return nil, err
		}
		args = append(args, dropNUL(string(hosts)))
	}
	query := func(part string) string {
		text, due := readyText, readyDue+part
		if len(p.ExceptHosts) == 0 {
			text += due
		} else {
			// Very many may have to be passed over: that is done in the index alone,
			// and what it gives is looked up by path.
			text += `q.running_job IS NULL AND +q.turn <= $1 AND q.held = '' AND q.path IN (SELECT q.path FROM queue q WHERE ` + due +
				` AND q.upstream_host NOT IN (` + t.d.list("$3", "text") + `)` + readySome + `)`
		}
		return text + readySome + t.d.skipLocked("q")
	}
	if t.head == nil {
		return t.readyInFile(ctx, query(""), args...)
	}
	var top []queue.Ready
	if err := t.together(ctx, "looking for Lorries at the top", appendTo(&top, scanReady), query(" AND q.turn < 0"), args...); err != nil {
		return nil, err
	}
	low := fmt.Sprintf(" AND (q.turn, q.path) >= ($%d, $%d)", len(args)+1, len(args)+2)
	rest, err := collect(ctx, t, scanReady, query(low), append(args, t.low.turn, t.low.path)...)
	all := append(top, rest...)
	t.due = all[:min(len(all), p.Limit)]
	return t.due, describe("looking for due Lorries", err)
}

// startRow is one job that starts, as dialect.rows reads it.
type startRow struct {
	ID      core.JobID `json:"id"`
	Path    string     `json:"path"`
	Fence   core.Fence `json:"fence"`
	Minion  string     `json:"minion"`
	PID     int        `json:"pid"`
	Started int64      `json:"started"`
	Updated int64      `json:"updated"`
	Lease   int64      `json:"lease"`
}

const startCols = "id bigint, path text, fence bigint, minion text, pid bigint, started bigint, updated bigint, lease bigint"

// StartJobs implements queue.Tx. Gate has locked the row that numbers jobs.
func (t *txn) StartJobs(ctx context.Context, jobs []core.Job) ([]core.JobID, error) {
	if len(jobs) == 0 {
		return nil, nil
	}
	if t.next == 0 {
		return nil, core.Errorf(core.KindInternal, "state database: jobs can't be started before the gate was asked")
	}
	ids := make([]core.JobID, len(jobs))
	rows := make([]startRow, len(jobs))
	for i, j := range jobs {
		ids[i] = t.next + core.JobID(i)
		rows[i] = startRow{ids[i], j.Path, j.Fence, j.Minion, j.PID, micros(j.Started), micros(j.Updated), micros(j.Lease)}
	}
	t.next += core.JobID(len(jobs))
	if t.lives != nil {
		defer t.known()()
		t.lives.start(rows)
	}
	t.rememberStarted(rows)
	if err := t.later(ctx, "numbering jobs", `UPDATE run_queue SET next_job = $1 WHERE id = 1`, int64(t.next)); err != nil {
		return nil, err
	}
	if t.sends == nil {
		return ids, t.startInFile(ctx, rows)
	}
	// Of a Lorry that is not there or runs already the path is NULL, which the
	// table refuses.
	if err := perRow(ctx, t, "recording jobs", rows, `INSERT INTO jobs (id, path, fence, minion, pid, started, updated, lease)
		SELECT x.id, q.path, x.fence, x.minion, x.pid, x.started, x.updated, x.lease FROM {rows}
		LEFT JOIN queue q ON q.path = x.path AND q.running_job IS NULL`, startCols); err != nil {
		return nil, err
	}
	// The place at the top, if it had one, is used up.
	return ids, perRow(ctx, t, "starting jobs", rows, `UPDATE queue SET running_job = x.id, fence = x.fence, turn = due
		FROM {rows} WHERE queue.path = x.path AND queue.running_job IS NULL`, startCols)
}

// HostHolds implements queue.Store.
func (db *DB) HostHolds(ctx context.Context, now time.Time) (map[string]queue.HostHold, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	return hostHolds(ctx, db.read, now)
}

// HostHolds implements queue.Tx.
func (t *txn) HostHolds(ctx context.Context, now time.Time) (map[string]queue.HostHold, error) {
	return hostHolds(ctx, t, now)
}

func hostHolds(ctx context.Context, r runner, now time.Time) (map[string]queue.HostHold, error) {
	holds := map[string]queue.HostHold{}
	_, err := collect(ctx, r, func(s scanner) (struct{}, error) {
		var name string
		var until int64
		var h queue.HostHold
		err := s.Scan(&name, &until, &h.Reason)
		h.Until = fromMicros(until)
		holds[name] = h
		return struct{}{}, err
	}, `SELECT name, until, reason FROM host_holds WHERE until > $1`, micros(now))
	return holds, describe("reading the holds", err)
}
