package statedb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// errMoreNeeded ends an attempt to decide by what is remembered.
var errMoreNeeded = errors.New("this needs more than what is remembered")

// guess is one attempt to decide a report by what is remembered of its job.
type guess struct {
	live  queue.Live
	query string // what writes it; "" as long as nothing does
	args  []any
}

// recallCols are the columns that a report depends on or writes back, and
// recallArgs what is remembered of them. Of a place in the queue only one at the
// top counts.
const recallCols = `j.id, q.path, j.fence, j.started, j.updated, j.lease, j.kill_reason, ` +
	`j.disk_usage, j.output_size, j.output_kept, j.received, j.progress, ` +
	`l.upstream_host, l.interval_us, l.timeout_us, LEAST(q.turn,0), q.due, q.removed, q.failures, ` +
	`q.last_run, q.last_success, q.last_equal, q.pushed, ` +
	`q.last_exit, q.fail_kind, q.fail_cause, q.fail_hint, q.disk_usage, q.digest`

func recallArgs(v queue.Live) ([]any, error) {
	j, l := v.Job, v.Lorry
	progress, err := textOf(j.Progress, j.Progress != nil)
	return []any{
		int64(j.ID), j.Path, int64(j.Fence), micros(j.Started), micros(j.Updated), micros(j.Lease), string(v.KillReason),
		j.DiskUsage, j.OutputSize, v.OutputKept, v.Received, progress,
		l.UpstreamHost, l.Interval.Microseconds(), l.Timeout.Microseconds(), l.Position, micros(l.Due), l.Removed, l.Failures,
		micros(l.LastRun), micros(l.LastSuccess), micros(l.LastEqual), micros(l.Pushed),
		l.LastExit, string(l.LastFailure.Kind), l.LastFailure.Cause, l.LastFailure.Hint, l.DiskUsage, l.Digest,
	}, err
}

// guessText is a statement that writes a report if the job is as remembered, and
// counts the jobs that are. Its parameters are recallArgs and then fields of the
// rows that the report is made of.
type guessText struct {
	text   string
	params []guessParam
}

type guessParam struct{ row, field int }

// as are the conditions under which a table, by its letter, is as remembered.
func as(table string) string {
	var same []string
	for i, c := range strings.Split(recallCols, ", ") {
		if strings.Contains(c, table+".") {
			same = append(same, fmt.Sprintf("%s = $%d", c, i+1))
		}
	}
	return strings.Join(same, " AND ")
}

// newGuessText makes it of the statements that write a report otherwise. A
// Lorry that another transaction changes at that very moment is seen too late:
// then dividing by 0 undoes what was done with the job. COALESCE keeps the planner
// from the index of running jobs, which seems short and is full of dead ones.
func newGuessText(end, output bool) guessText {
	var g guessText
	lorry := ` AND EXISTS (SELECT 1 FROM lorries l WHERE l.path = $2 AND ` + as("l") + `)
		AND EXISTS (SELECT 1 FROM queue q WHERE COALESCE(q.running_job, 0) = $1 AND ` + as("q") + `)`
	text := `WITH job AS (` + strings.Replace(reportText, "FROM {rows} WHERE jobs.id = x.id", "WHERE j.ended = 0 AND "+as("j")+lorry+" RETURNING j.id", 1) + `)`
	text = strings.Replace(text, "UPDATE jobs", "UPDATE jobs j", 1)
	text = g.fields(text, 0, reportCols)
	n := 1
	if end {
		part := strings.Replace(endText, "FROM {rows} WHERE queue.path = x.path", "FROM job WHERE COALESCE(q.running_job, 0) = job.id AND "+as("q")+" RETURNING 1", 1)
		text += `, lorry AS (` + g.fields(strings.Replace(part, "UPDATE queue", "UPDATE queue q", 1), n, endCols) + `)`
		n++
	}
	if output {
		text += `, output AS (` + g.fields(strings.Replace(outputText, "{rows}", "job", 1), n, outputCols) + `)`
	}
	text += ` SELECT COUNT(*) FROM job`
	if end {
		text += ` HAVING 1 / (SELECT 1 + COUNT(*) - (SELECT COUNT(*) FROM job) FROM lorry) > 0`
	}
	g.text = text
	return g
}

var rowField = regexp.MustCompile(`\bx\.(\w+)`)

