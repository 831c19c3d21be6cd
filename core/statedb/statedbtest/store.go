package statedbtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/statedb"
)

// storeTests gives what reconciling and the daemon rely on.
func storeTests() []test {
	return []test{
		{"the applied commit and the problems are replaced together", config},
		{"Lorries keep their running state when they are put again", putAgain},
		{"a changed interval moves the due time", intervals},
		{"Lorries move between sections and sections are listed by key", sections},
		{"paths of any script sort by their bytes", unicodePaths},
		{"a thousand Lorries in one call", manyRows},
		{"the queue is listed in pages", pages},
		{"hosts keep their times and go with CONFGIT", hosts},
		{"what was read before another turn is not applied", turns},
		{"one core leads at a time and terms grow", leading},
		{"settings are kept", settings},
		{"a held purge is a row and goes with its host", heldPurge},
		{"first due times are those of the caller, for new Lorries alone", firstDue},
		{"failing Lorries are listed in pages", failingPages},
		{"a note is added to the output of an ended job", notes},
		{"holds and the switch survive a restart and are explained", holdsSurvive},
		{"what a host asks for itself shortens and ends no hold of an admin's", holdsOfHosts},
		{"a time comes back as it went", times},
	}
}

func config(w *World) {
	commit, err := w.DB.ConfigCommit(w.Ctx)
	w.ok(err)
	same(w, "commit", "", commit)
	problems := []core.Problem{
		{File: "z.lorry", Line: 3, Key: "k", Message: "broken", Severity: core.SeverityError},
		{File: "a.lorry", Message: "odd \u00e9", Severity: core.SeverityNotice},
	}
	for _, want := range [][]core.Problem{problems, problems[:1], nil} {
		w.ok(w.DB.SetConfig(w.Ctx, "c1", want))
		got, err := w.Queue.Problems(w.Ctx)
		w.ok(err)
		same(w, "problems", want, got)
	}
	commit, err = w.DB.ConfigCommit(w.Ctx)
	w.ok(err)
	same(w, "commit", "c1", commit)
}

func putAgain(w *World) {
	l := core.Lorry{
		Path: "a", Text: "text", Section: "host:h", Host: "h", HostPath: "up/a", UpstreamHost: "h.example.org",
		Interval: Hour, Timeout: 2 * Hour, Rewrites: core.RewriteHold, ListedHead: "refs/heads/main", ListedDescription: "it's \"odd\"",
	}
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{l}))
	same(w, "new", core.LorryState{Lorry: l, Due: Start}, w.lorry("a"))
	c := w.claimOne("a")
	same(w, "claimed", l, c.Lorry)
	running := w.lorry("a")
	w.Clock.Advance(time.Minute)
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{l}))
	same(w, "while it runs", running, w.lorry("a"))
	w.finish(c, "1")
	w.ok(w.DB.RemoveLorries(w.Ctx, nil))
	ended := w.lorry("a")
	l.Text, l.UpstreamHost, l.Rewrites, l.ListedDescription = "new", "i.example.org", core.RewriteForce, ""
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{{Path: "a"}, l}))
	ended.Lorry = l
	same(w, "the last of two wins", ended, w.lorry("a"))
	w.ok(w.DB.PutLorries(w.Ctx, nil))
}

func intervals(w *World) {
	w.put("a", "b", "d")
	for _, p := range []string{"a", "b", "d"} {
		exit := map[string]string{"a": "0", "b": "1", "d": "0"}[p]
		w.finish(w.claimOne(p), exit)
	}
	w.put("c")
	w.Clock.Advance(time.Minute)
	w.ok(w.Queue.Retry(w.Ctx, "d"))
	for _, p := range []string{"a", "b", "c", "d"} {
		l := NewLorry(p)
		l.Interval = 5 * Hour
		w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{l}))
	}
	same(w, "moved", Start.Add(5*Hour), w.lorry("a").Due)
	same(w, "backing off", Start.Add(2*Hour), w.lorry("b").Due)
	same(w, "new", Start, w.lorry("c").Due)
	same(w, "made due by an admin", w.Clock.Now(), w.lorry("d").Due)
}

func sections(w *World) {
	w.put("a", "b", "c")
	l := NewLorry("b")
	l.Section = "host:h.example.org"
	w.ok(w.DB.PutLorries(w.Ctx, []core.Lorry{l}))
	names, err := w.DB.Sections(w.Ctx)
	w.ok(err)
	same(w, "sections", []string{"host:h.example.org", "lorries:up"}, names)
	page, err := w.DB.SectionLorries(w.Ctx, "lorries:up", "", 1)
	w.ok(err)
	same(w, "first page", []core.Lorry{NewLorry("a")}, page)
	page, err = w.DB.SectionLorries(w.Ctx, "lorries:up", "a", 10)
	w.ok(err)
	same(w, "second page", []core.Lorry{NewLorry("c")}, page)
	w.ok(w.DB.RemoveLorries(w.Ctx, []string{"a", "b", "c", "d"}))
	names, err = w.DB.Sections(w.Ctx)
	w.ok(err)
	same(w, "sections", 0, len(names))
}

