package statedbtest

import (
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

func pushTests() []test {
	return []test{
		{"a push finds Lorries by repository, and by host and path", pushFinds},
		{"pushed Lorries come first, in the order of the pushes", pushOrder},
		{"a push during a job gives one more job", pushWhileRunning},
		{"many pushes make one job", pushesCoalesce},
		{"a push makes the listings of known hosts due", pushHosts},
		{"output that a minion sends again is not taken twice", sentAgain},
	}
}

// pushed tells the queue of a push.
func (w *World) pushed(p queue.Push) queue.PushResult {
	w.Helper()
	r, err := w.Queue.Pushed(w.Ctx, p)
	w.ok(err)
	return r
}

// pushable adds Lorries that have run and are not due for an hour.
func (w *World) pushable(paths ...string) {
	w.Helper()
	var all []core.Lorry
	for _, p := range paths {
		l := NewLorry(p)
		l.Repository = "up.example.org/" + p
		all = append(all, l)
	}
	w.ok(w.DB.PutLorries(w.Ctx, all))
	for _, c := range w.claim(len(paths)) {
		w.finish(c, "0")
	}
	w.Clock.Advance(time.Minute)
}

func pushFinds(w *World) {
	w.pushable("a", "b")
	generated := NewLorry("mirror/c")
	generated.Host, generated.HostPath, generated.Repository = "forge", "Group/c", "internal.example.org/group/c"
	twin := NewLorry("twin")
	twin.Repository = "up.example.org/a"
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{generated, twin}))
	same(w, "by name", queue.PushResult{Lorries: 2}, w.pushed(queue.Push{Repositories: []string{"up.example.org/a", "up.example.org/none"}}))
	same(w, "by host", queue.PushResult{Lorries: 1}, w.pushed(queue.Push{Generated: []queue.HostPath{{Host: "forge", Path: "Group/c"}}}))
	same(w, "another case", queue.PushResult{}, w.pushed(queue.Push{Generated: []queue.HostPath{{Host: "forge", Path: "group/c"}}}))
	same(w, "another host", queue.PushResult{}, w.pushed(queue.Push{Generated: []queue.HostPath{{Host: "", Path: ""}, {Host: "f", Path: "Group/c"}}}))
	same(w, "nothing", queue.PushResult{}, w.pushed(queue.Push{Repositories: []string{"", "x\x00y", "\xff"}}))
	same(w, "both ways", queue.PushResult{Lorries: 2}, w.pushed(queue.Push{
		Repositories: []string{"up.example.org/b"}, Generated: []queue.HostPath{{Host: "forge", Path: "Group/c"}},
	}))
	same(w, "kept", w.Clock.Now(), w.lorry("b").Pushed)
	same(w, "name", "up.example.org/b", w.lorry("b").Repository)
}

func pushOrder(w *World) {
	w.pushable("a", "b", "c", "d")
	w.put("overdue")
	w.Clock.Advance(time.Minute)
	w.pushed(queue.Push{Repositories: []string{"up.example.org/c"}})
	w.Clock.Advance(time.Second)
	w.pushed(queue.Push{Repositories: []string{"up.example.org/a"}})
	w.Clock.Advance(time.Second)
	w.pushed(queue.Push{Repositories: []string{"up.example.org/c"}}) // keeps its place
	w.ok(w.Queue.MoveToTop(w.Ctx, "d"))
	same(w, "order", []string{"d", "c", "a", "overdue"}, paths(w.claim(9)))
}

func pushWhileRunning(w *World) {
	w.pushable("a")
	w.put("overdue")
	w.pushed(queue.Push{Repositories: []string{"up.example.org/a"}})
	w.Clock.Advance(time.Second)
	first := w.claimOne("a")
	w.Clock.Advance(time.Second)
	for range 3 {
		w.pushed(queue.Push{Repositories: []string{"up.example.org/a"}})
	}
	w.finish(first, "0")
	w.Clock.Advance(time.Second)
	second := w.claimOne("a") // before the one that is overdue
	w.Clock.Advance(time.Second)
	w.finish(second, "0")
	same(w, "due as usual", w.Clock.Now().Add(Hour), w.lorry("a").Due)
	same(w, "no third one", []string{"overdue"}, paths(w.claim(9)))
}

func pushesCoalesce(w *World) {
	w.pushable("a")
	for range 100 {
		w.pushed(queue.Push{Repositories: []string{"up.example.org/a"}})
		w.Clock.Advance(10 * time.Millisecond)
	}
	w.finish(w.claimOne("a"), "0")
	same(w, "one job only", 0, len(w.claim(9)))
	w.ok(w.Queue.HoldLorry(w.Ctx, "a", "maintenance"))
	w.pushed(queue.Push{Repositories: []string{"up.example.org/a"}})
	same(w, "held", 0, len(w.claim(9)))
	w.ok(w.Queue.ResumeLorry(w.Ctx, "a"))
	same(w, "not forgotten", []string{"a"}, paths(w.claim(9)))
}

func pushHosts(w *World) {
	w.ok(w.DB.PutHosts(w.Ctx, []core.Host{{Name: "forge"}, {Name: "other"}}))
	w.Clock.Advance(time.Hour)
	same(w, "one", queue.PushResult{Hosts: 1}, w.pushed(queue.Push{Hosts: []string{"forge", "none", "x\x00"}}))
	hosts, err := w.DB.Hosts(w.Ctx)
	w.ok(err)
	if hosts[0].LsDue.After(w.Clock.Now()) {
		w.Errorf("the listing is due %s only", hosts[0].LsDue)
	}
}

func sentAgain(w *World) {
	w.put("a")
	c := w.claimOne("a")
	report := func(text string, sent int64) {
		w.Helper()
		w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Output: text, Sent: sent})
	}
	report("one\n", 4)
	report("one\n", 4) // the answer was lost
	report("two\n", 8)
	report("", 8)
	w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Output: "end\n", Sent: 12, Done: true, Exit: "0"})
	got, err := w.Queue.Output(w.Ctx, c.Job.ID, 0, 0)
	w.ok(err)
	same(w, "output", "one\ntwo\nend\n", got)
}
