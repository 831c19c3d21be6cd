package statedbtest

import (
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// queueTests gives the rules of the run queue, one sentence each.
func queueTests() []test {
	return []test{
		{"a new Lorry is due at once, and again an interval after the end of its job", newLorryIsDue},
		{"a failing Lorry backs off and a success resets it", failingBacksOff},
		{"a report with an old fence changes nothing", oldFence},
		{"a minion that knows no fences works by job id", noFence},
		{"an expired lease is buried and the late minion changes nothing", ghosts},
		{"a stop reaches the minion with its next update", stopJob},
		{"a job that outlives its lorry-timeout is told to stop and fails as timeout", timeouts},
		{"a job that was handed back counts no failure", returned},
		{"the first and the last place are real and the first is used up by a job", positions},
		{"max-jobs, the switch and max-jobs-per-host hold", limits},
		{"a held Lorry and a held host are passed over", holds},
		{"output is appended up to a cap that says so", outputCap},
		{"a failed job forgets the digest and a success records it", digests},
		{"an ended job can be removed and a running one not", removeJob},
		{"a Lorry that went from CONFGIT while it ran goes with the end of its job", removedWhileRunning},
		{"jobs are listed in both orders and filtered", jobList},
		{"old jobs go by age, by number and sooner when nothing was changed", oldJobs},
		{"leases are extended when a core starts", rebase},
		{"a minion is first offered what it holds", affinity},
		{"waiting ends with what makes a Lorry claimable", waitDue},
		{"a host that is asked too often is left alone", rateLimit},
		{"a host is left alone for as long as it asks to be, within a day", retryAfter},
		{"held rewrites are rows that are approved or lapse", rewrites},
		{"several reports on one job in one request follow each other", severalReports},
		{"the latest progress of a running job is kept", keptProgress},
		{"odd text from a minion is stored", oddText},
	}
}

func newLorryIsDue(w *World) {
	w.put("b", "a")
	same(w, "order", []string{"a", "b"}, w.list())
	c := w.claimOne("a")
	same(w, "job", core.Job{
		ID: 1, Path: "a", Fence: 1, Minion: "m", PID: 42,
		Started: Start, Updated: Start, Lease: Start.Add(2 * time.Minute),
	}, w.job(c.Job.ID))
	same(w, "running", core.JobID(1), w.lorry("a").RunningJob)
	same(w, "why", "running", w.explain("a"))
	w.Clock.Advance(time.Minute)
	w.finish(c, "0")
	l := w.lorry("a")
	end := Start.Add(time.Minute)
	same(w, "due", end.Add(Hour), l.Due)
	same(w, "last run", []time.Time{end, end, {}}, []time.Time{l.LastRun, l.LastSuccess, l.LastEqual})
	same(w, "order", []string{"b", "a"}, w.list())
	same(w, "why", "not due", w.explain("a"))
	w.finish(w.claimOne("b"), "0")
	same(w, "nothing is due", 0, len(w.claim(5)))
	w.Clock.Advance(Hour)
	same(w, "due again", []string{"a", "b"}, paths(w.claim(5)))
	same(w, "the fence grows", core.Fence(2), w.job(3).Fence)
}

func failingBacksOff(w *World) {
	w.put("a")
	for i, wait := range []time.Duration{2, 4, 8, 16, 24, 24} {
		w.finish(w.claimOne("a"), "1")
		l := w.lorry("a")
		same(w, "failures", i+1, l.Failures)
		same(w, "wait", wait*Hour, l.Due.Sub(w.Clock.Now()))
		same(w, "why", "backing off", w.explain("a"))
		w.Clock.Advance(wait * Hour)
	}
	l := w.lorry("a")
	same(w, "failure", core.Failure{Kind: core.FailOther, Cause: "lorry ended with exit code 1"}, l.LastFailure)
	same(w, "last exit", "1", l.LastExit)
	same(w, "never succeeded", true, l.LastSuccess.IsZero())
	w.finish(w.claimOne("a"), "0")
	same(w, "failures", 0, w.lorry("a").Failures)
	same(w, "wait", Hour, w.lorry("a").Due.Sub(w.Clock.Now()))
	w.Clock.Advance(Hour)
	w.finish(w.claimOne("a"), "1")
	w.ok(w.Queue.Retry(w.Ctx, "a"))
	same(w, "failures", 0, w.lorry("a").Failures)
	w.claimOne("a")
}

func oldFence(w *World) {
	w.put("a")
	c := w.claimOne("a")
	before := w.lorry("a")
	for _, p := range []queue.UpdateParams{
		{Job: c.Job.ID, Fence: c.Job.Fence + 1, Done: true, Exit: "0"},
		{Job: c.Job.ID + 1, Fence: c.Job.Fence, Done: true, Exit: "0"},
		{Job: c.Job.ID, Fence: 99, Output: "late"},
	} {
		same(w, "result", queue.UpdateResult{Stale: true}, w.update(p))
	}
	same(w, "Lorry", before, w.lorry("a"))
	same(w, "output", "", w.output(c.Job.ID))
	w.finish(c, "0")
	same(w, "a second end", queue.UpdateResult{Stale: true},
		w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "1"}))
	same(w, "exit", "0", w.job(c.Job.ID).Exit)
}

