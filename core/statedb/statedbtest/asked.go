package statedbtest

import (
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

func askedTests() []test {
	return []test{
		{"what an admin asks for while a job runs comes once that has ended", askedWhileRunning},
		{"what an admin or CONFGIT changes while a job runs is looked at once that has ended", lookedAtAgain},
		{"a job that an admin stopped does not begin again when its minion hands it back or dies", stoppedStays},
		{"a job that was handed back or lost keeps its Lorry's place", placeKept},
		{"the top is before what is pushed later", topBeforePushes},
	}
}

func askedWhileRunning(w *World) {
	held := []core.RefResult{{Ref: "refs/heads/x", Old: "old", New: "new", Status: core.RefHeld}}
	asks := map[string]func(path string) error{
		"retried": func(path string) error { return w.Queue.Retry(w.Ctx, path) },
		"moved":   func(path string) error { return w.Queue.MoveToTop(w.Ctx, path) },
		"together": func(path string) error {
			_, err := w.Queue.RetryAll(w.Ctx, queue.LorryFilter{Paths: []string{path}})
			return err
		},
		"approved": func(path string) error {
			return w.Queue.ApproveRewrite(w.Ctx, path, "refs/heads/x", "old", "new")
		},
		"stopped": func(path string) error {
			if err := w.Queue.StopJob(w.Ctx, w.lorry(path).RunningJob); err != nil {
				return err
			}
			return w.Queue.Retry(w.Ctx, path)
		},
	}
	for path, ask := range asks {
		w.put(path)
		first := w.claimOne(path)
		w.update(queue.UpdateParams{Job: first.Job.ID, Fence: first.Job.Fence, Done: true, Exit: "1", Refs: held})
		w.Clock.Advance(24 * Hour)
		running := w.claimOne(path)
		w.Clock.Advance(time.Second)
		w.ok(ask(path))
		w.Clock.Advance(time.Second)
		exit := "0"
		if path == "stopped" {
			exit = "-15"
		}
		w.update(queue.UpdateParams{Job: running.Job.ID, Fence: running.Job.Fence, Done: true, Exit: exit, Refs: held})
		same(w, "why "+path, "due", w.explain(path))
		w.finish(w.claimOne(path), "0")
		same(w, "no third one of "+path, 0, len(w.claim(9)))
		w.ok(w.DB.RemoveLorries(w.Ctx, []string{path}))
	}
}

func placeKept(w *World) {
	w.put("asked", "first", "lost")
	w.Clock.Advance(time.Second)
	w.put("other")
	w.Clock.Advance(time.Second)
	w.ok(w.Queue.MoveToTop(w.Ctx, "asked"))
	w.Clock.Advance(time.Second)
	for _, c := range w.claim(3) {
		w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Returned: true})
	}
	same(w, "handed back", []string{"asked", "first", "lost", "other"}, w.list())
	w.claim(3)
	w.Clock.Advance(Hour)
	ghosts, err := w.Queue.BuryGhosts(w.Ctx)
	w.ok(err)
	same(w, "lost", 3, len(ghosts))
	same(w, "in their places", []string{"asked", "first", "lost", "other"}, paths(w.claim(9)))
}

func topBeforePushes(w *World) {
	w.pushable("a", "b", "c")
	w.ok(w.Queue.MoveToTop(w.Ctx, "c"))
	w.pushed(queue.Push{Repositories: []string{"up.example.org/b"}})
	same(w, "order", []string{"c", "b", "a"}, w.list())
	w.claimOne("c")
}

// lookedAtAgain ends jobs with a digest, which the next job must not get: it
// would find upstream as it was and look at nothing else.
func lookedAtAgain(w *World) {
	changed := NewLorry("changed")
	asks := map[string]func(path string) error{
		"retried": func(path string) error { return w.Queue.Retry(w.Ctx, path) },
		"moved":   func(path string) error { return w.Queue.MoveToTop(w.Ctx, path) },
		"changed": func(string) error {
			changed.Text += " "
			return w.DB.PutLorries(w.Ctx, []core.Lorry{changed})
		},
	}
	for path, ask := range asks {
		end := func(c queue.Claimed) {
			w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", Digest: "of " + path})
		}
		w.put(path)
		for _, had := range []string{"", "of " + path} {
			running := w.claimOne(path)
			same(w, path+" knows", had, running.Digest)
			w.Clock.Advance(time.Second)
			w.ok(ask(path))
			w.Clock.Advance(time.Second)
			end(running)
			same(w, "the digest of "+path, "", w.lorry(path).Digest)
			next := w.claimOne(path)
			same(w, "the next job of "+path, "", next.Digest)
			w.Clock.Advance(time.Second)
			end(next)
			same(w, "the digest in the end", "of "+path, w.lorry(path).Digest)
			same(w, "no third one of "+path, 0, len(w.claim(9)))
			w.Clock.Advance(2 * Hour)
		}
		w.ok(w.DB.RemoveLorries(w.Ctx, []string{path}))
	}
}

func stoppedStays(w *World) {
	bury := func(core.Job) {
		w.Clock.Advance(Hour)
		ghosts, err := w.Queue.BuryGhosts(w.Ctx)
		w.ok(err)
		same(w, "buried", 1, len(ghosts))
	}
	for how, c := range map[string]struct {
		end         func(core.Job)
		exit, cause string
	}{
		"handed back": {func(j core.Job) {
			w.update(queue.UpdateParams{Job: j.ID, Fence: j.Fence, Done: true, Returned: true})
		}, "returned", "an admin stopped it"},
		"handed back for it": {func(core.Job) {
			_, err := w.Queue.ReturnJobs(w.Ctx, "m")
			w.ok(err)
		}, "returned", "an admin stopped it"},
		"lost": {bury, "lost", `an admin stopped it; the minion "m" was silent for 1 h 0 min`},
	} {
		w.put(how)
		first := w.claimOne(how).Job
		w.ok(w.Queue.StopJob(w.Ctx, first.ID))
		c.end(first)
		same(w, how+": exit", c.exit, w.job(first.ID).Exit)
		same(w, how+": failure", core.Failure{Kind: core.FailKilled, Cause: c.cause}, w.job(first.ID).Failure)
		l := w.lorry(how)
		same(w, how+": the Lorry", []any{0, c.exit, core.FailKilled, w.Clock.Now(), w.Clock.Now().Add(Hour), ""},
			[]any{l.Failures, l.LastExit, l.LastFailure.Kind, l.LastRun, l.Due, l.Digest})
		same(w, how+": no other one", 0, len(w.claim(9)))

		w.Clock.Advance(Hour)
		second := w.claimOne(how).Job
		w.ok(w.Queue.StopJob(w.Ctx, second.ID))
		w.Clock.Advance(time.Second)
		w.ok(w.Queue.Retry(w.Ctx, how))
		w.Clock.Advance(time.Second)
		c.end(second)
		w.finish(w.claimOne(how), "0") // which was asked for since
		w.ok(w.DB.RemoveLorries(w.Ctx, []string{how}))
	}
}
