package statedbtest

import (
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
)

func heldPurge(w *World) {
	read := func() reconcile.HeldPurge {
		w.Helper()
		p, err := w.DB.HeldPurge(w.Ctx, "h")
		w.ok(err)
		return p
	}
	p := reconcile.HeldPurge{Missing: 7, Digest: "d", Seen: 1, Since: Start, Counted: Start.Add(Hour)}
	w.kind(core.KindNotFound, w.DB.SetHeldPurge(w.Ctx, "h", p))
	w.ok(w.DB.PutHosts(w.Ctx, []core.Host{{Name: "h"}}))
	same(w, "none", reconcile.HeldPurge{}, read())
	for p.Seen = 1; p.Seen < 3; p.Seen++ {
		w.ok(w.DB.SetHeldPurge(w.Ctx, "h", p))
		same(w, "held", p, read())
	}
	hosts, err := w.DB.Hosts(w.Ctx)
	w.ok(err)
	same(w, "since", Start, hosts[0].PurgeSince)
	w.ok(w.DB.SetHeldPurge(w.Ctx, "h", reconcile.HeldPurge{}))
	same(w, "lapsed", reconcile.HeldPurge{}, read())
	w.ok(w.DB.SetHeldPurge(w.Ctx, "h", p))
	w.ok(w.DB.PutHosts(w.Ctx, nil))
	w.ok(w.DB.PutHosts(w.Ctx, []core.Host{{Name: "h"}}))
	same(w, "gone with its host", reconcile.HeldPurge{}, read())
}

func firstDue(w *World) {
	put := func(due ...time.Time) {
		w.Helper()
		w.ok(w.DB.PutLorriesDue(w.Ctx, []core.Lorry{NewLorry("a"), NewLorry("b")}, due))
	}
	put(Start.Add(time.Minute), Start)
	same(w, "order", []string{"b", "a"}, w.list())
	same(w, "due", Start.Add(time.Minute), w.lorry("a").Due)
	put(Start, Start.Add(time.Hour))
	same(w, "kept", []time.Time{Start.Add(time.Minute), Start}, []time.Time{w.lorry("a").Due, w.lorry("b").Due})
}

func failingPages(w *World) {
	w.put("a", "b", "c", "d")
	for _, p := range []string{"a", "b", "c", "d"} {
		exit := "1"
		if p == "b" {
			exit = "0"
		}
		w.finish(w.claimOne(p), exit)
	}
	list := func(page queue.Page) []string {
		w.Helper()
		all, err := w.Queue.Failing(w.Ctx, page)
		w.ok(err)
		var ps []string
		for _, l := range all {
			ps = append(ps, fmt.Sprint(l.Path, l.Failures, l.Text))
		}
		return ps
	}
	same(w, "all", []string{"a1", "c1", "d1"}, list(queue.Page{}))
	same(w, "page", []string{"c1"}, list(queue.Page{After: "a", Limit: 1}))
	same(w, "after one that does not fail", []string{"c1", "d1"}, list(queue.Page{After: "b"}))
	w.ok(w.Queue.Retry(w.Ctx, "c"))
	same(w, "forgotten", []string{"a1", "d1"}, list(queue.Page{}))
}

func notes(w *World) {
	w.put("a")
	c := w.claimOne("a")
	w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Output: "\u00e9ne\n", Done: true, Exit: "0"})
	w.ok(w.Queue.AppendOutput(w.Ctx, c.Job.ID, "a note\n"))
	w.ok(w.Queue.AppendOutput(w.Ctx, c.Job.ID, ""))
	w.ok(w.Queue.AppendOutput(w.Ctx, c.Job.ID, "another\x00\n"))
	same(w, "output", "\u00e9ne\na note\nanother\ufffd\n", w.output(c.Job.ID))
	same(w, "size", int64(len(w.output(c.Job.ID))), w.job(c.Job.ID).OutputSize)
	w.kind(core.KindNotFound, w.Queue.AppendOutput(w.Ctx, 99, "x"))
}

