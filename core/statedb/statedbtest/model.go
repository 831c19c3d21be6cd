package statedbtest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/schedule"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// Model runs random sequences of what admins, minions, CONFGIT, crashes and the
// clock do, and checks after every step that the queue is as a simple model of
// it says. In sentences:
//
//   - there are never two live jobs of one Lorry;
//   - no acknowledged result is lost or changed;
//   - nothing runs without a lease, and what runs is what the Lorry says;
//   - jobs are given out in queue order, to no held Lorry, within max-jobs, and
//     to nobody while the queue is stopped;
//   - a report with an old fence, or on an ended job, changes nothing;
//   - what is asked for while a job runs is done by another one, which has no digest.
//
// steps is the length of each of the sequences; rapid's own flags say how many
// there are.
func Model(t *testing.T, url string, steps int) {
	t.Helper()
	clock := NewClock()
	db := Open(t, url, clock)
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{T: rt, ctx: t.Context(), clock: clock, store: db, lorries: map[string]*modelLorry{}, jobs: map[core.JobID]*modelJob{}, running: true}
		m.crash()
		m.reset()
		actions := m.actions()
		names := slices.Sorted(maps.Keys(actions))
		for range steps {
			actions[rapid.SampledFrom(names).Draw(rt, "step")]()
			m.check()
		}
		m.checkHistory()
	})
}

// model is what the queue should be.
type model struct {
	*rapid.T
	ctx   context.Context
	clock *Clock
	store *statedb.DB
	queue *queue.Queue

	lorries map[string]*modelLorry
	jobs    map[core.JobID]*modelJob
	running bool
	maxJobs *int
	lastID  core.JobID
}

type modelLorry struct {
	path     string
	turn     int64 // microseconds, or negative for one at the top
	due      time.Time
	job      core.JobID
	fence    core.Fence
	removed  bool
	held     string
	text     string
	failures int
	exit     string
	digest   string

	lastRun, asked time.Time
}

type modelJob struct {
	id    core.JobID
	path  string
	fence core.Fence
	lease time.Time
	kill  bool
	exit  string

	started, reported time.Time
}

// stoppedOr is how a job failed that did not end well.
func (j *modelJob) stoppedOr(kind core.FailureKind) core.FailureKind {
	if j.kill {
		return core.FailKilled
	}
	return kind
}

func (m *model) must(err error) {
	m.Helper()
	if err != nil {
		m.Fatal(err)
	}
}

func (m *model) now() time.Time { return m.clock.Now() }

// crash forgets everything that a core has in memory.
func (m *model) crash() {
	m.queue = queue.New(queue.Options{Store: m.store, Clock: m.clock.Now, Rand: func() float64 { return 0 }})
}

// reset empties what an earlier sequence left in the STATEDB.
func (m *model) reset() {
	m.must(m.queue.SetRunning(m.ctx, true))
	m.must(m.queue.SetMaxJobs(m.ctx, nil))
	_, err := m.queue.ReturnJobs(m.ctx, "")
	m.must(err)
	all, err := m.queue.Queue(m.ctx, queue.Page{})
	m.must(err)
	var paths []string
	for _, l := range all {
		paths = append(paths, l.Path)
	}
	m.must(m.store.RemoveLorries(m.ctx, paths))
	jobs, err := m.queue.Jobs(m.ctx, queue.JobFilter{Limit: 1})
	m.must(err)
	if len(jobs) > 0 {
		m.lastID = jobs[0].ID
	}
}

func (m *model) actions() map[string]func() {
	return map[string]func(){
		"put": m.put, "remove": m.remove, "claim": m.claim, "claim again": m.claim, "finish": m.finish, "finish again": m.finish,
		"heartbeat": m.heartbeat, "late report": m.late, "time passes": m.timePasses, "bury": m.bury, "hand back": m.handBack,
		"top": func() { m.move(true) }, "bottom": func() { m.move(false) }, "hold": m.hold, "stop job": m.stopJob,
		"retry": m.retry, "switch": m.switchQueue, "max-jobs": m.setMaxJobs, "crash": m.crash, "core starts": m.rebase,
	}
}