func noFence(w *World) {
	w.put("a")
	c := w.claimOne("a")
	same(w, "update", queue.UpdateResult{}, w.update(queue.UpdateParams{Job: c.Job.ID, Output: "hello\n"}))
	same(w, "end", queue.UpdateResult{}, w.update(queue.UpdateParams{Job: c.Job.ID, Done: true, Exit: "3", Output: "bye\n"}))
	same(w, "output", "hello\nbye\n", w.output(c.Job.ID))
	same(w, "end again", queue.UpdateResult{Stale: true}, w.update(queue.UpdateParams{Job: c.Job.ID, Done: true, Exit: "0"}))
}

func ghosts(w *World) {
	w.put("a", "b")
	late, alive := w.claimOne("a"), w.claimOne("b")
	w.Clock.Advance(119 * time.Second)
	w.update(queue.UpdateParams{Job: alive.Job.ID, Fence: alive.Job.Fence})
	none, err := w.Queue.BuryGhosts(w.Ctx)
	w.ok(err)
	same(w, "too early", 0, len(none))
	w.Clock.Advance(time.Second)
	buried, err := w.Queue.BuryGhosts(w.Ctx)
	w.ok(err)
	if len(buried) != 1 || buried[0].ID != late.Job.ID {
		w.Fatalf("want job %d buried, got %v", late.Job.ID, buried)
	}
	j := w.job(late.Job.ID)
	same(w, "job", []string{"lost", "lost"}, []string{j.Exit, string(j.Failure.Kind)})
	if !strings.Contains(w.output(j.ID), `the minion "m" was silent for 2 min 0 s`) {
		w.Errorf("the output does not tell of the loss: %q", w.output(j.ID))
	}
	// Made good at once, by another minion.
	again := w.claimOne("a")
	before := w.lorry("a")
	same(w, "late report", queue.UpdateResult{Stale: true},
		w.update(queue.UpdateParams{Job: late.Job.ID, Fence: late.Job.Fence, Done: true, Exit: "0", Digest: "stale"}))
	same(w, "Lorry", before, w.lorry("a"))
	w.finish(again, "0")
	w.finish(alive, "0")
}

func stopJob(w *World) {
	w.put("a")
	c := w.claimOne("a")
	same(w, "before", queue.UpdateResult{}, w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence}))
	w.ok(w.Queue.StopJob(w.Ctx, c.Job.ID))
	same(w, "flag", true, w.job(c.Job.ID).Kill)
	same(w, "after", queue.UpdateResult{Kill: true}, w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence}))
	w.finish(c, "-15")
	j := w.job(c.Job.ID)
	same(w, "failure", core.Failure{Kind: core.FailKilled, Cause: "an admin stopped it"}, j.Failure)
	same(w, "exit", "-15", j.Exit)
	same(w, "no failure of the Lorry", 0, w.lorry("a").Failures)
	w.kind(core.KindConflict, w.Queue.StopJob(w.Ctx, c.Job.ID))
	w.kind(core.KindNotFound, w.Queue.StopJob(w.Ctx, 99))
}

