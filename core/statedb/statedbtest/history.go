package statedbtest

import (
	"context"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

func digests(w *World) {
	w.put("a")
	run := func(p queue.UpdateParams) core.LorryState {
		w.Helper()
		c := w.claimOne("a")
		p.Job, p.Fence, p.Done = c.Job.ID, c.Job.Fence, true
		w.update(p)
		w.Clock.Advance(24 * Hour)
		return w.lorry("a")
	}
	l := run(queue.UpdateParams{Exit: "0", Digest: "d1", DiskUsage: 77})
	same(w, "recorded", []any{"d1", Start, int64(77)}, []any{l.Digest, l.LastEqual, l.DiskUsage})
	at := w.Clock.Now()
	l = run(queue.UpdateParams{Exit: "0", Unchanged: true})
	same(w, "unchanged", []any{"d1", at, int64(77)}, []any{l.Digest, l.LastEqual, l.DiskUsage})
	same(w, "job", true, w.job(2).Unchanged)
	l = run(queue.UpdateParams{Exit: "1", Digest: "d2", Failure: core.Failure{Kind: core.FailRefused, Cause: "no", Hint: "ask"}})
	same(w, "failed", []any{"", at, core.Failure{Kind: core.FailRefused, Cause: "no", Hint: "ask"}}, []any{l.Digest, l.LastEqual, l.LastFailure})
	run(queue.UpdateParams{Exit: "0", Digest: "d3"})
	changed := NewLorry("a")
	changed.Text = `{"a": {}}`
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{changed}))
	same(w, "a new text forgets it", "", w.lorry("a").Digest)
	// An admin who wants it run now may have put the Downstream Host's backup back.
	for what, ask := range map[string]func(context.Context, string) error{"the top": w.Queue.MoveToTop, "a retry": w.Queue.Retry} {
		run(queue.UpdateParams{Exit: "0", Digest: "d4"})
		w.ok(ask(w.Ctx, "a"))
		same(w, what+" forgets it", "", w.lorry("a").Digest)
	}
	run(queue.UpdateParams{Exit: "0", Digest: "d5"})
	w.ok(w.Queue.MoveToBottom(w.Ctx, "a"))
	same(w, "the bottom does not", "d5", w.lorry("a").Digest)
}

func removeJob(w *World) {
	w.put("a")
	c := w.claimOne("a")
	w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Output: "x"})
	w.kind(core.KindConflict, w.Queue.RemoveJob(w.Ctx, c.Job.ID))
	w.finish(c, "0")
	w.ok(w.Queue.RemoveJob(w.Ctx, c.Job.ID))
	w.kind(core.KindNotFound, w.Queue.RemoveJob(w.Ctx, c.Job.ID))
	_, err := w.Queue.Job(w.Ctx, c.Job.ID)
	w.kind(core.KindNotFound, err)
	w.ok(w.Queue.MoveToTop(w.Ctx, "a"))
	same(w, "numbers are never used twice", core.JobID(2), w.claimOne("a").Job.ID)
}

func removedWhileRunning(w *World) {
	w.put("a", "b", "c")
	c := w.claimOne("a")
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"a", "b", "none"}))
	same(w, "removed", true, w.lorry("a").Removed)
	same(w, "order", []string{"a", "c"}, w.list())
	left, err := w.DB.SectionLorries(w.Ctx, "lorries:up", "", 10)
	w.ok(err)
	same(w, "section", []core.Lorry{NewLorry("c")}, left)
	w.finish(c, "0")
	_, err = w.Queue.Lorry(w.Ctx, "a")
	w.kind(core.KindNotFound, err)
	same(w, "its job stays", "0", w.job(c.Job.ID).Exit)
	// One that comes back in time stays.
	c = w.claimOne("c")
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"c"}))
	w.put("c")
	w.finish(c, "0")
	same(w, "stays", false, w.lorry("c").Removed)
}

