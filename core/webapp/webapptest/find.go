package webapptest

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// matches says whether a filter selects a Lorry.
func matches(f queue.LorryFilter, l core.LorryState) bool {
	idle := l.RunningJob == 0 && l.HeldReason == ""
	states := map[string]bool{
		"": true, queue.StateRunning: l.RunningJob != 0, queue.StateHeld: l.HeldReason != "", queue.StateFailing: l.Failures > 0,
		queue.StateOK: l.Failures == 0 && !l.LastSuccess.IsZero(), queue.StateNew: l.LastRun.IsZero(), queue.StateRemoved: l.Removed,
		queue.StateDue: idle && !l.Due.After(f.Now), queue.StateWaiting: idle && l.Due.After(f.Now),
	}
	return states[f.State] && (f.Host == "" || f.Host == l.UpstreamHost || f.Host == l.Host) &&
		(f.Kind == "" || l.Failures > 0 && l.LastFailure.Kind == f.Kind) &&
		strings.Contains(strings.ToLower(l.Path), strings.ToLower(f.Text)) &&
		(f.Stale.IsZero() || l.LastSuccess.Before(f.Stale)) && (f.Paths == nil || slices.Contains(f.Paths, l.Path))
}

// keys are the numbers and texts of a Lorry by which lists are ordered.
func keys(sort string, l core.LorryState) queue.Cursor {
	at := func(t time.Time) int64 { return t.Unix() }
	turn := at(l.Due)
	if l.Position != 0 {
		turn = l.Position
	}
	numbers := map[string]int64{
		queue.SortQueue: turn, queue.SortLastRun: at(l.LastRun), queue.SortLastSuccess: at(l.LastSuccess),
		queue.SortFailures: int64(l.Failures), queue.SortDiskUsage: l.DiskUsage,
	}
	texts := map[string]string{queue.SortHost: l.UpstreamHost, queue.SortKind: string(l.LastFailure.Kind)}
	return queue.Cursor{At: numbers[sort], Key: texts[sort], Path: l.Path}
}

func compare(a, b queue.Cursor) int {
	return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Path, b.Path))
}

// FindLorries implements api.Queue.
func (q *Queue) FindLorries(_ context.Context, f queue.LorryFilter) (queue.LorryList, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var found []core.LorryState
	step := 1
	if f.Reverse {
		step = -1
	}
	for _, l := range q.lorries {
		if matches(f, *l) && (f.After == nil || compare(keys(f.Sort, *l), *f.After)*step > 0) {
			found = append(found, *l)
		}
	}
	slices.SortFunc(found, func(a, b core.LorryState) int { return compare(keys(f.Sort, a), keys(f.Sort, b)) * step })
	list := queue.LorryList{Lorries: found[:min(len(found), max(f.Limit, 1))]}
	if n := len(list.Lorries); len(found) > n {
		next := keys(f.Sort, list.Lorries[n-1])
		list.Next = &next
	}
	return list, nil
}

// FindJobs implements api.Queue.
func (q *Queue) FindJobs(_ context.Context, s queue.JobSearch) ([]core.Job, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var found []core.Job
	for id := core.JobID(1); id < q.next; id++ {
		j, ok := q.jobs[id]
		if !ok || !q.selects(s, *j) {
			continue
		}
		found = append(found, *j)
	}
	if !s.Oldest {
		slices.Reverse(found)
	}
	return found[:min(len(found), max(s.Limit, 1))], nil
}

func (q *Queue) selects(s queue.JobSearch, j core.Job) bool {
	bad := j.Exit == "lost" || j.Exit == "returned"
	states := map[string]bool{
		"": true, queue.StateRunning: j.Running(), queue.StateStopping: j.Running() && j.Kill, queue.StateEnded: !j.Running(),
		queue.StateSucceeded: j.Exit == "0" && !j.Failure.Failed(), queue.StateLost: j.Exit == "lost", queue.StateReturned: j.Exit == "returned",
		queue.StateFailed: !j.Running() && !bad && (j.Exit != "0" || j.Failure.Failed()),
	}
	l := q.lorries[j.Path]
	ofHost := s.Host == "" || l != nil && (l.UpstreamHost == s.Host || l.Host == s.Host)
	behind := s.After == 0 || (s.Oldest && j.ID > s.After) || (!s.Oldest && j.ID < s.After)
	return states[s.State] && ofHost && behind && (s.Path == "" || j.Path == s.Path) && (s.Minion == "" || j.Minion == s.Minion) &&
		(s.Kind == "" || j.Failure.Kind == s.Kind) && strings.Contains(strings.ToLower(j.Path), strings.ToLower(s.Text)) &&
		(s.Before.IsZero() || j.Started.Before(s.Before)) && !j.Started.Before(s.Since)
}

