package minion

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core/protocol"
)

const (
	// mostAtOnce is how many jobs a slot takes in one request while it finds
	// nothing new upstream, and tells the end of in one report.
	mostAtOnce = 16
	// lookTime bounds how long a slot looks at so many upstreams: what it has
	// not looked at by then goes back.
	lookTime = 10 * time.Second
)

// more is how many jobs to take next: twice as many while nothing is new, and
// one once something was, since jobs that wait here are kept from others.
func more(most int, unchanged bool) int {
	if !unchanged {
		return 1
	}
	return min(2*most, mostAtOnce)
}

// batch runs the jobs of one answer, one upstream after the other. The first
// that is not as it was is run; those behind it go back to the controller. It
// reports whether nothing was new.
func (w *worker) batch(ctx context.Context, jobs []protocol.Job) (unchanged bool) {
	if len(jobs) == 1 {
		return w.run(ctx, jobs[0])
	}
	until, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	var updates []protocol.Update
	changed := -1
	for i, job := range jobs {
		if changed < 0 && job.Withheld == "" {
			if report, same := w.look(until, job); same {
				updates = append(updates, result{report: &report}.update(job, 0))
				w.hold(job.Path)
				continue
			}
		}
		if changed < 0 && until.Err() == nil {
			changed = i
			continue
		}
		updates = append(updates, protocol.Update{JobID: *job.JobID, Fence: job.Fence, Exit: "returned"})
	}
	w.tell(ctx, jobs, updates)
	if changed < 0 {
		return until.Err() == nil
	}
	w.run(ctx, jobs[changed])
	return false
}

// tell reports the ends of several jobs at once; when that is refused, of one
// after the other.
func (w *worker) tell(ctx context.Context, jobs []protocol.Job, updates []protocol.Update) {
	if len(updates) == 0 {
		return
	}
	sending, cancel := context.WithTimeout(context.WithoutCancel(ctx), updateTimeout)
	defer cancel()
	answers, err := w.client.Update(sending, updates)
	if err == nil && len(answers) == len(updates) {
		for i, answer := range answers {
			if answer.Stale {
				w.Log.Warn("controller had given the job up, its end is not recorded", "job", int64(updates[i].JobID))
			}
		}
		return
	}
	w.Log.Warn("reports were not accepted together, they are sent one by one", "error", err)
	for _, u := range updates {
		for _, job := range jobs {
			if *job.JobID == u.JobID {
				newReporter(w, job, &output{}, w.Log.With("job", int64(u.JobID), "path", job.Path)).finish(ctx, u)
			}
		}
	}
}