func jobList(w *World) {
	w.put("a", "b", "c")
	cs := w.claim(3)
	w.finish(cs[0], "0")
	w.finish(cs[1], "1")
	ids := func(f queue.JobFilter) []core.JobID {
		w.Helper()
		jobs, err := w.Queue.Jobs(w.Ctx, f)
		w.ok(err)
		var ids []core.JobID
		for _, j := range jobs {
			ids = append(ids, j.ID)
		}
		if f.Limit > 0 {
			return ids
		}
		// One after the other they are the same.
		var alone []core.JobID
		for more := []core.JobID{0}; len(more) > 0; alone = append(alone, more...) {
			more, err = w.Queue.JobIDs(w.Ctx, f, more[0], 1)
			w.ok(err)
		}
		same(w, "ids alone", ids, alone)
		return ids
	}
	same(w, "all", []core.JobID{1, 2, 3}, ids(queue.JobFilter{}))
	same(w, "newest", []core.JobID{3, 2}, ids(queue.JobFilter{Limit: 2}))
	same(w, "page", []core.JobID{1}, ids(queue.JobFilter{Limit: 2, Before: 2}))
	same(w, "running", []core.JobID{3}, ids(queue.JobFilter{Running: true}))
	same(w, "failed", []core.JobID{2}, ids(queue.JobFilter{Failed: true}))
	same(w, "of one", []core.JobID{1}, ids(queue.JobFilter{Path: "a", Limit: 5}))
	same(w, "before", []core.JobID{1, 2}, ids(queue.JobFilter{Before: 3}))
	same(w, "of one, all", []core.JobID{3}, ids(queue.JobFilter{Path: "c"}))
	same(w, "failed and running", []core.JobID(nil), ids(queue.JobFilter{Failed: true, Running: true}))
	same(w, "of none", []core.JobID(nil), ids(queue.JobFilter{Path: "a\x00\xff"}))
}

func oldJobs(w *World) {
	w.put("a", "b")
	run := func(path string, unchanged bool) {
		w.ok(w.Queue.MoveToTop(w.Ctx, path))
		c := w.claimOne(path)
		w.update(queue.UpdateParams{Job: c.Job.ID, Done: true, Exit: "0", Unchanged: unchanged, Output: "x"})
	}
	run("a", false) // 1: too old
	w.Clock.Advance(10 * Hour)
	run("b", true) // 2: changed nothing, too old for that
	w.Clock.Advance(10 * Hour)
	run("a", true) // 3
	run("a", true) // 4: the oldest of three too many
	run("b", false)
	run("a", false)
	c := w.claim(1)
	n, err := w.Queue.RemoveOldJobs(w.Ctx, queue.Retention{Age: 15 * Hour, UnchangedAge: 5 * Hour, PerLorry: 2})
	w.ok(err)
	same(w, "removed", 3, n)
	left, err := w.Queue.Jobs(w.Ctx, queue.JobFilter{})
	w.ok(err)
	var ids []core.JobID
	for _, j := range left {
		ids = append(ids, j.ID)
	}
	same(w, "left", []core.JobID{4, 5, 6}, ids)
	same(w, "nothing runs", 0, len(c))
	n, err = w.Queue.RemoveOldJobs(w.Ctx, queue.Retention{})
	w.ok(err)
	same(w, "no bound removes nothing", 0, n)
}

func rebase(w *World) {
	w.put("a")
	c := w.claimOne("a")
	w.Clock.Advance(Hour)
	w.ok(w.Queue.Rebase(w.Ctx))
	buried, err := w.Queue.BuryGhosts(w.Ctx)
	w.ok(err)
	same(w, "buried", 0, len(buried))
	same(w, "lease", w.Clock.Now().Add(w.Queue.Lease()), w.job(c.Job.ID).Lease)
	w.finish(c, "0")
}

func affinity(w *World) {
	w.put("a", "b", "c")
	got, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m", Holds: []string{"c", "z"}})
	w.ok(err)
	same(w, "held by it", []string{"c"}, paths(got))
	w.Clock.Advance(queue.DefaultAffinityGrace + time.Second)
	got, err = w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m", Holds: []string{"b"}})
	w.ok(err)
	same(w, "who has waited long enough", []string{"a"}, paths(got))
}

func waitDue(w *World) {
	w.put("a")
	c := w.claimOne("a")
	same(w, "nothing", 0, len(w.claim(1)))
	// Each of these must end the wait; the test's own deadline is the only one.
	for _, wake := range []func(){
		func() { w.Queue.Wake() },
		func() { w.ok(w.Queue.ResumeLorry(w.Ctx, "a")) },
		func() { w.ok(w.Queue.SetRunning(w.Ctx, true)) },
	} {
		same(w, "nothing", 0, len(w.claim(1)))
		done := make(chan struct{})
		go func() {
			defer close(done)
			w.Queue.WaitDue(w.Ctx)
		}()
		wake()
		<-done
	}
	w.finish(c, "0")
	same(w, "nothing", 0, len(w.claim(1)))
	ctx, cancel := context.WithCancel(w.Ctx)
	cancel()
	w.Queue.WaitDue(ctx)
	w.Clock.Advance(Hour)
	w.Queue.WaitDue(w.Ctx)
	w.claimOne("a")
}

