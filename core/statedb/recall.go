package statedb

import (
	"sync"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// recallMax bounds of how many jobs that came at once each is remembered: who
// takes very many reports on many, for which one more reading does not matter.
const recallMax = 16

// recall remembers what this core last wrote to PostgreSQL of running jobs. A
// report on one of them is decided by that and travels as one statement, which
// writes nothing if the database, where other cores and admins write too, says
// anything else by now; then the job is read and the report decided anew.
type recall struct {
	mu   sync.Mutex
	kept map[core.JobID]queue.Live
}

func newRecall() *recall {
	return &recall{kept: map[core.JobID]queue.Live{}}
}

func (r *recall) find(id core.JobID) (queue.Live, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l, ok := r.kept[id]
	return l, ok
}

// learn remembers jobs as they are now, and forgets others.
func (r *recall) learn(now []queue.Live, gone []core.JobID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, id := range gone {
		delete(r.kept, id)
	}
	for _, l := range now {
		if len(r.kept) >= livesMax {
			clear(r.kept) // of jobs that others have ended nobody is told
		}
		r.kept[l.Job.ID] = l
	}
}

// forget forgets all jobs.
func (r *recall) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	clear(r.kept)
}

// startedLive is a job that was just started from a Lorry that was read. It has
// the columns of a Live alone: the text of many would take much memory.
func startedLive(r startRow, l queue.Ready) queue.Live {
	return queue.Live{
		Job: core.Job{
			ID: r.ID, Path: r.Path, Fence: r.Fence, Minion: r.Minion, PID: r.PID,
			Started: fromMicros(r.Started), Updated: fromMicros(r.Updated), Lease: fromMicros(r.Lease),
		},
		Lorry: core.LorryState{
			Lorry: core.Lorry{Path: r.Path, UpstreamHost: l.UpstreamHost, Interval: l.Interval, Timeout: l.Timeout},
			Due:   l.Due, Position: min(micros(l.Due), 0), RunningJob: r.ID, Removed: l.Removed, Failures: l.Failures,
			LastRun: l.LastRun, LastSuccess: l.LastSuccess, LastEqual: l.LastEqual, Pushed: l.Pushed,
			LastExit: l.LastExit, LastFailure: l.LastFailure, DiskUsage: l.DiskUsage, Digest: l.Digest,
		},
	}
}

// reportedLive is a running job after a report.
func reportedLive(l queue.Live, r queue.Report) queue.Live {
	l.Job = r.Job
	l.Job.Updated, l.Job.Lease = fromMicros(micros(r.Job.Updated)), fromMicros(micros(r.Job.Lease))
	l.KillReason, l.Job.Kill = r.KillReason, r.KillReason != ""
	l.OutputKept, l.Received = r.OutputAt+int64(len(r.Output)), r.Received
	return l
}
