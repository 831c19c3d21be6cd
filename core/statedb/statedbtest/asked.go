package statedbtest

import (
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

func askedTests() []test {
	return []test{
		{"what an admin asks for while a job runs comes once that has ended", askedWhileRunning},
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