func rateLimit(w *World) {
	w.put("a", "b", "c")
	refused := func(c queue.Claimed) {
		w.Helper()
		w.update(queue.UpdateParams{Job: c.Job.ID, Done: true, Exit: "1", Failure: core.Failure{Kind: core.FailRateLimited, Cause: "429"}})
	}
	refused(w.claimOne("a"))
	same(w, "why", "host held", w.explain("b"))
	same(w, "nothing", 0, len(w.claim(1)))
	w.Clock.Advance(queue.DefaultRateLimitHold)
	// A longer hold that was set while a job ran is not cut short by its end.
	l, err := w.Queue.Lorry(w.Ctx, "b")
	w.ok(err)
	b := w.claimOne("b")
	w.ok(w.Queue.HoldHost(w.Ctx, l.UpstreamHost, w.Clock.Now().Add(2*queue.DefaultRateLimitHold), "as the host asks"))
	refused(b)
	w.Clock.Advance(queue.DefaultRateLimitHold)
	same(w, "why", "host held", w.explain("c"))
	w.Clock.Advance(queue.DefaultRateLimitHold)
	w.claimOne("c")
}

func retryAfter(w *World) {
	other := NewLorry("other")
	other.UpstreamHost = "other.example.org"
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{NewLorry("a"), NewLorry("b"), other}))
	refused := func(seconds int64) time.Duration {
		w.Helper()
		w.ok(w.Queue.ResumeHost(w.Ctx, "up.example.org"))
		w.ok(w.Queue.MoveToTop(w.Ctx, "a"))
		c := w.claimOne("a")
		w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "1", Failure: core.Failure{
			Kind: core.FailRateLimited, Cause: "HTTP 429", RetryAfter: seconds,
		}})
		held, err := w.Queue.HostHolds(w.Ctx)
		w.ok(err)
		return held["up.example.org"].Until.Sub(w.Clock.Now())
	}
	same(w, "as it asks", 40*time.Minute, refused(40*60))
	same(w, "none said", queue.DefaultRateLimitHold, refused(0))
	same(w, "less than none", queue.DefaultRateLimitHold, refused(-5))
	same(w, "much more than can be meant", queue.MaxRateLimitHold, refused(1<<62))
	same(w, "shorter than the usual", 30*time.Second, refused(30))
	// Another core, or this one after a restart, leaves it alone as well.
	w.Queue = queue.New(queue.Options{Store: w.DB, Clock: w.Clock.Now})
	why, err := w.Queue.Explain(w.Ctx, "b")
	w.ok(err)
	same(w, "why", queue.Why{
		Reason: "host held", Until: w.Clock.Now().Add(30 * time.Second),
		Detail: `the upstream host "up.example.org" is held: it said that it is asked too often, and to come back in 30 s`,
	}, why)
	w.claimOne("other")
	same(w, "nothing of it", 0, len(w.claim(9)))
	w.Clock.Advance(30 * time.Second)
	w.claimOne("b")
}

func rewrites(w *World) {
	w.put("a")
	var approved []queue.HeldRewrite
	run := func(refs ...core.RefResult) {
		w.Helper()
		w.ok(w.Queue.MoveToTop(w.Ctx, "a"))
		c := w.claimOne("a")
		approved = c.Approved
		w.update(queue.UpdateParams{Job: c.Job.ID, Done: true, Exit: "1", Refs: refs, Failure: core.Failure{Kind: core.FailDiverged}})
		w.Clock.Advance(time.Minute)
	}
	held := func(ref, tip string) core.RefResult {
		return core.RefResult{Ref: ref, Old: "1", New: tip, Status: core.RefHeld}
	}
	check := func(what string, want ...queue.HeldRewrite) {
		w.Helper()
		got, err := w.Queue.HeldRewrites(w.Ctx, "")
		w.ok(err)
		same(w, what, want, got)
	}
	run(held("refs/heads/a", "2"), held("refs/heads/b", "3"), core.RefResult{Ref: "refs/heads/c", Status: core.RefNew})
	a := queue.HeldRewrite{Path: "a", Ref: "refs/heads/a", Old: "1", New: "2", Since: Start}
	b := queue.HeldRewrite{Path: "a", Ref: "refs/heads/b", Old: "1", New: "3", Since: Start}
	check("two", a, b)
	w.kind(core.KindConflict, w.Queue.ApproveRewrite(w.Ctx, "a", "refs/heads/a", "0", "2"))
	w.kind(core.KindConflict, w.Queue.ApproveRewrite(w.Ctx, "a", "refs/heads/b", "", "4"))
	w.kind(core.KindConflict, w.Queue.ApproveRewrite(w.Ctx, "a", "refs/heads/b", "1", "4"))
	w.kind(core.KindNotFound, w.Queue.ApproveRewrite(w.Ctx, "a", "refs/heads/c", "1", "2"))
	w.kind(core.KindNotFound, w.Queue.ApproveRewrite(w.Ctx, "none", "refs/heads/a", "1", "2"))
	check("nothing is approved", a, b)
	w.ok(w.Queue.ApproveRewrite(w.Ctx, "a", "refs/heads/a", "1", "2"))
	a.Approved = true
	check("one approved", a, b)
	run(held("refs/heads/a", "2"), held("refs/heads/b", "4"))
	same(w, "the next job is told", []queue.HeldRewrite{a}, approved)
	check("the other has moved", a, queue.HeldRewrite{Path: "a", Ref: "refs/heads/b", Old: "1", New: "4", Since: Start.Add(time.Minute)})
	run(core.RefResult{Ref: "refs/heads/a", Old: "1", New: "2", Status: core.RefForced})
	check("none")
	run(held("refs/heads/a", "5"))
	w.ok(w.Queue.ApproveRewrite(w.Ctx, "a", "refs/heads/a", "", "5"))
	run() // it failed before it came to the refs
	w.ok(w.Queue.MoveToTop(w.Ctx, "a"))
	c := w.claimOne("a")
	same(w, "still approved", 1, len(c.Approved))
	w.update(queue.UpdateParams{Job: c.Job.ID, Done: true, Exit: "0", Digest: "d"})
	check("none, since somebody else has made it so")
}

