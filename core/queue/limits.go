package queue

import (
	"time"

	"github.com/lorry-controller/lorry-controller/core/schedule"
)

// Limits are those of the Options that may be changed while the queue works.
// They mean the same as there.
type Limits struct {
	GhostTimeout   time.Duration
	MaxJobsPerHost int
	Backoff        schedule.Rules
	AffinityGrace  time.Duration
	OutputCap      int64
}

// SetLimits changes the limits. Jobs that run keep the lease that they have
// until their next report, and Lorries their due time.
func (q *Queue) SetLimits(l Limits) {
	if l.GhostTimeout <= 0 {
		l.GhostTimeout = DefaultGhostTimeout
	}
	if l.AffinityGrace <= 0 {
		l.AffinityGrace = DefaultAffinityGrace
	}
	if l.OutputCap <= 0 {
		l.OutputCap = DefaultOutputCap
	}
	q.set.Store(&l)
	q.Wake()
}
