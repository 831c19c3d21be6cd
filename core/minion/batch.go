package minion

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core/protocol"
)

const (
	// mostAtOnce is how many jobs a slot takes in one request while it finds
	// nothing new upstream, and tells the end of in one report. It is the most
	// that a controller gives.
	mostAtOnce = 64
	// lookTime bounds how long a slot looks at so many upstreams: what it has
	// not looked at by then goes back. pace is what it aims at, since jobs that
	// wait here are kept from others.
	lookTime = 10 * time.Second
	pace     = 2 * time.Second
)

// seen says what a batch of jobs came to.
type seen struct {
	jobs, changed int
	took          time.Duration // of the looks
}

// more is how many jobs to take after a batch of at most so many: twice as many
// while nothing is new, fewer the more was, and no more than can be looked at
// in the time that pace is.
func (s seen) more(most int) int {
	next := 2 * most
	if s.changed > 0 {
		next = most / (2 * s.changed)
	}
	if s.jobs > 0 && s.took > 0 {
		next = min(next, int(pace/(s.took/time.Duration(s.jobs)+1)))
	}
	return min(max(next, 1), mostAtOnce)
}

// batch looks at the upstreams of the jobs of one answer, one after the other.
// Those that are as they were end together. Of the others the first is run;
// the rest go back to the controller, since somebody else may be free.
func (w *worker) batch(ctx context.Context, jobs []protocol.Job) seen {
	began := time.Now()
	if len(jobs) == 1 {
		if w.run(ctx, jobs[0]) {
			return seen{jobs: 1, took: time.Since(began)}
		}
		return seen{jobs: 1, changed: 1}
	}
	until, cancel := context.WithTimeout(ctx, lookTimeOf(jobs))
	defer cancel()
	updates := make([]protocol.Update, 0, len(jobs))
	var changed *protocol.Job
	s := seen{jobs: len(jobs)}
	for _, job := range jobs {
		if until.Err() == nil {
			if report, same := w.lookAtOne(until, job); same {
				updates = append(updates, result{report: &report}.update(job, 0))
				continue
			}
			s.changed++
			if changed == nil && ctx.Err() == nil {
				changed = &job
				continue
			}
		}
		updates = append(updates, protocol.Update{JobID: *job.JobID, Fence: job.Fence, Exit: "returned"})
	}
	s.took = time.Since(began)
	w.tell(ctx, jobs, updates)
	w.Log.Debug("looked at upstreams", "jobs", len(jobs), "changed", s.changed, "took", s.took)
	if changed != nil && w.still(ctx, *changed, began) {
		w.run(ctx, *changed)
	}
	return s
}

// still reports whether a job that was given at that time is this minion's yet.
// The controller is asked when that is so long ago that it may have given the
// job up, until it answers: then the job runs elsewhere.
func (w *worker) still(ctx context.Context, job protocol.Job, given time.Time) bool {
	if lease := time.Duration(job.Lease) * time.Second; lease <= 0 || time.Since(given) <= lease/2 {
		return true
	}
	log := w.Log.With("job", int64(*job.JobID), "path", job.Path)
	r := newReporter(w, job, &output{}, log)
	for ctx.Err() == nil {
		answer, err := r.send(ctx, protocol.Update{Exit: "no"})
		switch {
		case err == nil && answer.Stale:
			log.Warn("controller gave the job up before it began, it is not run here")
			return false
		case err == nil:
			return true
		case r.final(err):
			log.Error("controller refuses reports of a job, it is not run", "error", err)
			return false
		}
		sleep(ctx, time.Until(r.next))
	}
	r.finish(ctx, protocol.Update{JobID: *job.JobID, Fence: job.Fence, Exit: "returned"})
	return false
}

// lookTimeOf keeps well within the time after which silence means that a job is
// lost.
func lookTimeOf(jobs []protocol.Job) time.Duration {
	if lease := time.Duration(jobs[0].Lease) * time.Second; lease > 0 {
		return min(lookTime, lease/3)
	}
	return lookTime
}

// lookAtOne is look for a job that came whole.
func (w *worker) lookAtOne(ctx context.Context, job protocol.Job) (protocol.ImportReport, bool) {
	if job.Withheld != "" {
		return protocol.ImportReport{}, false
	}
	return w.look(ctx, job)
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