func severalReports(w *World) {
	w.put("a", "b")
	cs := w.claim(2)
	a, b := cs[0].Job, cs[1].Job
	rs, err := w.Queue.Update(w.Ctx, []queue.UpdateParams{
		{Job: a.ID, Fence: a.Fence, Output: "1"},
		{Job: b.ID, Fence: b.Fence + 1, Done: true, Exit: "0"},
		{Job: a.ID, Fence: a.Fence, Output: "2", Done: true, Exit: "0"},
		{Job: a.ID, Fence: a.Fence, Output: "3"},
		{Job: 99, Fence: 1},
	})
	w.ok(err)
	same(w, "results", []queue.UpdateResult{{}, {Stale: true}, {}, {Stale: true}, {Stale: true}}, rs)
	same(w, "output", "12", w.output(a.ID))
	same(w, "b runs", "", w.job(b.ID).Exit)
}

func oddText(w *World) {
	w.put("a")
	got, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "m\x00\xff"})
	w.ok(err)
	c := got[0]
	w.update(queue.UpdateParams{
		Job: c.Job.ID, Done: true, Exit: "no number\x00", Output: "nul \x00, broken \xc3, \\u0000 and a \u00fcml\u00e4ut",
		Failure: core.Failure{Kind: "x\x00", Cause: strings.Repeat("\u00fc", 3000)}, Refs: []core.RefResult{{Ref: "r\x00", Status: "new"}},
	})
	same(w, "output", "nul \uFFFD, broken \uFFFD, \\u0000 and a \u00fcml\u00e4ut", w.output(c.Job.ID))
	j := w.job(c.Job.ID)
	same(w, "exit", "1", j.Exit)
	same(w, "minion", "m\uFFFD\uFFFD", j.Minion)
	same(w, "refs", []core.RefResult{{Ref: "r\uFFFD", Status: "new"}}, j.Refs)
	if len(j.Failure.Cause) > 2100 {
		w.Errorf("a cause of %d bytes was kept", len(j.Failure.Cause))
	}
}

// keptProgress holds that of a running job the latest progress is kept, for
// every core, and nothing once it has ended.
func keptProgress(w *World) {
	w.put("a")
	c := w.claimOne("a")
	report := func(p *core.Progress, output string) {
		w.Helper()
		same(w, "result", queue.UpdateResult{}, w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Progress: p, Output: output}))
	}
	var none *core.Progress
	same(w, "at first", none, w.job(c.Job.ID).Progress)
	report(&core.Progress{Path: "elsewhere", Phase: "Receiving objects", Done: 450, Total: 1000, Bytes: 1 << 20, Rate: 1 << 10, Refs: 7}, "")
	want := &core.Progress{Phase: "Receiving objects", Done: 450, Total: 1000, Bytes: 1 << 20, Rate: 1 << 10, Refs: 7}
	same(w, "told", want, w.job(c.Job.ID).Progress)
	report(nil, "more output")
	running, err := w.Queue.Jobs(w.Ctx, queue.JobFilter{Running: true})
	w.ok(err)
	same(w, "one job runs", 1, len(running))
	same(w, "as told before", want, running[0].Progress)
	report(&core.Progress{Phase: "x\x00\xff" + strings.Repeat("\u00fc", 100), Done: -1, Refs: -1, RefsDone: 3}, "")
	got := w.job(c.Job.ID).Progress
	if got == nil || len(got.Phase) > 110 || !strings.HasPrefix(got.Phase, "x\uFFFD\uFFFD\u00fc") || got.Done != 0 || got.Refs != 0 || got.RefsDone != 3 {
		w.Errorf("odd progress was kept as %+v", got)
	}
	w.finish(c, "0")
	same(w, "at the end", none, w.job(c.Job.ID).Progress)
}
