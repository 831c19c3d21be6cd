package statedbtest

import (
	"maps"
	"slices"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// known checks that err tells an unknown Lorry from a known one, and gives it.
func (m *model) known(path string, err error) *modelLorry {
	m.Helper()
	l := m.lorries[path]
	if (l == nil) != (err != nil) || (err != nil && core.KindOf(err) != core.KindNotFound) {
		m.Fatalf("Lorry %q known: %v, error: %v", path, l != nil, err)
	}
	return l
}

func (m *model) move(top bool) {
	p := m.path()
	move := m.queue.MoveToBottom
	if top {
		move = m.queue.MoveToTop
	}
	l := m.known(p, move(m.ctx, p))
	if l == nil {
		return
	}
	order := m.inOrder()
	if top {
		l.turn, l.digest, l.asked = min(order[0].turn, queue.FirstTurn)-1, "", m.now()
		if l.job == 0 {
			l.asked = m.now().Add(-time.Microsecond)
		}
		if m.now().Before(l.due) {
			l.due = m.now()
		}
		return
	}
	l.turn = max(order[len(order)-1].turn+1, m.now().UnixMicro())
	l.due = time.UnixMicro(l.turn).UTC()
}

func (m *model) retry() {
	p := m.path()
	if l := m.known(p, m.queue.Retry(m.ctx, p)); l != nil {
		l.failures, l.digest = 0, ""
		if l.job != 0 {
			l.asked = m.now()
		}
		l.turn = min(l.turn, m.now().UnixMicro())
		if m.now().Before(l.due) {
			l.due = m.now()
		}
	}
}

func (m *model) hold() {
	p := m.path()
	if l := m.lorries[p]; l != nil && l.held != "" {
		m.must(m.queue.ResumeLorry(m.ctx, p))
		l.held = ""
		return
	}
	if l := m.known(p, m.queue.HoldLorry(m.ctx, p, "because")); l != nil {
		l.held = "because"
	}
}

func (m *model) stopJob() {
	if j := m.live(); j != nil {
		m.must(m.queue.StopJob(m.ctx, j.id))
		j.kill = true
	}
}

func (m *model) switchQueue() {
	m.running = !m.running
	m.must(m.queue.SetRunning(m.ctx, m.running))
}

func (m *model) setMaxJobs() {
	m.maxJobs = rapid.Ptr(rapid.IntRange(0, 4), true).Draw(m.T, "max-jobs")
	m.must(m.queue.SetMaxJobs(m.ctx, m.maxJobs))
}

func (m *model) rebase() {
	m.crash()
	m.must(m.queue.Rebase(m.ctx))
	for _, j := range m.jobs {
		if j.exit == "" && !j.lease.After(j.reported.Add(m.queue.Lease())) { // else it got more at a start before
			j.lease = m.now().Add(m.queue.Lease())
		}
	}
}

// check compares the STATEDB with the model.
func (m *model) check() {
	m.Helper()
	all, err := m.queue.Queue(m.ctx, queue.Page{})
	m.must(err)
	var want, got []modelLorry
	for _, l := range m.inOrder() {
		seen := *l
		seen.fence, seen.text, seen.lastRun, seen.asked = 0, "", time.Time{}, time.Time{}
		seen.turn = min(l.turn, 0)
		want = append(want, seen)
	}
	for _, l := range all {
		got = append(got, modelLorry{
			path: l.Path, turn: l.Position, due: l.Due, job: l.RunningJob, removed: l.Removed, held: l.HeldReason,
			failures: l.Failures, exit: l.LastExit, digest: l.Digest,
		})
	}
	if diff := gocmp.Diff(want, got, gocmp.AllowUnexported(modelLorry{})); diff != "" {
		m.Fatalf("the queue (-want +got):\n%s", diff)
	}
	running, err := m.queue.Jobs(m.ctx, queue.JobFilter{Running: true})
	m.must(err)
	var live, listed []modelJob
	for _, id := range slices.Sorted(maps.Keys(m.jobs)) {
		if j := m.jobs[id]; j.exit == "" {
			seen := *j
			seen.started, seen.reported = time.Time{}, time.Time{}
			live = append(live, seen)
		}
	}
	for _, j := range running {
		listed = append(listed, modelJob{id: j.ID, path: j.Path, fence: j.Fence, lease: j.Lease, kill: j.Kill})
	}
	if diff := gocmp.Diff(live, listed, gocmp.AllowUnexported(modelJob{})); diff != "" {
		m.Fatalf("the running jobs (-want +got):\n%s", diff)
	}
	paths := map[string]bool{}
	for _, j := range running {
		if paths[j.Path] {
			m.Fatalf("two live jobs of %q", j.Path)
		}
		paths[j.Path] = true
	}
}

// checkHistory compares every result that was acknowledged.
func (m *model) checkHistory() {
	for _, id := range slices.Sorted(maps.Keys(m.jobs)) {
		j, err := m.queue.Job(m.ctx, id)
		m.must(err)
		if want := m.jobs[id]; j.Exit != want.exit || j.Path != want.path || j.Fence != want.fence {
			m.Fatalf("job %d is %q %q %d, want %q %q %d", id, j.Exit, j.Path, j.Fence, want.exit, want.path, want.fence)
		}
	}
}