func (m *model) path() string {
	return rapid.SampledFrom([]string{"a", "b", "c/d", "e", "f"}).Draw(m.T, "path")
}

func (m *model) put() {
	want := NewLorry(m.path())
	want.Text += rapid.SampledFrom([]string{"", " "}).Draw(m.T, "text")
	m.must(m.store.PutLorries(m.ctx, []core.Lorry{want}))
	l := m.lorries[want.Path]
	if l == nil {
		m.lorries[want.Path] = &modelLorry{path: want.Path, text: want.Text, turn: m.now().UnixMicro(), due: m.now()}
		return
	}
	if l.removed = false; l.text == want.Text {
		return
	}
	if l.text, l.digest = want.Text, ""; l.job != 0 {
		l.asked = m.now()
	}
}

func (m *model) remove() {
	p := m.path()
	m.must(m.store.RemoveLorries(m.ctx, []string{p}))
	if l := m.lorries[p]; l != nil && l.job != 0 {
		l.removed = true
	} else {
		delete(m.lorries, p)
	}
}

// inOrder is the queue as it should be listed.
func (m *model) inOrder() []*modelLorry {
	return slices.SortedFunc(maps.Values(m.lorries), func(a, b *modelLorry) int {
		return cmp.Or(cmp.Compare(a.turn, b.turn), cmp.Compare(a.path, b.path))
	})
}

func (m *model) claim() {
	limit := rapid.IntRange(1, 4).Draw(m.T, "max")
	got, err := m.queue.Claim(m.ctx, queue.ClaimParams{Minion: "m", Max: limit})
	m.must(err)
	live := 0
	for _, l := range m.lorries {
		if l.job != 0 {
			live++
		}
	}
	var want []string
	for _, l := range m.inOrder() {
		if !m.running || len(want) == limit || (m.maxJobs != nil && live+len(want) >= *m.maxJobs) {
			break
		}
		if l.job == 0 && l.held == "" && l.turn <= m.now().UnixMicro() {
			want = append(want, l.path)
		}
	}
	if diff := gocmp.Diff(want, paths(got)); diff != "" {
		m.Fatalf("jobs are not given out in queue order (-want +got):\n%s", diff)
	}
	for _, c := range got {
		l := m.lorries[c.Path]
		if c.Job.ID <= m.lastID {
			m.Fatalf("job %d comes after job %d", c.Job.ID, m.lastID)
		}
		m.lastID = c.Job.ID
		l.fence++
		l.job, l.turn = c.Job.ID, l.due.UnixMicro()
		m.jobs[c.Job.ID] = &modelJob{id: c.Job.ID, path: c.Path, fence: l.fence, lease: m.now().Add(m.queue.Lease()), started: m.now(), reported: m.now()}
		if c.Job.Fence != l.fence {
			m.Fatalf("fence %d, want %d", c.Job.Fence, l.fence)
		}
	}
}

// live draws one of the running jobs, or nil.
func (m *model) live() *modelJob {
	var all []*modelJob
	for _, id := range slices.Sorted(maps.Keys(m.jobs)) {
		if j := m.jobs[id]; j.exit == "" {
			all = append(all, j)
		}
	}
	if len(all) == 0 {
		return nil
	}
	return rapid.SampledFrom(all).Draw(m.T, "job")
}

func (m *model) report(p queue.UpdateParams) queue.UpdateResult {
	rs, err := m.queue.Update(m.ctx, []queue.UpdateParams{p})
	m.must(err)
	return rs[0]
}

func (m *model) expect(want, got queue.UpdateResult) {
	m.Helper()
	if want != got {
		m.Fatalf("want %+v, got %+v", want, got)
	}
}

func (m *model) finish() {
	j := m.live()
	if j == nil {
		return
	}
	exit := rapid.SampledFrom([]string{"0", "1", "-9"}).Draw(m.T, "exit")
	fence := rapid.SampledFrom([]core.Fence{j.fence, 0}).Draw(m.T, "fence")
	m.expect(queue.UpdateResult{}, m.report(queue.UpdateParams{Job: j.id, Fence: fence, Done: true, Exit: exit, Digest: "d" + fmt.Sprint(j.id)}))
	kind := core.FailNone
	if exit != "0" {
		kind = j.stoppedOr(core.FailOther)
	}
	m.ended(j, exit, schedule.Outcome{Success: exit == "0", Kind: kind})
}