func timeouts(w *World) {
	w.put("a", "b")
	a, b := w.claimOne("a"), w.claimOne("b")
	w.Clock.Advance(2*Hour - time.Second)
	same(w, "in time", queue.UpdateResult{}, w.update(queue.UpdateParams{Job: a.Job.ID, Fence: a.Job.Fence}))
	w.Clock.Advance(time.Second)
	same(w, "too long", queue.UpdateResult{Kill: true}, w.update(queue.UpdateParams{Job: a.Job.ID, Fence: a.Job.Fence}))
	w.finish(a, "-9")
	same(w, "kind", core.FailTimeout, w.job(a.Job.ID).Failure.Kind)
	// Without a word in between.
	w.finish(b, "-9")
	same(w, "kind", core.FailTimeout, w.lorry("b").LastFailure.Kind)
}

func returned(w *World) {
	w.put("a", "b")
	a, b := w.claimOne("a"), w.claimOne("b")
	w.Clock.Advance(time.Minute)
	same(w, "result", queue.UpdateResult{}, w.update(queue.UpdateParams{Job: a.Job.ID, Fence: a.Job.Fence, Done: true, Returned: true}))
	jobs, err := w.Queue.ReturnJobs(w.Ctx, "m")
	w.ok(err)
	if len(jobs) != 1 || jobs[0].ID != b.Job.ID {
		w.Fatalf("want job %d handed back, got %v", b.Job.ID, jobs)
	}
	for _, p := range []string{"a", "b"} {
		l := w.lorry(p)
		same(w, "no failure, no run, due as before", []any{0, "", true, Start}, []any{l.Failures, l.LastExit, l.LastRun.IsZero(), l.Due})
	}
	same(w, "exit", "returned", w.job(b.Job.ID).Exit)
	same(w, "late", queue.UpdateResult{Stale: true}, w.update(queue.UpdateParams{Job: b.Job.ID, Fence: b.Job.Fence, Done: true, Exit: "0"}))
	same(w, "claimed again", []string{"a", "b"}, paths(w.claim(2)))
}

func positions(w *World) {
	w.put("a", "b", "c", "d")
	w.ok(w.Queue.MoveToTop(w.Ctx, "c"))
	w.ok(w.Queue.MoveToTop(w.Ctx, "d"))
	w.ok(w.Queue.MoveToBottom(w.Ctx, "a"))
	same(w, "order", []string{"d", "c", "b", "a"}, w.list())
	if p := w.lorry("d").Position; p >= 0 {
		w.Errorf("position of the first is %d", p)
	}
	d := w.claimOne("d")
	same(w, "position", int64(0), w.lorry("d").Position)
	w.finish(d, "0")
	same(w, "order", []string{"c", "b", "a", "d"}, w.list())
	// One that is not due becomes so, and comes before a running one in the list.
	w.claimOne("c")
	w.ok(w.Queue.MoveToTop(w.Ctx, "d"))
	same(w, "first", "d", w.list()[0])
	same(w, "why", "due", w.explain("d"))
	w.claimOne("d")
	w.kind(core.KindNotFound, w.Queue.MoveToTop(w.Ctx, "none"))
	w.kind(core.KindNotFound, w.Queue.MoveToBottom(w.Ctx, "none"))
}

func limits(w *World) {
	w.put("a", "b", "c", "d")
	w.ok(w.Queue.SetRunning(w.Ctx, false))
	same(w, "stopped", 0, len(w.claim(9)))
	same(w, "why", "queue stopped", w.explain("a"))
	w.ok(w.Queue.SetRunning(w.Ctx, true))
	two := 2
	w.ok(w.Queue.SetMaxJobs(w.Ctx, &two))
	status, err := w.Queue.Status(w.Ctx)
	w.ok(err)
	same(w, "status", queue.Status{Running: true, MaxJobs: &two, Counts: queue.Counts{Lorries: 4, Due: 4}}, status)
	got := w.claim(9)
	same(w, "claimed", []string{"a", "b"}, paths(got))
	same(w, "none", 0, len(w.claim(1)))
	same(w, "why", "max-jobs", w.explain("c"))
	w.finish(got[0], "1")
	w.claimOne("c")
	w.ok(w.Queue.SetMaxJobs(w.Ctx, nil))
	w.claimOne("d")
	minus := -1
	w.kind(core.KindInvalid, w.Queue.SetMaxJobs(w.Ctx, &minus))
	status, err = w.Queue.Status(w.Ctx)
	w.ok(err)
	same(w, "status", queue.Status{Running: true, Counts: queue.Counts{Lorries: 4, Running: 3, Failing: 1}}, status)
	perHostLimit(w)
}

