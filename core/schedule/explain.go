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
	// HostUntil and HostReason describe a hold of the Lorry's upstream host, or
	// of all Lorries.
	HostUntil  time.Time
	HostReason string
	AllHeld    bool
	// Ahead is how many due Lorries come before this one, or -1 when unknown.
	Ahead int
}

// Explain says why a Lorry is not running now. When several things stand in its
// way it names the one that an admin has to see first.
func Explain(l core.LorryState, s Surroundings) Verdict {
	switch {
	case l.RunningJob != 0 && l.Removed:
		return Verdict{BecauseRunning, fmt.Sprintf("job %d is running; the Lorry is no longer in CONFGIT and goes when the job ends", l.RunningJob), time.Time{}}
	case l.RunningJob != 0:
		return Verdict{BecauseRunning, fmt.Sprintf("job %d is running", l.RunningJob), time.Time{}}
	case l.HeldReason != "":
		return Verdict{BecauseHeld, fmt.Sprintf("an admin holds this Lorry: %s", l.HeldReason), time.Time{}}
	case !s.QueueRunning:
		return Verdict{BecauseStopped, "the run queue is stopped", time.Time{}}
	case s.HostUntil.After(s.Now) && s.AllHeld:
		return Verdict{BecauseHost, fmt.Sprintf("all Lorries are held: %s", s.HostReason), s.HostUntil}
	case s.HostUntil.After(s.Now):
		return Verdict{BecauseHost, fmt.Sprintf("the upstream host %q is held: %s", l.UpstreamHost, s.HostReason), s.HostUntil}
	case l.Due.After(s.Now) && l.Position >= 0 && l.Failures > 0:
		return Verdict{BecauseBackoff, fmt.Sprintf("backing off after %s", failures(l)), l.Due}
	case l.Due.After(s.Now) && l.Position >= 0:
		return Verdict{BecauseNotDue, fmt.Sprintf("due at %s", l.Due.UTC().Format(time.RFC3339)), l.Due}
	case s.Limits.Room(s.Load, 1) == 0:
		return Verdict{BecauseMaxJobs, fmt.Sprintf("max-jobs is %d and %d jobs are running", *s.Limits.MaxJobs, s.Load.Jobs), time.Time{}}
	case !s.Limits.free(s.Load, l.UpstreamHost):
		return Verdict{BecausePerHost, fmt.Sprintf("max-jobs-per-host is %d and %d jobs to %q are running",
			s.Limits.PerHost, s.Load.ByHost[l.UpstreamHost], l.UpstreamHost), time.Time{}}
	case s.Ahead > 0:
		return Verdict{BecauseDue, fmt.Sprintf("due; waits for a minion behind %d others", s.Ahead), time.Time{}}
	}
	return Verdict{BecauseDue, "due; waits for a minion", time.Time{}}
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
