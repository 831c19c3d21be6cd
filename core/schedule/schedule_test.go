package schedule_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/schedule"
)

var start = time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)

func TestAFailingLorryBacksOff(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	for _, c := range []struct {
		name     string
		rules    schedule.Rules
		interval time.Duration
		failures int
		want     time.Duration
	}{
		{"after a success its interval", schedule.Rules{}, hour, 0, hour},
		{"after one failure twice", schedule.Rules{}, hour, 1, 2 * hour},
		{"after three failures eight times", schedule.Rules{}, hour, 3, 8 * hour},
		{"up to a day", schedule.Rules{}, hour, 5, 24 * hour},
		{"up to a day however often", schedule.Rules{}, hour, 1 << 30, 24 * hour},
		{"up to the cap that was set", schedule.Rules{Cap: 3 * hour}, hour, 2, 3 * hour},
		{"never below its interval", schedule.Rules{}, 72 * hour, 4, 72 * hour},
		{"without an interval from a second on", schedule.Rules{}, 0, 3, 8 * time.Second},
		{"not at all when told so", schedule.Rules{NoBackoff: true}, hour, 7, hour},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, c.rules.Wait(c.interval, c.failures, 0)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestAfterAJob(t *testing.T) {
	t.Parallel()
	const hour = time.Hour
	type result struct {
		Failures int
		Wait     time.Duration
	}
	for _, c := range []struct {
		name     string
		outcome  schedule.Outcome
		failures int
		want     result
	}{
		{"success forgets the failures", schedule.Outcome{Success: true}, 4, result{0, hour}},
		{"a failure counts", schedule.Outcome{Kind: core.FailAuth}, 1, result{2, 4 * hour}},
		{"a job handed back is due at once", schedule.Outcome{Returned: true}, 1, result{1, 0}},
		{"an admin's stop is no failure", schedule.Outcome{Kind: core.FailKilled}, 1, result{1, hour}},
		{"the first loss is made good at once", schedule.Outcome{Kind: core.FailLost}, 0, result{1, 0}},
		{"what came a moment late is not spread", schedule.Outcome{Success: true, Late: 50 * time.Second}, 0, result{0, hour}},
		{"what came late waits up to as much longer", schedule.Outcome{Success: true, Late: 20 * time.Minute}, 0, result{0, hour + 10*time.Minute}},
		{"but no more than an interval", schedule.Outcome{Success: true, Late: 700 * hour}, 0, result{0, hour + hour/2}},
		{"the same when it failed", schedule.Outcome{Kind: core.FailAuth, Late: 700 * hour}, 0, result{1, 2*hour + hour/2}},
		{"the next loss backs off", schedule.Outcome{Kind: core.FailLost}, 1, result{2, 4 * hour}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.outcome.End = start
			failures, due := schedule.Rules{}.After(c.outcome, hour, c.failures, 0.5)
			if diff := cmp.Diff(c.want, result{failures, due.Sub(start)}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTheWaitGrowsWithFailuresAndStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := schedule.Rules{
			Cap:    time.Duration(rapid.Int64Range(0, int64(1000*time.Hour)).Draw(t, "cap")),
			Jitter: rapid.Float64Range(0, 0.5).Draw(t, "jitter"),
		}
		interval := time.Duration(rapid.Int64Range(0, int64(10000*time.Hour)).Draw(t, "interval"))
		failures := rapid.IntRange(0, 200).Draw(t, "failures")
		roll := rapid.Float64Range(0, 0.999).Draw(t, "roll")
		wait, next := r.Wait(interval, failures, 0), r.Wait(interval, failures+1, 0)
		limit := r.Cap
		if limit == 0 {
			limit = schedule.DefaultBackoffCap
		}
		if wait < interval {
			t.Fatalf("waits %s, less than its interval %s", wait, interval)
		}
		if wait > max(interval, limit) {
			t.Fatalf("waits %s, longer than interval %s and cap %s", wait, interval, limit)
		}
		if next < wait {
			t.Fatalf("waits %s after %d failures and %s after one more", wait, failures, next)
		}
		jittered := r.Wait(interval, failures, roll)
		if jittered < wait || float64(jittered) > float64(wait)*(1+r.Jitter)+1 {
			t.Fatalf("jitter %f makes %s out of %s", r.Jitter, jittered, wait)
		}
	})
}

func TestChoose(t *testing.T) {
	t.Parallel()
	lorry := func(path, host string, late time.Duration) core.LorryState {
		return core.LorryState{Lorry: core.Lorry{Path: path, UpstreamHost: host}, Due: start.Add(-late)}
	}
	top := lorry("top", "h", 0)
	top.Position = -1
	five := 5
	for _, c := range []struct {
		name string
		due  []core.LorryState
		wish schedule.Wish
		lim  schedule.Limits
		load schedule.Load
		want []string
	}{
		{
			name: "takes them in order", due: []core.LorryState{lorry("a", "", 2), lorry("b", "", 1), lorry("c", "", 0)},
			wish: schedule.Wish{Max: 2}, want: []string{"a", "b"},
		},
		{
			name: "prefers what the minion holds", due: []core.LorryState{lorry("a", "", 2), lorry("b", "", 1)},
			wish: schedule.Wish{Max: 1, Holds: map[string]bool{"b": true}}, want: []string{"b"},
		},
		{
			name: "but not before one that has waited for long", due: []core.LorryState{lorry("a", "", time.Hour), lorry("b", "", 1)},
			wish: schedule.Wish{Max: 1, Holds: map[string]bool{"b": true}}, want: []string{"a"},
		},
		{
			name: "nor before one at the top", due: []core.LorryState{top, lorry("b", "", 1)},
			wish: schedule.Wish{Max: 1, Holds: map[string]bool{"b": true}}, want: []string{"top"},
		},
		{
			name: "keeps max-jobs", due: []core.LorryState{lorry("a", "", 2), lorry("b", "", 1)},
			wish: schedule.Wish{Max: 2}, lim: schedule.Limits{MaxJobs: &five}, load: schedule.Load{Jobs: 4}, want: []string{"a"},
		},
		{
			name: "keeps max-jobs-per-host", due: []core.LorryState{lorry("a", "h", 3), lorry("b", "h", 2), lorry("c", "i", 1), lorry("d", "", 1), lorry("e", "", 1)},
			wish: schedule.Wish{Max: 9}, lim: schedule.Limits{PerHost: 1}, want: []string{"a", "c", "d", "e"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, i := range schedule.Choose(c.due, make([]bool, len(c.due)), c.wish, c.lim, &c.load, start, time.Minute) {
				got = append(got, c.due[i].Path)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestExplain(t *testing.T) {
	t.Parallel()
	one := 1
	due := core.LorryState{Lorry: core.Lorry{Path: "a", UpstreamHost: "h.example.org"}, Due: start}
	with := func(change func(*core.LorryState)) core.LorryState {
		l := due
		change(&l)
		return l
	}
	open := schedule.Surroundings{Now: start, QueueRunning: true}
	for _, c := range []struct {
		name  string
		lorry core.LorryState
		in    schedule.Surroundings
		want  schedule.Verdict
	}{
		{"running", with(func(l *core.LorryState) { l.RunningJob = 7 }), open, schedule.Verdict{Reason: "running", Detail: "job 7 is running"}},
		{
			"running and gone from CONFGIT", with(func(l *core.LorryState) { l.RunningJob, l.Removed = 7, true }), open,
			schedule.Verdict{Reason: "running", Detail: "job 7 is running; the Lorry is no longer in CONFGIT and goes when the job ends"},
		},
		{"held", with(func(l *core.LorryState) { l.HeldReason = "moving house" }), open, schedule.Verdict{Reason: "held", Detail: "an admin holds this Lorry: moving house"}},
		{"queue stopped", due, schedule.Surroundings{Now: start}, schedule.Verdict{Reason: "queue stopped", Detail: "the run queue is stopped"}},
		{
			"host held", due,
			schedule.Surroundings{Now: start, QueueRunning: true, Host: schedule.Hold{Until: start.Add(time.Hour), Reason: "too busy"}},
			schedule.Verdict{Reason: "host held", Detail: `the upstream host "h.example.org" is held: too busy`, Until: start.Add(time.Hour)},
		},
		{
			"not due", with(func(l *core.LorryState) { l.Due = start.Add(time.Hour) }), open,
			schedule.Verdict{Reason: "not due", Detail: "due at 2030-01-01T13:00:00Z", Until: start.Add(time.Hour)},
		},
		{
			"backing off", with(func(l *core.LorryState) { l.Due, l.Failures = start.Add(time.Hour), 3 }), open,
			schedule.Verdict{Reason: "backing off", Detail: "backing off after 3 failed jobs", Until: start.Add(time.Hour)},
		},
		{
			"max-jobs", due,
			schedule.Surroundings{Now: start, QueueRunning: true, Limits: schedule.Limits{MaxJobs: &one}, Load: schedule.Load{Jobs: 1}},
			schedule.Verdict{Reason: "max-jobs", Detail: "max-jobs is 1 and 1 jobs are running"},
		},
		{
			"host limit", due,
			schedule.Surroundings{
				Now: start, QueueRunning: true, Limits: schedule.Limits{PerHost: 2},
				Load: schedule.Load{Jobs: 2, ByHost: map[string]int{"h.example.org": 2}},
			},
			schedule.Verdict{Reason: "host limit", Detail: `max-jobs-per-host is 2 and 2 jobs to "h.example.org" are running`},
		},
		{
			"max-jobs of none before its time", with(func(l *core.LorryState) { l.Due = start.Add(time.Hour) }),
			schedule.Surroundings{Now: start, QueueRunning: true, Limits: schedule.Limits{MaxJobs: new(int)}},
			schedule.Verdict{Reason: "not due", Detail: "due at 2030-01-01T13:00:00Z; besides, max-jobs is 0 and 0 jobs are running"},
		},
		{
			"everything at once", with(func(l *core.LorryState) {
				l.HeldReason, l.Due, l.Failures = "moving house", start.Add(time.Hour), 1
			}),
			schedule.Surroundings{
				Now: start, All: schedule.Hold{Until: start.Add(time.Minute), Reason: "a rest"},
				Host: schedule.Hold{Until: start.Add(time.Hour), Reason: "too busy"}, Limits: schedule.Limits{MaxJobs: &one}, Load: schedule.Load{Jobs: 1},
			},
			schedule.Verdict{Reason: "held", Detail: "an admin holds this Lorry: moving house; besides, the run queue is stopped, and all Lorries are held: a rest, " +
				`and the upstream host "h.example.org" is held: too busy, and backing off after 1 failed job`},
		},
		{
			"several that end by themselves", with(func(l *core.LorryState) { l.Due = start.Add(time.Hour) }),
			schedule.Surroundings{Now: start, QueueRunning: true, Host: schedule.Hold{Until: start.Add(2 * time.Hour), Reason: "too busy"}},
			schedule.Verdict{
				Reason: "host held", Detail: `the upstream host "h.example.org" is held: too busy; besides, due at 2030-01-01T13:00:00Z`, Until: start.Add(2 * time.Hour),
			},
		},
		{
			"held without an end", due,
			schedule.Surroundings{Now: start, QueueRunning: true, All: schedule.Hold{Until: start.Add(time.Hour), Reason: "a move", Endless: true}},
			schedule.Verdict{Reason: "host held", Detail: "all Lorries are held: a move"},
		},
		{
			"being stopped", with(func(l *core.LorryState) { l.RunningJob = 7 }),
			schedule.Surroundings{Now: start, Job: core.Job{Kill: true, Updated: start}},
			schedule.Verdict{Reason: "running", Detail: "job 7 is running, and to be stopped: its minion learns that with its next report"},
		},
		{
			"held while it runs", with(func(l *core.LorryState) { l.RunningJob, l.HeldReason = 7, "moving house" }), open,
			schedule.Verdict{Reason: "running", Detail: "job 7 is running; no other one follows, since an admin holds this Lorry: moving house"},
		},
		{
			"silent", with(func(l *core.LorryState) { l.RunningJob = 7 }),
			schedule.Surroundings{Now: start, Job: core.Job{Minion: "m", Updated: start.Add(-time.Minute), Lease: start.Add(time.Minute)}},
			schedule.Verdict{Reason: "running", Detail: `job 7 is running; its minion "m" was last heard of 1 min 0 s ago, and the job is ended as lost in 1 min 0 s`},
		},
		{
			"lost", with(func(l *core.LorryState) { l.RunningJob = 7 }),
			schedule.Surroundings{Now: start, Job: core.Job{Minion: "m", Updated: start.Add(-time.Hour), Lease: start}},
			schedule.Verdict{Reason: "running", Detail: `job 7 is running; its minion "m" was last heard of 1 h 0 min ago, and the job is about to be ended as lost`},
		},
		{"due", due, open, schedule.Verdict{Reason: "due", Detail: "due; waits for a minion"}},
		{"due behind others", due, schedule.Surroundings{Now: start, QueueRunning: true, Ahead: 2}, schedule.Verdict{Reason: "due", Detail: "due; waits for a minion behind 2 others"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, schedule.Explain(c.lorry, c.in)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