func perHostLimit(w *World) {
	q := queue.New(queue.Options{Store: w.DB, Clock: w.Clock.Now, MaxJobsPerHost: 1})
	var more []core.Lorry
	for i, p := range []string{"p", "q", "r", "s"} {
		l := NewLorry(p)
		l.UpstreamHost = []string{"x.example.org", "x.example.org", "y.example.org", ""}[i]
		more = append(more, l)
	}
	w.ok(w.DB.PutLorries(w.Ctx, more))
	some, err := q.Claim(w.Ctx, queue.ClaimParams{Minion: "m", Max: 9})
	w.ok(err)
	same(w, "one of each host", []string{"p", "r", "s"}, paths(some))
	why, err := q.Explain(w.Ctx, "q")
	w.ok(err)
	same(w, "why", "host limit", why.Reason)
}

func holds(w *World) {
	w.put("a", "b")
	other := NewLorry("c")
	other.UpstreamHost = "other.example.org"
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{other}))
	w.ok(w.Queue.HoldLorry(w.Ctx, "a", "it moves"))
	same(w, "why", "held", w.explain("a"))
	same(w, "reason", "it moves", w.lorry("a").HeldReason)
	w.ok(w.Queue.HoldHost(w.Ctx, "up.example.org", w.Clock.Now().Add(Hour), "maintenance"))
	same(w, "why", "host held", w.explain("b"))
	w.claimOne("c")
	same(w, "all held", 0, len(w.claim(9)))
	w.ok(w.Queue.ResumeLorry(w.Ctx, "a"))
	w.Clock.Advance(Hour)
	same(w, "the hold has ended", []string{"a", "b"}, paths(w.claim(9)))
	w.kind(core.KindNotFound, w.Queue.HoldLorry(w.Ctx, "none", "x"))
	w.kind(core.KindInvalid, w.Queue.HoldLorry(w.Ctx, "a", " "))
	w.ok(w.Queue.HoldHost(w.Ctx, "h.example.org", time.Time{}, "for good"))
	held, err := w.Queue.HostHolds(w.Ctx)
	w.ok(err)
	same(w, "holds", 1, len(held))
	w.ok(w.Queue.ResumeHost(w.Ctx, "h.example.org"))
}

func outputCap(w *World) {
	q := queue.New(queue.Options{Store: w.DB, Clock: w.Clock.Now, OutputCap: 10})
	w.put("a")
	c := w.claimOne("a")
	for _, p := range []queue.UpdateParams{
		{Output: "12345"}, {Output: "678901234"}, {Output: "more"}, {Output: "the error\n", Done: true, Exit: "1"},
	} {
		p.Job, p.Fence = c.Job.ID, c.Job.Fence
		_, err := q.Update(w.Ctx, []queue.UpdateParams{p})
		w.ok(err)
	}
	const note = "\n[output cut here: of each job the first 10 bytes are kept]\n"
	same(w, "output", "1234567890"+note+"the error\n", w.output(c.Job.ID))
	same(w, "size", int64(5+9+4+10), w.job(c.Job.ID).OutputSize)
	for _, r := range []struct {
		offset, limit int64
		want          string
	}{{3, 4, "4567"}, {0, 2, "12"}, {5, 3, "678"}, {10 + int64(len(note)), 0, "the error\n"}, {1000, 5, ""}} {
		got, err := w.Queue.Output(w.Ctx, c.Job.ID, r.offset, r.limit)
		w.ok(err)
		same(w, "part of the output", r.want, got)
	}
	_, err := w.Queue.Output(w.Ctx, 99, 0, 0)
	w.kind(core.KindNotFound, err)
}