// holdsSurvive asks a second queue, which has nothing in memory.
func holdsSurvive(w *World) {
	w.put("a", "b", "c")
	other := NewLorry("d")
	other.UpstreamHost = "other.example.org"
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{other}))
	w.finish(w.claimOne("a"), "1")
	w.ok(w.Queue.HoldLorry(w.Ctx, "b", "it moves"))
	w.ok(w.Queue.HoldHost(w.Ctx, other.UpstreamHost, time.Time{}, "maintenance"))
	w.ok(w.Queue.SetRunning(w.Ctx, false))
	again := queue.New(queue.Options{Store: w.DB, Clock: w.Clock.Now, Rand: func() float64 { return 0 }})
	expect := func(path string, want queue.Why) {
		w.Helper()
		got, err := again.Explain(w.Ctx, path)
		w.ok(err)
		same(w, path, want, got)
	}
	expect("c", queue.Why{Reason: "queue stopped", Detail: "the run queue is stopped"})
	w.ok(again.SetRunning(w.Ctx, true))
	expect("a", queue.Why{
		Reason: "backing off", Detail: "backing off after 1 failed job, the last one because lorry ended with exit code 1", Until: Start.Add(2 * Hour),
	})
	expect("b", queue.Why{Reason: "held", Detail: "an admin holds this Lorry: it moves"})
	got, err := again.Explain(w.Ctx, "d")
	w.ok(err)
	same(w, "d", "host held", got.Reason)
	same(w, "detail", `the upstream host "other.example.org" is held: maintenance`, got.Detail)
	w.finish(w.claimOne("c"), "0")
	expect("c", queue.Why{Reason: "not due", Detail: "due at " + Start.Add(Hour).Format(time.RFC3339), Until: Start.Add(Hour)})
	same(w, "the others are held", 0, len(w.claim(9)))
	w.ok(again.ResumeHost(w.Ctx, other.UpstreamHost))
	w.ok(again.ResumeLorry(w.Ctx, "b"))
	same(w, "resumed", []string{"b", "d"}, paths(w.claim(9)))
}

func holdsOfHosts(w *World) {
	const host = "up.example.org"
	after := func(d time.Duration) time.Time { return w.Clock.Now().Add(d) }
	is := func(what string, until time.Time, reason string) {
		w.Helper()
		held, err := w.Queue.HostHolds(w.Ctx)
		w.ok(err)
		want := map[string]queue.HostHold{}
		if reason != "" {
			want[host] = queue.HostHold{Until: until, Reason: reason}
		}
		same(w, what, want, held)
	}
	w.ok(w.Queue.HoldHostLonger(w.Ctx, host, after(time.Minute), "slow down"))
	is("none before", after(time.Minute), "slow down")
	w.ok(w.Queue.HoldHostLonger(w.Ctx, host, after(time.Hour), "slower"))
	is("longer", after(time.Hour), "slower")
	w.ok(w.Queue.HoldHost(w.Ctx, host, after(time.Second), "an admin knows better"))
	is("an admin's", after(time.Second), "an admin knows better")
	w.Clock.Advance(time.Minute)
	w.ok(w.Queue.HoldHostLonger(w.Ctx, host, after(time.Second), "slow down again"))
	is("that one is over", after(time.Second), "slow down again")
	w.ok(w.Queue.EndHold(w.Ctx, host, "slow down"))
	is("another reason", after(time.Second), "slow down again")
	w.ok(w.Queue.EndHold(w.Ctx, host, "slow down again"))
	is("ended", time.Time{}, "")

	w.ok(w.Queue.HoldHost(w.Ctx, host, after(2*time.Hour), "maintenance"))
	for _, until := range []time.Time{after(time.Minute), after(2 * time.Hour)} {
		w.ok(w.Queue.HoldHostLonger(w.Ctx, host, until, "slow down"))
		is("not longer", after(2*time.Hour), "maintenance")
	}
	w.kind(core.KindInvalid, w.Queue.HoldHostLonger(w.Ctx, host, after(-time.Minute), "slow down"))
	w.kind(core.KindInvalid, w.Queue.HoldHostLonger(w.Ctx, "", after(time.Minute), "slow down"))
	w.ok(w.Queue.EndHold(w.Ctx, host, "slow down"))
	is("in the end", after(2*time.Hour), "maintenance")
}
