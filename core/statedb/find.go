package statedb

import (
	"context"
	"fmt"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// query puts a statement together from texts that are written here, with
// parameters for everything that comes from outside.
type query struct {
	where []string
	args  []any
}

// arg adds a parameter and gives its place.
func (q *query) arg(v any) string {
	q.args = append(q.args, v)
	return fmt.Sprintf("$%d", len(q.args))
}

// add adds a condition; each %s stands for the place of the value.
func (q *query) add(condition string, v any) {
	q.where = append(q.where, strings.ReplaceAll(condition, "%s", q.arg(v)))
}

func (q *query) and(conditions ...string) string {
	all := append(conditions, q.where...)
	if len(all) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(all, " AND ")
}

// containing is the pattern of LIKE for a part of a path; only ASCII has two
// cases in both databases.
func containing(text string) string {
	lower := []byte(text)
	for i, c := range lower {
		if 'A' <= c && c <= 'Z' {
			lower[i] = c + 'a' - 'A'
		}
	}
	return "%" + strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`).Replace(string(lower)) + "%"
}

const pathLike = ` LIKE %s ESCAPE '\'`

// sorts are the columns of the orders by number, and those of the orders by
// text.
func numberKeys() map[string]string {
	return map[string]string{
		queue.SortQueue: "q.turn", queue.SortLastRun: "q.last_run", queue.SortLastSuccess: "q.last_success",
		queue.SortFailures: "q.failures", queue.SortDiskUsage: "q.disk_usage",
	}
}

func textKeys() map[string]string {
	return map[string]string{queue.SortPath: "q.path", queue.SortHost: "q.upstream_host", queue.SortKind: "q.fail_kind"}
}

// ofHost selects the Lorries of an upstream host by its two indexes.
const ofHost = ` IN (SELECT path FROM lorries WHERE upstream_host = %s
	UNION SELECT path FROM lorries WHERE section = 'host:' || %s)`

// lorryStates are the conditions of the states, but those that depend on time.
func lorryStates() map[string]string {
	return map[string]string{
		queue.StateRunning: "q.running_job IS NOT NULL", queue.StateHeld: "q.held <> ''", queue.StateFailing: "q.failures > 0",
		queue.StateOK: "q.failures = 0 AND q.last_success > 0", queue.StateNew: "q.last_run = 0", queue.StateRemoved: "q.removed",
	}
}

// FindLorries implements queue.Store.
func (db *DB) FindLorries(ctx context.Context, f queue.LorryFilter) (queue.LorryList, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	for _, text := range []string{f.Host, f.Text, string(f.Kind)} {
		if !storable(text) {
			return queue.LorryList{}, nil
		}
	}
	text, args, err := findLorries(db.dialect, f)
	if err != nil {
		return queue.LorryList{}, err
	}
	var rows []lorryRow
	err = db.read.each(ctx, appendTo(&rows, func(s scanner) (r lorryRow, err error) {
		return r, s.Scan(r.dest()...)
	}), text, args...)
	if err != nil {
		return queue.LorryList{}, classify("looking for Lorries", err)
	}
	var list queue.LorryList
	limit := max(f.Limit, 1)
	for i := range rows[:min(len(rows), limit)] {
		list.Lorries = append(list.Lorries, rows[i].value().LorryState)
	}
	if len(rows) > limit {
		list.Next = cursorOf(f, &rows[limit-1])
	}
	return list, nil
}

// findLorries writes the statement: the paths of the page by an index where
// there is one, then their columns.
func findLorries(d dialect, f queue.LorryFilter) (text string, args []any, err error) {
	key, isNumber := numberKeys()[orQueue(f.Sort)]
	if !isNumber {
		if key = textKeys()[f.Sort]; key == "" {
			return "", nil, core.Errorf(core.KindInvalid, "there is no order %q", f.Sort)
		}
	}
	var q query
	if err := q.lorries(d, f); err != nil {
		return "", nil, err
	}
	direction, beyond := "", ">"
	if f.Reverse {
		direction, beyond = " DESC", "<"
	}
	order := " ORDER BY " + key + direction
	if key != "q.path" {
		order += ", q.path" + direction
	}
	switch {
	case f.After == nil:
	case key == "q.path":
		q.add("q.path "+beyond+" %s", f.After.Path)
	case isNumber:
		q.where = append(q.where, "("+key+", q.path) "+beyond+" ("+q.arg(f.After.At)+", "+q.arg(f.After.Path)+")")
	default:
		q.where = append(q.where, "("+key+", q.path) "+beyond+" ("+q.arg(f.After.Key)+", "+q.arg(f.After.Path)+")")
	}
	limit := " LIMIT " + q.arg(max(f.Limit, 1)+1)
	page := "SELECT q.path, " + key + " AS k FROM queue q" + q.and() + order + limit
	if key == "q.turn" && (f.State == "" || f.State == queue.StateFailing || f.State == queue.StateOK || f.State == queue.StateNew) {
		// The index in queue order holds the Lorries that no job runs.
		part := "SELECT * FROM (SELECT q.path, q.turn AS k FROM queue q" + q.and("q.running_job IS %s") + order + limit + ") %s"
		page = "SELECT path, k FROM (" + fmt.Sprintf(part, "NULL", "w") + " UNION ALL " + fmt.Sprintf(part, "NOT NULL", "r") + ") u"
		page += " ORDER BY k" + direction + ", path" + direction + limit
	}
	columns := lorryNoText
	if f.WithText {
		columns = lorryText
	}
	// In the order of the page's own columns: by queue's, PostgreSQL would sort all
	// of that, and look each row up in the page.
	return "SELECT " + columns + " FROM (" + page + ") p JOIN queue q ON q.path = p.path JOIN lorries l ON l.path = p.path" +
		" ORDER BY p.k" + direction + ", p.path" + direction, q.args, nil
}

func orQueue(sort string) string {
	if sort == "" {
		return queue.SortQueue
	}
	return sort
}

// lorries adds the conditions of a filter.
func (q *query) lorries(d dialect, f queue.LorryFilter) error {
	switch f.State {
	case "":
	case queue.StateDue:
		q.add("q.running_job IS NULL AND q.held = '' AND q.turn <= %s", micros(f.Now))
	case queue.StateWaiting:
		q.add("q.running_job IS NULL AND q.held = '' AND q.turn > %s", micros(f.Now))
	default:
		condition := lorryStates()[f.State]
		if condition == "" {
			return core.Errorf(core.KindInvalid, "there is no state %q of a Lorry", f.State)
		}
		q.where = append(q.where, condition)
	}
	if f.Host != "" {
		q.add("q.path"+ofHost, f.Host)
	}
	if f.Paths != nil {
		arg, err := pathList(f.Paths)
		if err != nil {
			return err
		}
		q.add(d.among("q.path", "%s", "text"), arg)
	}
	if f.Kind != "" {
		q.add("q.failures > 0 AND q.fail_kind = %s", string(f.Kind))
	}
	if f.Text != "" {
		q.add("lower(q.path)"+pathLike, containing(f.Text))
	}
	if !f.Stale.IsZero() {
		q.add("q.last_success < %s", micros(f.Stale))
	}
	return nil
}

// cursorOf is the place behind a row.
func cursorOf(f queue.LorryFilter, r *lorryRow) *queue.Cursor {
	c := &queue.Cursor{Path: r.Path}
	switch orQueue(f.Sort) {
	case queue.SortQueue:
		c.At = r.turn
	case queue.SortLastRun:
		c.At = r.lastRun
	case queue.SortLastSuccess:
		c.At = r.lastSuccess
	case queue.SortFailures:
		c.At = int64(r.Failures)
	case queue.SortDiskUsage:
		c.At = r.DiskUsage
	case queue.SortHost:
		c.Key = r.UpstreamHost
	case queue.SortKind:
		c.Key = string(r.LastFailure.Kind)
	}
	return c
}

// FailureGroups implements queue.Store.
func (db *DB) FailureGroups(ctx context.Context, limit int) ([]queue.FailureGroup, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	all, err := collect(ctx, db.read, func(s scanner) (g queue.FailureGroup, err error) {
		return g, s.Scan(&g.Kind, &g.Host, &g.Count, &g.Cause)
	}, `SELECT fail_kind, upstream_host, COUNT(*), MIN(fail_cause) FROM queue WHERE failures > 0
		GROUP BY fail_kind, upstream_host ORDER BY 3 DESC, 1, 2 LIMIT $1`, max(limit, 1))
	return all, classify("grouping failures", err)
}

// Outcomes implements queue.Store.
func (db *DB) Outcomes(ctx context.Context) (queue.Outcomes, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	var o queue.Outcomes
	err := db.read.row(ctx, `SELECT
		(SELECT COUNT(*) FROM queue WHERE failures = 0 AND last_success > 0),
		(SELECT COUNT(*) FROM queue WHERE failures > 0 AND fail_kind IN ('diverged', 'refused', 'lfs')),
		(SELECT COUNT(*) FROM queue WHERE failures > 0)`).Scan(&o.OK, &o.Degraded, &o.Errors)
	o.Errors -= o.Degraded
	return o, classify("counting outcomes", err)
}