func unicodePaths(w *World) {
	// In the order of their bytes; most locales would sort otherwise.
	ordered := []string{"B", "a", "a b/c", "a'; DROP TABLE queue; --", "a-b", "ab", `q"uote`, "\u00e4", "\u4e2d\u6587", "\U0001F69A/lorry"}
	w.put(ordered...)
	same(w, "order", ordered, w.list())
	for _, p := range ordered {
		same(w, "path", p, w.lorry(p).Path)
		w.ok(w.Queue.MoveToTop(w.Ctx, p))
		w.finish(w.claimOne(p), "0")
	}
	for _, p := range []string{"\u00c4", "\xff", "a\x00b", ""} {
		_, err := w.Queue.Lorry(w.Ctx, p)
		w.kind(core.KindNotFound, err)
		w.kind(core.KindNotFound, w.Queue.MoveToTop(w.Ctx, p))
	}
}

func manyRows(w *World) {
	var all []core.Lorry
	var names []string
	for i := range 1000 {
		l := NewLorry(fmt.Sprintf("many/%04d", i))
		all, names = append(all, l), append(names, l.Path)
	}
	w.ok(w.DB.PutLorries(w.Ctx, all))
	same(w, "order", names, w.list())
	got := w.claim(1000)
	same(w, "claimed", names, paths(got))
	var reports []queue.UpdateParams
	for _, c := range got {
		reports = append(reports, queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", Output: "done\n"})
	}
	rs, err := w.Queue.Update(w.Ctx, reports)
	w.ok(err)
	same(w, "results", make([]queue.UpdateResult, 1000), rs)
	status, err := w.Queue.Status(w.Ctx)
	w.ok(err)
	same(w, "counts", queue.Counts{Lorries: 1000}, status.Counts)
	w.ok(w.DB.RemoveLorries(w.Ctx, names))
	same(w, "left", 0, len(w.list()))
}

func pages(w *World) {
	w.put("a", "b", "c", "d", "e")
	w.ok(w.Queue.MoveToTop(w.Ctx, "e"))
	w.ok(w.Queue.MoveToTop(w.Ctx, "d"))
	w.claimOne("d")
	want := []string{"e", "a", "b", "c", "d"}
	w.ok(w.Queue.MoveToBottom(w.Ctx, "d"))
	var got []string
	for after := ""; ; {
		page, err := w.Queue.Queue(w.Ctx, queue.Page{After: after, Limit: 2})
		w.ok(err)
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			got = append(got, l.Path)
			after = l.Path
		}
	}
	same(w, "pages", want, got)
	same(w, "whole", want, w.list())
	_, err := w.Queue.Queue(w.Ctx, queue.Page{After: "none"})
	w.kind(core.KindNotFound, err)
	paths, err := w.Queue.QueuePaths(w.Ctx, queue.Page{})
	w.ok(err)
	same(w, "paths", want, paths)
	paths, err = w.Queue.QueuePaths(w.Ctx, queue.Page{After: "a", Limit: 2})
	w.ok(err)
	same(w, "some paths", []string{"b", "c"}, paths)
	_, err = w.Queue.QueuePaths(w.Ctx, queue.Page{After: "none"})
	w.kind(core.KindNotFound, err)
}

func hosts(w *World) {
	h := core.Host{
		Name: "h.example.org", Type: "gitlab", Protocol: "ssh", Prefixes: []core.PrefixRule{{From: "z", To: "y"}, {From: "a", To: "b"}},
		Ignore: []string{"*/old"}, LsInterval: 2 * Hour, Interval: Hour, Timeout: 3 * Hour, Settings: map[string]any{"group": "g"},
	}
	w.ok(w.DB.PutHosts(w.Ctx, []core.Host{h, {Name: "i.example.org", Type: "trove"}}))
	state := core.HostState{
		Name: h.Name, Type: h.Type, Protocol: h.Protocol, Prefixes: h.Prefixes, Ignore: h.Ignore,
		LsInterval: h.LsInterval, Interval: h.Interval, Timeout: h.Timeout, LsDue: Start,
	}
	check := func(what string, want ...core.HostState) {
		w.Helper()
		got, err := w.Queue.Hosts(w.Ctx)
		w.ok(err)
		same(w, what, want, got)
	}
	check("new", state, core.HostState{Name: "i.example.org", Type: "trove", LsDue: Start})
	w.ok(w.DB.HostListed(w.Ctx, reconcile.HostOutcome{Name: h.Name, At: Start, Next: Start.Add(Hour), Complete: true, Listed: 7}))
	w.ok(w.DB.HostListed(w.Ctx, reconcile.HostOutcome{Name: h.Name, At: Start.Add(Hour), Next: Start.Add(2 * Hour), Error: "refused", Purge: "short"}))
	w.ok(w.Queue.HoldHost(w.Ctx, h.Name, Start.Add(9*Hour), "busy"))
	h.Protocol = "https"
	w.ok(w.DB.PutHosts(w.Ctx, []core.Host{h}))
	state.Protocol, state.LsLast, state.LsDue, state.LsError, state.Listed, state.Purge = "https", Start, Start.Add(2*Hour), "refused", 7, "short"
	state.HeldUntil, state.HeldReason = Start.Add(9*Hour), "busy"
	check("kept", state)
	w.kind(core.KindNotFound, w.DB.HostListed(w.Ctx, reconcile.HostOutcome{Name: "none"}))
	listings(w, state)
	w.ok(w.DB.PutHosts(w.Ctx, nil))
	check("gone")
}

