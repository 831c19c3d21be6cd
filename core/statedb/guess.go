package statedb

import (
	"cmp"
	"context"
	"errors"
	"slices"

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
func (g *guess) write(texts *namedTexts, jobs []reportRow, ends []endRow, outputs []outputRow, gone []string) error {
	if len(jobs) != 1 || len(gone) > 0 || g.query != "" {
		return errMoreNeeded
	}
	p := make(params, guessParams)
	if err := p.known(g.live); err != nil {
		return err
	}
	p.job(jobs[0])
	if len(ends) > 0 {
		p.turn(ends[0])
	}
	if len(outputs) > 0 {
		p.output(outputs[0])
	}
	var err error
	g.query, g.args, err = texts.number(guessText(len(ends) > 0, len(outputs) > 0), p)
	return err
}

// confirm writes what was decided; ok says that the job was as remembered.
func (g *guess) confirm(ctx context.Context, p *pipeline) (ok bool, err error) {
	if g.query == "" { // what was only looked at may have changed too
		return false, nil
	}
	var n int
	err = p.alone(ctx, g.query, g.args).Scan(&n)
	return n > 0, describe("reporting on a job", err)
}

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
