package api

import (
	"context"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// ListRunningJobs answers GET /1.0/list-running-jobs.
func (a *API) ListRunningJobs(r *exchange.Request) (exchange.Answer, error) {
	jobs, err := a.queue.Jobs(r.Context(), queue.JobFilter{Running: true})
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.RunningJobs{RunningJobs: ids(jobs)}), nil
}

// JobFilterOf reads the fields path, failed, running, before and limit; limit
// stands for a missing one.
func JobFilterOf(r *exchange.Request, limit int) (queue.JobFilter, error) {
	filter := queue.JobFilter{Path: strings.Trim(r.Form.Get("path"), "/"), Limit: limit}
	filter.Failed, filter.Running = wanted(r, "failed"), wanted(r, "running")
	if r.Form.Get("before") != "" {
		before, err := r.Form.Int("before")
		if err != nil {
			return filter, err
		}
		filter.Before = core.JobID(before)
	}
	page, err := pageOf(r)
	if err != nil {
		return filter, err
	}
	if page.Limit > 0 {
		filter.Limit = page.Limit
	}
	return filter, nil
}

// wanted reads a field that switches something on.
func wanted(r *exchange.Request, field string) bool {
	switch r.Form.Get(field) {
	case "", "0", "no", "false":
		return false
	}
	return true
}

// Job answers GET /1.0/job/ID.
func (a *API) Job(r *exchange.Request) (exchange.Answer, error) {
	info, err := a.JobDetail(r.Context(), r.Param("job_id"))
	if err != nil {
		return nil, err
	}
	return exchange.JSON(info), nil
}

// JobDetail gathers a job with its output. An id that is no number or unknown
// is core.KindNotFound.
func (a *API) JobDetail(ctx context.Context, id string) (protocol.JobInfo, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil || n < 1 {
		return protocol.JobInfo{}, core.Errorf(core.KindNotFound, "no job %q: an id is a number", id)
	}
	job, err := a.queue.Job(ctx, core.JobID(n))
	if err != nil {
		return protocol.JobInfo{}, err
	}
	output, err := a.queue.Output(ctx, job.ID, 0, 0)
	if err != nil {
		return protocol.JobInfo{}, err
	}
	info := JobInfo(job, a.clock())
	info.Output = output
	return info, nil
}

func jobField(r *exchange.Request) (core.JobID, error) {
	id, err := r.Form.Int("job_id")
	return core.JobID(id), err
}

// StopJob answers POST /1.0/stop-job with the Lorry of the job. The minion
// learns of it with its next update.
func (a *API) StopJob(r *exchange.Request) (exchange.Answer, error) {
	id, err := jobField(r)
	if err != nil {
		return nil, err
	}
	if err := a.queue.StopJob(r.Context(), id); err != nil {
		return nil, err
	}
	job, err := a.queue.Job(r.Context(), id)
	if err != nil {
		return nil, err
	}
	lorry, err := a.queue.Lorry(r.Context(), job.Path)
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.StoppedJob{Lorry: LorryInfo(lorry, a.clock()), JobID: id, Kill: true}), nil
}

// RemoveJob answers POST /1.0/remove-job. A running job stays, which the
// original told with a reason and status 200.
func (a *API) RemoveJob(r *exchange.Request) (exchange.Answer, error) {
	id, err := jobField(r)
	if err != nil {
		return nil, err
	}
	err = a.queue.RemoveJob(r.Context(), id)
	switch {
	case err == nil:
		return exchange.JSON(protocol.RemovedJob{JobID: &id}), nil
	case core.KindOf(err) == core.KindConflict:
		return exchange.JSON(protocol.RemovedJob{Reason: "still running"}), nil
	default:
		return nil, err
	}
}

// RemoveGhostJobs answers POST /1.0/remove-ghost-jobs.
func (a *API) RemoveGhostJobs(r *exchange.Request) (exchange.Answer, error) {
	ghosts, err := a.queue.BuryGhosts(r.Context())
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.Ghosts{JobIDs: ids(ghosts), Removed: len(ghosts)}), nil
}

// RemoveOldJobs answers POST /1.0/remove-old-jobs.
func (a *API) RemoveOldJobs(r *exchange.Request) (exchange.Answer, error) {
	remover, ok := a.queue.(OldJobsRemover)
	if !ok {
		return nil, core.Errorf(core.KindUnsupported, "this controller does not remove old jobs by itself")
	}
	removed, err := remover.RemoveOldJobs(r.Context())
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.Removed{Removed: removed}), nil
}