// fields makes parameters of the columns of a row in a text.
func (g *guessText) fields(text string, row int, cols string) string {
	taken := strings.Count(recallCols, ", ") + 1
	return rowField.ReplaceAllStringFunc(text, func(name string) string {
		for field, c := range strings.Split(cols, ", ") {
			if strings.HasPrefix(c, name[len("x."):]+" ") {
				g.params = append(g.params, guessParam{row, field})
			}
		}
		return fmt.Sprintf("$%d", taken+len(g.params))
	})
}

// guessTexts are those for reports that end a job or do not, with output or
// without.
type guessTexts map[[2]bool]guessText

func newGuessTexts() guessTexts {
	texts := guessTexts{}
	for _, end := range []bool{false, true} {
		for _, output := range []bool{false, true} {
			texts[[2]bool{end, output}] = newGuessText(end, output)
		}
	}
	return texts
}

// guessLive gives a job as it is remembered, if that is the first thing that the
// transaction is to know. From then on nothing else can be asked or written.
func (t *txn) guessLive(ids []core.JobID) (queue.Live, bool) {
	if t.recall == nil || t.sure || len(ids) != 1 || !t.sends.fresh() {
		return queue.Live{}, false
	}
	l, ok := t.recall.find(ids[0])
	if ok {
		t.guess = &guess{live: l}
		t.runner, t.sends = refuser{}, nil
	}
	return l, ok
}

// refuser runs nothing.
type refuser struct{}

func (refuser) exec(context.Context, string, ...any) (int64, error) { return 0, errMoreNeeded }

func (refuser) each(context.Context, func(scanner) error, string, ...any) error { return errMoreNeeded }

func (refuser) row(context.Context, string, ...any) scanner { return failedRow{errMoreNeeded} }

// write makes the statement for what is to be written of the job, and of its
// Lorry if that stays.
func (g *guess) write(texts guessTexts, jobs []reportRow, ends []endRow, outputs []outputRow, gone []string) error {
	if len(jobs) != 1 || len(gone) > 0 || g.query != "" {
		return errMoreNeeded
	}
	args, err := recallArgs(g.live)
	if err != nil {
		return err
	}
	rows := []reflect.Value{reflect.ValueOf(jobs[0])}
	if len(ends) > 0 {
		rows = append(rows, reflect.ValueOf(ends[0]))
	}
	if len(outputs) > 0 {
		rows = append(rows, reflect.ValueOf(outputs[0]))
	}
	text := texts[[2]bool{len(ends) > 0, len(outputs) > 0}]
	for _, p := range text.params {
		args = append(args, plain(rows[p.row].Field(p.field)))
	}
	g.query, g.args = text.text, args
	return nil
}

// confirm writes what was decided; ok says that the job was as remembered.
func (g *guess) confirm(ctx context.Context, p *pipeline) (ok bool, err error) {
	if g.query == "" { // what was only looked at may have changed too
		return false, nil
	}
	var n int
	err = p.whole(ctx, func() {
		p.laterRows("reporting on a job", func(s scanner) error { return s.Scan(&n) }, g.query, g.args)
	})
	if pg, is := errors.AsType[*pgconn.PgError](err); is && pg.Code == divisionByZero {
		return false, nil
	}
	return n > 0, err
}

const divisionByZero = "22012"

// remember notes what becomes of the jobs that are reported on.
func (t *txn) remember(reports []queue.Report) {
	if t.recall == nil {
		return
	}
	known := t.read
	if t.guess != nil {
		known = []queue.Live{t.guess.live}
	}
	for _, r := range reports {
		if t.gone = append(t.gone, r.Job.ID); r.Lorry != nil {
			continue
		}
		i, ok := slices.BinarySearchFunc(known, r.Job.ID, func(l queue.Live, id core.JobID) int { return cmp.Compare(l.Job.ID, id) })
		if ok && len(reports) <= recallMax {
			t.began = append(t.began, reportedLive(known[i], r))
		}
	}
}

// rememberStarted notes jobs that are started from Lorries that were read.
func (t *txn) rememberStarted(rows []startRow) {
	if t.recall == nil || len(rows) > recallMax {
		return
	}
	for _, r := range rows {
		i := slices.IndexFunc(t.due, func(l queue.Ready) bool { return l.Path == r.Path })
		if i >= 0 {
			t.began = append(t.began, startedLive(r, t.due[i]))
		}
	}
}
