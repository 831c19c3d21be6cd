package schedule

import (
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Verdict says why a Lorry is not running now, or that it is.
type Verdict struct {
	Reason string    // one of the Because… words
	Detail string    // a sentence for people
	Until  time.Time // when it changes by itself, or zero
}

// The reasons of a Verdict.
const (
	BecauseRunning = "running"
	BecauseDue     = "due"
	BecauseNotDue  = "not due"
	BecauseHeld    = "held"
	BecauseBackoff = "backing off"
	BecauseStopped = "queue stopped"
	BecauseHost    = "host held"
	BecausePerHost = "host limit"
	BecauseMaxJobs = "max-jobs"
	BecauseDisk    = "disk" // said by whoever watches the file systems
)

// Surroundings is what, beside a Lorry's own state, decides whether it runs.
type Surroundings struct {
	Now          time.Time
	QueueRunning bool
	Limits       Limits
	Load         Load
	// Host describes a hold of the Lorry's upstream host, All one of all Lorries.
	Host, All Hold
	// Job is the running job, or zero.
	Job core.Job
	// Ahead is how many due Lorries come before this one, or -1 when unknown.
	Ahead int
}

// Hold keeps Lorries from running.
type Hold struct {
	Until   time.Time
	Reason  string
	Endless bool // Until is so far away that it means nothing
}

// Explain says why a Lorry is not running now. When several things stand in its
// way it gives the reason that an admin has to see first, and tells of the others
// besides; then Until is when the last of them changes by itself.
func Explain(l core.LorryState, s Surroundings) Verdict {
	if l.RunningJob != 0 {
		return runs(l, s)
	}
	all := obstacles(l, s)
	if len(all) == 0 {
		if s.Ahead > 0 {
			return Verdict{BecauseDue, fmt.Sprintf("due; waits for a minion behind %d others", s.Ahead), time.Time{}}
		}
		return Verdict{BecauseDue, "due; waits for a minion", time.Time{}}
	}
	first := all[0]
	for i, v := range all[1:] {
		first.Detail += []string{"; besides, ", ", and "}[min(i, 1)] + v.Detail
		if first.Until.IsZero() || v.Until.IsZero() {
			first.Until = time.Time{}
		} else if v.Until.After(first.Until) {
			first.Until = v.Until
		}
	}
	return first
}

// quiet is how long a minion may be silent without that being worth telling.
const quiet = 30 * time.Second

// runs tells of a Lorry that a job runs.
func runs(l core.LorryState, s Surroundings) Verdict {
	v := Verdict{Reason: BecauseRunning, Detail: fmt.Sprintf("job %d is running", l.RunningJob)}
	if s.Job.Kill {
		v.Detail += ", and to be stopped: its minion learns that with its next report"
	}
	if l.HeldReason != "" {
		v.Detail += fmt.Sprintf("; no other one follows, since an admin holds this Lorry: %s", l.HeldReason)
	}
	if l.Removed {
		v.Detail += "; the Lorry is no longer in CONFGIT and goes when the job ends"
	}
	if silent := s.Now.Sub(s.Job.Updated); !s.Job.Updated.IsZero() && silent > quiet {
		v.Detail += fmt.Sprintf("; its minion %q was last heard of %s ago", s.Job.Minion, core.Span(silent))
		if s.Job.Lease.After(s.Now) {
			v.Detail += fmt.Sprintf(", and the job is ended as lost in %s", core.Span(s.Job.Lease.Sub(s.Now)))
		} else {
			v.Detail += ", and the job is about to be ended as lost"
		}
	}
	return v
}

// obstacles are all things that keep a Lorry from running, the one that an admin
// has to see first before the others.
func obstacles(l core.LorryState, s Surroundings) []Verdict {
	var all []Verdict
	add := func(is bool, reason string, until time.Time, format string, args ...any) {
		if is {
			all = append(all, Verdict{reason, fmt.Sprintf(format, args...), until})
		}
	}
	later := l.Due.After(s.Now) && l.Position >= 0
	add(l.HeldReason != "", BecauseHeld, time.Time{}, "an admin holds this Lorry: %s", l.HeldReason)
	add(!s.QueueRunning, BecauseStopped, time.Time{}, "the run queue is stopped")
	add(s.All.Until.After(s.Now), BecauseHost, s.All.end(), "all Lorries are held: %s", s.All.Reason)
	add(s.Host.Until.After(s.Now), BecauseHost, s.Host.end(), "the upstream host %q is held: %s", l.UpstreamHost, s.Host.Reason)
	add(later && l.Failures > 0, BecauseBackoff, l.Due, "backing off after %s", failures(l))
	add(later && l.Failures == 0, BecauseNotDue, l.Due, "due at %s", l.Due.UTC().Format(time.RFC3339))
	// What runs now says nothing of a time that has not come.
	if full := s.Limits.Room(s.Load, 1) == 0; full && (!later || *s.Limits.MaxJobs == 0) {
		add(true, BecauseMaxJobs, time.Time{}, "max-jobs is %d and %d jobs are running", *s.Limits.MaxJobs, s.Load.Jobs)
	} else if !full && !later {
		add(!s.Limits.free(s.Load, l.UpstreamHost), BecausePerHost, time.Time{}, "max-jobs-per-host is %d and %d jobs to %q are running",
			s.Limits.PerHost, s.Load.ByHost[l.UpstreamHost], l.UpstreamHost)
	}
	return all
}

// end is when a hold ends by itself, or zero.
func (h Hold) end() time.Time {
	if h.Endless {
		return time.Time{}
	}
	return h.Until
}

func failures(l core.LorryState) string {
	n := "1 failed job"
	if l.Failures != 1 {
		n = fmt.Sprintf("%d failed jobs", l.Failures)
	}
	if l.LastFailure.Cause != "" {
		return fmt.Sprintf("%s, the last one because %s", n, l.LastFailure.Cause)
	}
	return n
}
