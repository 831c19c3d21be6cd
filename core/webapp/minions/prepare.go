package minions

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// preparing is how many jobs of one answer are prepared at once: an adapter
// refuses calls when too many wait for it.
const preparing = 8

// prepareAll prepares the claimed jobs, some side by side, and gives those that
// can run, in the same order. The others have ended: with a failure, or handed
// back when the client went away meanwhile, or lost.
func (m *Minions) prepareAll(ctx context.Context, claimed []queue.Claimed) []ready {
	results := make([]*ready, len(claimed))
	prepare := func(i int) {
		prepared, err := m.prepareOne(ctx, claimed[i])
		switch {
		case err == nil:
			results[i] = &ready{Claimed: claimed[i], prepared: prepared}
		case ctx.Err() != nil:
			m.handBack(ctx, []ready{{Claimed: claimed[i]}}, whyAway)
		default:
			m.fail(ctx, claimed[i], err)
		}
	}
	lost := m.keepAlive(ctx, claimed)
	late := time.Now().Add(m.timeout / 2)
	var next atomic.Int64
	var all sync.WaitGroup
	for range min(preparing, len(claimed)) {
		all.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(claimed)); i = next.Add(1) - 1 {
				if i >= preparing && time.Now().After(late) {
					m.handBack(ctx, []ready{{Claimed: claimed[i]}}, "Others before this job took long to be prepared.")
					continue
				}
				prepare(int(i))
			}
		})
	}
	all.Wait()
	gone := lost()
	var jobs []ready
	for _, r := range results {
		switch {
		case r == nil:
		case gone[r.Job.ID]:
			m.log.Warn("job was lost while it was prepared", "job", r.Job.ID, "path", r.Path)
		default:
			jobs = append(jobs, *r)
		}
	}
	return jobs
}

func (m *Minions) prepareOne(ctx context.Context, c queue.Claimed) (prepared Prepared, err error) {
	ctx, cancel := context.WithTimeout(ctx, m.timeout)
	defer cancel()
	defer func() {
		if cause := recover(); cause != nil {
			m.log.Error("preparing a job broke down", "path", c.Path, "cause", cause, "stack", string(debug.Stack()))
			err = core.Errorf(core.KindInternal, "preparing the job broke down; the controller's log says where")
		}
	}()
	prepared, err = m.prepare.Prepare(ctx, c.LorryState)
	if err != nil && ctx.Err() != nil {
		err = &core.Error{
			Kind: core.KindUnavailable, Err: err,
			Fact: fmt.Sprintf("host was not ready within %s", m.timeout),
			Hint: "look at the host itself; the job is tried again later",
		}
	}
	return prepared, err
}

// fail ends a job that could not be prepared.
func (m *Minions) fail(ctx context.Context, c queue.Claimed, err error) {
	failure := PrepareFailure(err)
	m.log.Warn("job could not be prepared", "job", c.Job.ID, "path", c.Path, "kind", failure.Kind, "error", err)
	output := "The job could not be prepared: " + failure.Cause + "\n"
	if failure.Hint != "" {
		output += "Hint: " + failure.Hint + "\n"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	_, err = m.queue.Update(ctx, []queue.UpdateParams{{
		Job: c.Job.ID, Fence: c.Job.Fence, Output: output, Done: true, Exit: "1", Failure: failure,
	}})
	if err != nil {
		m.log.Error("failed job could not be ended", "job", c.Job.ID, "path", c.Path, "error", err)
	}
}

// PrepareFailure says why a job failed whose hosts could not be made ready. The
// adapters' table of error kinds decides what kind of failure it is.
func PrepareFailure(err error) core.Failure {
	failure := core.Failure{Kind: adapter.RuleOf(err).Failure, Cause: err.Error()}
	var known *core.Error
	if errors.As(err, &known) {
		failure.Hint = known.Hint
		failure.RetryAfter = int64(math.Ceil(known.RetryAfter.Seconds()))
	}
	if adapter.RuleOf(err).Action == adapter.HoldUntil {
		failure.RetryAfter = int64(math.Ceil(adapter.HoldFor(err).Seconds()))
	}
	if failure.Hint != "" {
		return failure
	}
	switch failure.Kind {
	case core.FailAuth:
		failure.Hint = "check the credentials that the controller has for this host, and what they may do"
	case core.FailRateLimited:
		failure.Hint = "the host asked for a pause; the job is tried again later"
	case core.FailNetwork:
		failure.Hint = "check that the host is up and can be reached from the controller"
	}
	return failure
}
