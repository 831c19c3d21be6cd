package minion

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

const (
	// defaultHeartbeat is for a controller that does not say how often it
	// wants to hear of a job.
	defaultHeartbeat = 5 * time.Second
	// maxRefusals is how often the end of a job is told to a controller that
	// answers with an error of its own, while it takes other reports;
	// mostRefusals is how often while it does not, which is some two hours.
	maxRefusals, mostRefusals = 10, 240
)

// reporter tells the controller about one job.
type reporter struct {
	worker    *worker
	job       protocol.Job
	out       *output
	far       *steps
	log       hclog.Logger
	heartbeat time.Duration
	pause     backoff

	most    int       // bytes of output in one report
	refs    int       // bytes of refs in one report
	pending string    // taken from out, not yet accepted
	sent    int64     // bytes of output that were accepted
	last    time.Time // of the last accepted report
	next    time.Time // no report before
	away    bool
}

func newReporter(w *worker, job protocol.Job, out *output, log hclog.Logger) *reporter {
	r := &reporter{
		worker: w, job: job, out: out, far: &steps{}, log: log, heartbeat: defaultHeartbeat,
		pause: backoff{rand: w.Rand, most: maxPause}, most: maxChunk, refs: maxRefs, last: time.Now(),
	}
	if job.Heartbeat > 0 {
		r.heartbeat = time.Duration(job.Heartbeat) * time.Second
	}
	return r
}

// whileRunning reports until the process has ended. It stops the process when
// the controller says so or ctx ends.
func (r *reporter) whileRunning(ctx context.Context, done <-chan result, stop context.CancelCauseFunc) result {
	tick := time.NewTicker(r.worker.Tick)
	defer tick.Stop()
	for {
		select {
		case ended := <-done:
			return ended
		case <-ctx.Done():
			stop(errStopping)
			return <-done
		case now := <-tick.C:
			if now.Before(r.next) || (!r.news(now) && now.Sub(r.last) < r.heartbeat) {
				continue
			}
			answer, err := r.send(ctx, protocol.Update{Exit: "no", Progress: r.far.news()})
			switch {
			case protocol.TooLong(err):
				r.shorten(nil)
			case err != nil:
			case answer.Stale:
				r.log.Warn("controller gave the job up, it is stopped here")
				stop(errStale)
				return <-done
			case answer.Kill:
				r.log.Info("job is stopped, as the controller wants")
				stop(errKilled)
				return <-done
			}
		}
	}
}

// news reports whether there is something to tell.
func (r *reporter) news(now time.Time) bool {
	return r.pending != "" || !r.out.empty() || now.Sub(r.last) >= min(progressEvery, r.heartbeat) && r.far.news() != nil
}

// send makes one report, with the next part of the output. What was not
// accepted stays for the next report.
func (r *reporter) send(ctx context.Context, u protocol.Update) (protocol.UpdateAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	if r.pending == "" {
		r.pending = r.out.take()
	}
	part := beginning(r.pending, r.most)
	u.JobID, u.Fence, u.Stdout = *r.job.JobID, r.job.Fence, part
	if part != "" {
		u.Sent = r.sent + int64(len(part))
	}
	answers, err := r.worker.client.Update(ctx, []protocol.Update{u})
	if err != nil {
		if !r.away {
			r.log.Warn("report was not accepted, it is sent again", "error", err)
		}
		r.away = true
		r.next = time.Now().Add(r.pause.next(err))
		return protocol.UpdateAnswer{}, err
	}
	if r.away {
		r.log.Info("reports are accepted again")
	}
	r.far.accepted(u.Progress)
	r.sent += int64(len(part))
	r.away, r.pending, r.last = false, r.pending[len(part):], time.Now()
	r.pause.reset()
	return answers[0], nil
}

// finish tells the end of the job, after all of its output, until that is
// accepted or the controller knows the job no more. When ctx ends it tries a
// little longer.
func (r *reporter) finish(ctx context.Context, end protocol.Update) {
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	timer := time.AfterFunc(farewell, cancel)
	defer timer.Stop()
	if ctx.Err() == nil {
		timer.Stop()
		unhook := context.AfterFunc(ctx, func() { timer.Reset(farewell) })
		defer unhook()
	}
	for refusals, own := 0, 0; last.Err() == nil; {
		u := &end
		if r.pending == "" {
			r.pending = r.out.take()
		}
		if len(r.pending) > r.most || !r.out.empty() {
			u = &protocol.Update{Exit: "no"} // more than one report holds
		}
		answer, err := r.send(last, *u)
		switch {
		case err == nil && answer.Stale:
			r.log.Warn("controller had given the job up, its end is not recorded")
			return
		case err == nil && u.Exit != "no":
			return
		case err == nil:
		case protocol.TooLong(err) && r.shorten(u):
		case r.final(err), own >= mostRefusals, refusals >= maxRefusals && r.alone(last):
			r.log.Error("controller refuses the end of a job", "error", err)
			return
		default:
			if r.between(err) {
				refusals++
			} else if core.KindOf(err) == core.KindInternal {
				refusals++
				own++
			}
			sleep(last, time.Until(r.next))
		}
	}
	r.log.Error("end of a job could not be told, the controller will find it lost", "exit", end.Exit)
}

// final reports whether sending the same again is of no use.
func (r *reporter) final(err error) bool {
	if r.between(err) && !protocol.TooLong(err) {
		return false
	}
	switch core.KindOf(err) {
	case core.KindInvalid, core.KindNotFound, core.KindDenied, core.KindConflict, core.KindUnsupported:
		return true
	default:
		return false
	}
}

// between reports whether err comes from what is before the controller. It says
// nothing about the job then: a proxy may know no backend for a moment, whatever
// it calls that. The original's controller has no words of its own.
func (r *reporter) between(err error) bool { return r.job.Fence != 0 && protocol.Foreign(err) }

// alone reports whether it is the end of this job alone that the controller
// does not take, since it takes a sign of life. As long as it takes nothing at
// all there is no use in giving the end up. The original's controller is not
// asked: it does not say which jobs it knows no more.
func (r *reporter) alone(ctx context.Context) bool {
	if r.job.Fence == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, updateTimeout)
	defer cancel()
	_, err := r.worker.client.Update(ctx, []protocol.Update{{JobID: *r.job.JobID, Fence: r.job.Fence, Exit: "no"}})
	return err == nil
}

func retryAfter(err error) time.Duration {
	var known *core.Error
	if errors.As(err, &known) {
		return known.RetryAfter
	}
	return 0
}
