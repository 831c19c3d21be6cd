package webapptest

import (
	"context"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// Claim implements minions.Queue.
func (q *Queue) Claim(_ context.Context, p queue.ClaimParams) ([]queue.Claimed, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var claimed []queue.Claimed
	running := 0
	for _, job := range q.jobs {
		if job.Running() {
			running++
		}
	}
	now := q.clock()
	for _, l := range q.ordered() {
		full := len(claimed) >= max(p.Max, 1) || (q.max != nil && running >= *q.max)
		if !q.running || full || l.RunningJob != 0 || l.HeldReason != "" || l.Due.After(now) {
			continue
		}
		q.fence++
		job := &core.Job{
			ID: q.next, Path: l.Path, Fence: q.fence, Minion: p.Minion, PID: p.PID,
			Started: now, Updated: now, Lease: now.Add(q.lease),
		}
		q.next++
		running++
		q.jobs[job.ID] = job
		l.RunningJob, l.Position = job.ID, 0
		claimed = append(claimed, queue.Claimed{LorryState: *l, Job: *job})
	}
	if len(claimed) > 0 {
		q.wake()
	}
	return claimed, nil
}

// WaitDue implements minions.Queue.
func (q *Queue) WaitDue(ctx context.Context) {
	q.mu.Lock()
	changed := q.changed
	left := time.Hour
	for _, l := range q.lorries {
		if l.RunningJob == 0 && l.Due.After(q.clock()) {
			left = min(left, l.Due.Sub(q.clock()))
		}
	}
	q.mu.Unlock()
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-changed:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Lease implements minions.Queue.
func (q *Queue) Lease() time.Duration {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lease
}

// Update implements minions.Queue.
func (q *Queue) Update(_ context.Context, updates []queue.UpdateParams) ([]queue.UpdateResult, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	results := make([]queue.UpdateResult, 0, len(updates))
	for _, u := range updates {
		results = append(results, q.update(u))
	}
	q.wake()
	return results, nil
}

func (q *Queue) update(u queue.UpdateParams) queue.UpdateResult {
	job, ok := q.jobs[u.Job]
	if !ok || !job.Running() || (u.Fence != 0 && u.Fence != job.Fence) {
		return queue.UpdateResult{Kill: true, Stale: true}
	}
	now := q.clock()
	job.Updated = now
	q.output[job.ID] += u.Output
	job.OutputSize += int64(len(u.Output))
	l := q.lorries[job.Path]
	if u.Progress != nil {
		job.Progress = u.Progress
	}
	if !u.Done {
		job.Kill = job.Kill || (l.Timeout > 0 && now.Sub(job.Started) >= l.Timeout)
		return queue.UpdateResult{Kill: job.Kill}
	}
	job.Exit, job.Ended, job.Failure, job.Unchanged, job.Refs = u.Exit, now, u.Failure, u.Unchanged, u.Refs
	job.DiskUsage, job.Progress = u.DiskUsage, nil
	l.RunningJob = 0
	if u.Returned {
		return queue.UpdateResult{}
	}
	l.LastRun, l.LastExit, l.LastFailure, l.DiskUsage = now, u.Exit, u.Failure, u.DiskUsage
	l.Due = now.Add(l.Interval)
	if u.Failure.Failed() {
		l.Failures++
		return queue.UpdateResult{}
	}
	l.LastSuccess, l.LastEqual, l.Failures = now, now, 0
	if u.Digest != "" {
		l.Digest = u.Digest
	}
	return queue.UpdateResult{}
}

// AppendOutput adds a note to a job's output.
func (q *Queue) AppendOutput(_ context.Context, id core.JobID, text string) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	job, err := q.job(id)
	if err != nil {
		return err
	}
	q.output[id] += text
	job.OutputSize += int64(len(text))
	q.wake()
	return nil
}

// Jobs implements api.Queue.
func (q *Queue) Jobs(_ context.Context, f queue.JobFilter) ([]core.Job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var list []core.Job
	for id := core.JobID(1); id < q.next; id++ {
		job, ok := q.jobs[id]
		if !ok || (f.Path != "" && job.Path != f.Path) || (f.Running && !job.Running()) ||
			(f.Failed && !job.Failure.Failed()) || (f.Before != 0 && id >= f.Before) {
			continue
		}
		list = append(list, *job)
	}
	if f.Limit > 0 {
		slices.Reverse(list)
		list = list[:min(f.Limit, len(list))]
	}
	return list, nil
}

// JobIDs implements api.Queue.
func (q *Queue) JobIDs(ctx context.Context, f queue.JobFilter, after core.JobID, limit int) ([]core.JobID, error) {
	f.Limit = 0
	jobs, err := q.Jobs(ctx, f)
	var ids []core.JobID
	for _, j := range jobs {
		if j.ID > after && len(ids) < limit {
			ids = append(ids, j.ID)
		}
	}
	return ids, err
}

// Job implements api.Queue.
func (q *Queue) Job(_ context.Context, id core.JobID) (core.Job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	job, err := q.job(id)
	if err != nil {
		return core.Job{}, err
	}
	return *job, nil
}

func (q *Queue) job(id core.JobID) (*core.Job, error) {
	job, ok := q.jobs[id]
	if !ok {
		return nil, core.Errorf(core.KindNotFound, "no job %d", id)
	}
	return job, nil
}

// Output implements api.Queue.
func (q *Queue) Output(_ context.Context, id core.JobID, offset, limit int64) (string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if _, err := q.job(id); err != nil {
		return "", err
	}
	text := q.output[id]
	text = text[min(max(offset, 0), int64(len(text))):]
	if limit > 0 {
		text = text[:min(limit, int64(len(text)))]
	}
	return text, nil
}

// StopJob implements api.Queue.
func (q *Queue) StopJob(_ context.Context, id core.JobID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	job, err := q.job(id)
	if err != nil {
		return err
	}
	if !job.Running() {
		return core.Errorf(core.KindConflict, "job %d does not run", id)
	}
	job.Kill = true
	q.wake()
	return nil
}

// RemoveJob implements api.Queue.
func (q *Queue) RemoveJob(_ context.Context, id core.JobID) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	job, err := q.job(id)
	if err != nil {
		return err
	}
	if job.Running() {
		return core.Errorf(core.KindConflict, "job %d still runs", id)
	}
	delete(q.jobs, id)
	return nil
}

// BuryGhosts implements api.Queue.
func (q *Queue) BuryGhosts(context.Context) ([]core.Job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var ghosts []core.Job
	for id := core.JobID(1); id < q.next; id++ {
		job, ok := q.jobs[id]
		if !ok || !job.Running() || q.clock().Sub(job.Updated) < q.lease {
			continue
		}
		q.update(queue.UpdateParams{
			Job: id, Done: true, Exit: "lost", Output: "The minion went silent.\n",
			Failure: core.Failure{Kind: core.FailLost, Cause: "the minion went silent"},
		})
		ghosts = append(ghosts, *job)
	}
	return ghosts, nil
}
