package statedb

import (
	"context"
	"slices"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// livesMax bounds how many running jobs are remembered.
const livesMax = 4096

// lives remembers what an SQLite file says of running jobs, so that most reports
// need not read what the claim or the report before has just written: reading it
// takes longer than writing it. Every write of other things, every failure and
// every commit of another process forgets all of it. Only the one transaction
// under way uses it.
type lives struct {
	kept map[core.JobID]queue.Live
	// ready are the Lorries that the transaction under way has read for a claim.
	ready map[string]*queue.Ready
	// version changes when another process commits; asked says that it is known
	// in the transaction under way.
	version int64
	asked   bool
}

func newLives() *lives {
	return &lives{kept: map[core.JobID]queue.Live{}, ready: map[string]*queue.Ready{}}
}

func (v *lives) forget() {
	clear(v.kept)
	clear(v.ready)
}

// current forgets everything if another process has written since.
func (v *lives) current(ctx context.Context, t *txn) error {
	if v.asked {
		return nil
	}
	var now int64
	if err := t.row(ctx, "PRAGMA data_version").Scan(&now); err != nil {
		return describe("asking whether others have written", err)
	}
	if now != v.version {
		clear(v.kept)
	}
	v.version, v.asked = now, true
	return nil
}

// find gives what is known of some jobs, and the others.
func (v *lives) find(ids []core.JobID) (known []queue.Live, others []core.JobID) {
	known = make([]queue.Live, 0, len(ids))
	for _, id := range ids {
		if l, ok := v.kept[id]; ok {
			known = append(known, l)
		} else {
			others = append(others, id)
		}
	}
	return known, others
}

// read remembers Lorries until they are started.
func (v *lives) read(all []queue.Ready) {
	for i := range all {
		v.ready[all[i].Path] = &all[i]
	}
}

// start remembers jobs that were started from Lorries just read.
func (v *lives) start(rows []startRow) {
	for _, r := range rows {
		l, ok := v.ready[r.Path]
		if !ok || len(v.kept) >= livesMax {
			continue
		}
		delete(v.ready, r.Path)
		v.kept[r.ID] = startedLive(r, *l)
	}
}

// report remembers what reports have made of jobs.
func (v *lives) report(reports []queue.Report) {
	for _, r := range reports {
		l, ok := v.kept[r.Job.ID]
		if !ok {
			continue
		}
		if r.Lorry != nil {
			delete(v.kept, r.Job.ID)
			continue
		}
		v.kept[r.Job.ID] = reportedLive(l, r)
	}
}

// keep remembers jobs that were read.
func (v *lives) keep(all []queue.Live) {
	for _, l := range all {
		if len(v.kept) < livesMax {
			v.kept[l.Job.ID] = l
		}
	}
}

// merge gives both in the order of their jobs.
func merge(known, read []queue.Live) []queue.Live {
	all := append(known, read...)
	slices.SortFunc(all, func(a, b queue.Live) int { return int(a.Job.ID - b.Job.ID) })
	return all
}
