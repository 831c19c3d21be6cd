package statedb

import (
	"context"
	"encoding/json"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// jobStates are the conditions of a job's states.
func jobStates() map[string]string {
	return map[string]string{
		queue.StateRunning: "j.exit = ''", queue.StateStopping: "j.exit = '' AND j.kill_reason <> ''", queue.StateEnded: "j.exit <> ''",
		queue.StateSucceeded: "j.exit = '0' AND j.fail_kind = ''", queue.StateLost: "j.exit = 'lost'", queue.StateReturned: "j.exit = 'returned'",
		queue.StateFailed: "j.exit <> '' AND j.exit <> 'lost' AND j.exit <> 'returned' AND (j.exit <> '0' OR j.fail_kind <> '')",
	}
}

// FindJobs implements queue.Store.
func (db *DB) FindJobs(ctx context.Context, s queue.JobSearch) ([]core.Job, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	for _, text := range []string{s.Path, s.Host, s.Minion, s.Text, string(s.Kind)} {
		if !storable(text) {
			return nil, nil
		}
	}
	var q query
	if s.State != "" {
		condition := jobStates()[s.State]
		if condition == "" {
			return nil, core.Errorf(core.KindInvalid, "there is no state %q of a job", s.State)
		}
		q.where = append(q.where, condition)
	}
	for _, c := range []struct{ condition, value string }{
		{"j.path = %s", s.Path}, {"j.minion = %s", s.Minion}, {"j.fail_kind = %s AND j.fail_kind <> ''", string(s.Kind)}, {"j.path" + ofHost, s.Host},
	} {
		if c.value != "" {
			q.add(c.condition, c.value)
		}
	}
	if s.Text != "" {
		q.add("lower(j.path)"+pathLike, containing(s.Text))
	}
	if !s.Before.IsZero() {
		q.add("j.started < %s", micros(s.Before))
	}
	if !s.Since.IsZero() {
		q.add("j.started >= %s", micros(s.Since))
	}
	order, beyond := " ORDER BY j.id DESC", "<"
	if s.Oldest {
		order, beyond = " ORDER BY j.id", ">"
	}
	if s.After > 0 {
		q.add("j.id "+beyond+" %s", int64(s.After))
	}
	limit := " LIMIT " + q.arg(max(s.Limit, 1))
	jobs, err := collect(ctx, db.read, scanJob, `SELECT `+jobCols+` FROM jobs j`+q.and()+order+limit, q.args...)
	return jobs, classify("looking for jobs", err)
}

// Tails implements queue.Store.
func (db *DB) Tails(ctx context.Context, ids []core.JobID) ([]queue.Tail, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	arg, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	all, err := collect(ctx, db.read, func(s scanner) (t queue.Tail, err error) {
		var progress string
		err = s.Scan(&t.ID, &t.Kept, &t.Ended, &progress)
		t.Progress = progressOf(progress)
		return t, err
	}, `SELECT id, output_kept, exit <> '', progress FROM jobs WHERE `+db.dialect.among("id", "$1", "bigint")+` ORDER BY id`, string(arg))
	return all, classify("reading how far jobs have come", err)
}