// ended puts the end of a job into the model.
func (m *model) ended(j *modelJob, exit string, o schedule.Outcome) {
	j.exit = exit
	l := m.lorries[j.path]
	l.job = 0
	if l.removed {
		delete(m.lorries, j.path)
		return
	}
	o.End = m.now()
	was, losses := l.due, l.failures
	l.failures, l.due = schedule.Rules{}.After(o, Hour, l.failures, 0)
	unfinished := o.Returned || o.Kind == core.FailLost && losses == 0
	if unfinished && was.Before(l.due) {
		l.due = was
	}
	l.turn = l.due.UnixMicro()
	if !l.asked.Before(j.started) {
		l.due = l.asked
	}
	if !l.asked.Before(j.started) || unfinished && l.asked.After(l.lastRun) {
		l.turn = l.asked.UnixMicro() + queue.FirstTurn
	}
	l.digest = ""
	if o.Success && l.asked.Before(j.started) {
		l.digest = "d" + fmt.Sprint(j.id)
	}
	if !o.Returned {
		l.exit, l.lastRun = exit, m.now()
	}
}

func (m *model) heartbeat() {
	if j := m.live(); j != nil {
		m.expect(queue.UpdateResult{Kill: j.kill}, m.report(queue.UpdateParams{Job: j.id, Fence: j.fence, Output: "x"}))
		j.lease, j.reported = m.now().Add(m.queue.Lease()), m.now()
	}
}

// late sends what must be refused: for an ended job, or with an old fence.
func (m *model) late() {
	p := queue.UpdateParams{Job: m.lastID + 1, Done: rapid.Bool().Draw(m.T, "done"), Exit: "0", Output: "late"}
	if ids := slices.Sorted(maps.Keys(m.jobs)); len(ids) > 0 {
		j := m.jobs[rapid.SampledFrom(ids).Draw(m.T, "job")]
		p.Job, p.Fence = j.id, j.fence
		if j.exit == "" {
			p.Fence += rapid.SampledFrom([]core.Fence{-1, 1}).Draw(m.T, "off")
			if p.Fence == 0 {
				p.Fence = j.fence + 1
			}
		}
	}
	m.expect(queue.UpdateResult{Stale: true}, m.report(p))
}

func (m *model) timePasses() {
	m.clock.Advance(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, Hour, 3 * Hour}).Draw(m.T, "time"))
	// A job that outlives its lorry-timeout has tests of its own: here each
	// minion gives up in time.
	for _, id := range slices.Sorted(maps.Keys(m.jobs)) {
		if j := m.jobs[id]; j.exit == "" && m.now().Sub(j.lease) > 0 {
			m.bury()
			break
		}
	}
}

func (m *model) bury() {
	buried, err := m.queue.BuryGhosts(m.ctx)
	m.must(err)
	var want, got []core.JobID
	for _, id := range slices.Sorted(maps.Keys(m.jobs)) {
		if j := m.jobs[id]; j.exit == "" && !j.lease.After(m.now()) {
			want = append(want, id)
			m.ended(j, "lost", schedule.Outcome{Kind: j.stoppedOr(core.FailLost)})
		}
	}
	for _, j := range buried {
		got = append(got, j.ID)
	}
	if diff := gocmp.Diff(want, got); diff != "" {
		m.Fatalf("buried (-want +got):\n%s", diff)
	}
}

func (m *model) handBack() {
	if j := m.live(); j != nil {
		m.expect(queue.UpdateResult{}, m.report(queue.UpdateParams{Job: j.id, Fence: j.fence, Done: true, Returned: true}))
		m.ended(j, "returned", schedule.Outcome{Returned: !j.kill, Kind: j.stoppedOr(core.FailNone)})
	}
}