// FindHeld implements api.Queue.
func (q *Queue) FindHeld(_ context.Context, s queue.HeldSearch) ([]queue.HeldRewrite, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var found []queue.HeldRewrite
	for _, h := range q.held {
		if (s.Path == "" || h.Path == s.Path) && strings.Contains(strings.ToLower(h.Path), strings.ToLower(s.Text)) &&
			(s.Before.IsZero() || h.Since.Before(s.Before)) && (s.Approved == nil || *s.Approved == h.Approved) &&
			cmp.Or(cmp.Compare(h.Path, s.AfterPath), cmp.Compare(h.Ref, s.AfterRef)) > 0 {
			found = append(found, h)
		}
	}
	slices.SortFunc(found, func(a, b queue.HeldRewrite) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Ref, b.Ref))
	})
	if s.Limit > 0 {
		found = found[:min(len(found), s.Limit)]
	}
	return found, nil
}

// FailureGroups implements api.Queue.
func (q *Queue) FailureGroups(_ context.Context, limit int) ([]queue.FailureGroup, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var groups []queue.FailureGroup
	for _, l := range q.ordered() {
		if l.Failures == 0 {
			continue
		}
		i := slices.IndexFunc(groups, func(g queue.FailureGroup) bool { return g.Kind == l.LastFailure.Kind && g.Host == l.UpstreamHost })
		if i < 0 {
			i = len(groups)
			groups = append(groups, queue.FailureGroup{Kind: l.LastFailure.Kind, Host: l.UpstreamHost, Cause: l.LastFailure.Cause})
		}
		groups[i].Count++
	}
	slices.SortStableFunc(groups, func(a, b queue.FailureGroup) int { return cmp.Compare(b.Count, a.Count) })
	return groups[:min(len(groups), limit)], nil
}

// RetryAll implements api.Queue.
func (q *Queue) RetryAll(_ context.Context, f queue.LorryFilter) (int, error) {
	f.State = queue.StateFailing
	return q.all(f, func(l *core.LorryState) bool {
		l.Failures, l.Due = 0, q.clock()
		return true
	})
}

// HoldAll implements api.Queue.
func (q *Queue) HoldAll(_ context.Context, f queue.LorryFilter, reason string) (int, error) {
	return q.all(f, func(l *core.LorryState) bool {
		other := l.HeldReason != reason
		l.HeldReason = reason
		return other
	})
}

func (q *Queue) all(f queue.LorryFilter, change func(l *core.LorryState) bool) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := 0
	for _, l := range q.lorries {
		if matches(f, *l) && change(l) {
			n++
		}
	}
	q.wake()
	return n, nil
}

// Tails implements api.Queue.
func (q *Queue) Tails(_ context.Context, ids []core.JobID) ([]queue.Tail, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	var tails []queue.Tail
	for _, id := range ids {
		if j, ok := q.jobs[id]; ok {
			tails = append(tails, queue.Tail{ID: id, Kept: int64(len(q.output[id])), Ended: !j.Running(), Progress: j.Progress})
		}
	}
	return tails, nil
}

// SetConfigCommit sets the commit of CONFGIT that is in force.
func (q *Queue) SetConfigCommit(commit string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.commit = commit
}

// ConfigCommit implements api.Queue.
func (q *Queue) ConfigCommit(context.Context) (string, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.commit, nil
}

// HostHolds implements api.Queue.
func (q *Queue) HostHolds(context.Context) (map[string]queue.HostHold, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	holds := map[string]queue.HostHold{}
	for name, hold := range q.others {
		if hold.Until.After(q.clock()) {
			holds[name] = hold
		}
	}
	for _, h := range q.hosts {
		if h.HeldUntil.After(q.clock()) {
			holds[h.Name] = queue.HostHold{Until: h.HeldUntil, Reason: h.HeldReason}
		}
	}
	return holds, nil
}

// Outcomes implements api.Queue.
func (q *Queue) Outcomes(context.Context) (o queue.Outcomes, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, l := range q.lorries {
		switch {
		case l.Failures == 0 && !l.LastSuccess.IsZero():
			o.OK++
		case l.Failures > 0 && slices.Contains([]core.FailureKind{core.FailDiverged, core.FailRefused, core.FailLFS}, l.LastFailure.Kind):
			o.Degraded++
		case l.Failures > 0:
			o.Errors++
		}
	}
	return o, nil
}