// fenced is told a term that is over and the one that lasts.
func fenced(w *World, over, lasts int64) {
	w.Helper()
	w.put("fenced")
	commit := func(want string) {
		w.Helper()
		got, err := w.DB.ConfigCommit(w.Ctx)
		w.ok(err)
		same(w, "commit", want, got)
	}
	w.ok(w.DB.SetConfig(statedb.UnderTerm(w.Ctx, lasts), "new", nil))
	commit("new")
	late := statedb.UnderTerm(w.Ctx, over)
	w.kind(core.KindConflict, w.DB.SetConfig(late, "old", nil))
	commit("new")
	w.kind(core.KindConflict, w.DB.RemoveLorries(late, []string{"fenced"}))
	w.claimOne("fenced")
	w.Clock.Advance(Hour)
	_, err := w.Queue.BuryGhosts(late)
	w.kind(core.KindConflict, err)
	ghosts, err := w.Queue.BuryGhosts(statedb.UnderTerm(w.Ctx, lasts))
	w.ok(err)
	same(w, "ghosts", 1, len(ghosts))
}

func leading(w *World) {
	try := func(holder string) (int64, bool) {
		w.Helper()
		term, ok, err := w.DB.TryLead(w.Ctx, holder, time.Minute)
		w.ok(err)
		return term, ok
	}
	// The clock of leases is the server's, so a lease lapses by being of no length.
	lapse := func(holder string) {
		w.Helper()
		_, ok, err := w.DB.TryLead(w.Ctx, holder, 0)
		w.ok(err)
		same(w, "a lease of no length", true, ok)
	}
	expect := func(what, holder string, term int64, ok bool) {
		w.Helper()
		gotTerm, gotOK := try(holder)
		same(w, what, []any{term, ok}, []any{gotTerm, gotOK})
	}
	expect("the first", "one", 1, true)
	expect("the second waits", "two", 0, false)
	expect("a renewal keeps the term", "one", 1, true)
	lapse("one")
	expect("a lapsed lease is taken", "two", 2, true)
	expect("the old one waits", "one", 0, false)
	w.ok(w.DB.Resign(w.Ctx, "one"))
	expect("resigning is for the holder", "one", 0, false)
	w.ok(w.DB.Resign(w.Ctx, "two"))
	expect("a resigned lease is free", "one", 3, true)
	lapse("one")
	expect("its own lapsed lease is a new term", "one", 4, true)
	w.ok(w.DB.EndLease(w.Ctx, "on%"))
	w.ok(w.DB.EndLease(w.Ctx, "ne"))
	expect("the lease of others stays", "two", 0, false)
	w.ok(w.DB.EndLease(w.Ctx, "on"))
	expect("that of a dead holder ends", "two", 5, true)
	w.ok(w.DB.EndLease(w.Ctx, ""))
	expect("or that of any", "one", 6, true)
	fenced(w, 5, 6)
}

func settings(w *World) {
	for _, want := range []string{"1", "2 \u00e9"} {
		w.ok(w.DB.SetSetting(w.Ctx, "name", want))
		got, err := w.DB.Setting(w.Ctx, "name")
		w.ok(err)
		same(w, "setting", want, got)
	}
}

func times(w *World) {
	w.Clock.Advance(123456 * time.Microsecond)
	w.put("a")
	same(w, "due", Start.Add(123456*time.Microsecond), w.lorry("a").Due)
	w.finish(w.claimOne("a"), "0")
	same(w, "last run", Start.Add(123456*time.Microsecond), w.lorry("a").LastRun)
}

func reopen(t *testing.T, url string) {
	clock := NewClock()
	db, err := statedb.Open(t.Context(), statedb.Options{URL: url, Clock: clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	w := &World{T: t, DB: db, Clock: clock, Ctx: t.Context(), Queue: queue.New(queue.Options{Store: db, Clock: clock.Now})}
	w.put("a", "b", "c")
	c := w.claimOne("a")
	w.ok(w.Queue.MoveToTop(w.Ctx, "c"))
	w.ok(w.Queue.HoldLorry(w.Ctx, "b", "why"))
	w.ok(w.Queue.SetRunning(w.Ctx, false))
	want, err := db.Lorries(w.Ctx, queue.Page{})
	w.ok(err)
	w.ok(db.Close())
	w.ok(db.Close())

	again := NewWorld(t, url)
	got, err := again.DB.Lorries(w.Ctx, queue.Page{})
	again.ok(err)
	same(again, "Lorries", want, got)
	same(again, "stopped", 0, len(again.claim(1)))
	again.ok(again.Queue.SetRunning(w.Ctx, true))
	again.finish(c, "0")
	again.claimOne("c")
}
