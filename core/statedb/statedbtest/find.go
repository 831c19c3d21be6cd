package statedbtest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

func findTests() []test {
	return []test{
		{"Lorries are found by every filter, in every order, page by page", findLorries},
		{"what can't be looked for is an invalid request", findNothing},
		{"jobs are found by every filter, in both orders, page by page", findJobs},
		{"failures are grouped by kind and host", failureGroups},
		{"a group is retried, held and resumed, and counted", groups},
		{"it is told how far the output of jobs has come", tails},
		{"minions are recorded, drained and forgotten", minions},
		{"held rewrites are found by every filter, page by page", findHeld},
	}
}

// variety fills a world with Lorries in every state.
func variety(w *World) {
	w.Helper()
	var all []core.Lorry
	for i := range 24 {
		l := NewLorry(fmt.Sprintf("Up%d/p_%02d%%x", i%3, i))
		if i%4 == 1 {
			l.UpstreamHost = "other.example.org"
		}
		if i%6 == 2 {
			l.Section, l.Host, l.UpstreamHost = "host:forge", "forge", ""
		}
		all = append(all, l)
	}
	w.ok(w.DB.PutLorries(w.Ctx, all))
	kinds := []core.FailureKind{core.FailAuth, core.FailNetwork, "", ""}
	for n, c := range w.claim(16) {
		if n >= 13 {
			continue // goes on running
		}
		w.Clock.Advance(time.Minute)
		u := queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "0", DiskUsage: int64(n % 5 * 100)}
		if kind := kinds[n%4]; kind != "" {
			u.Exit, u.Failure = "1", core.Failure{Kind: kind, Cause: "because of " + string(kind)}
		}
		w.update(u)
	}
	for i, path := range []string{all[20].Path, all[3].Path, all[4].Path} {
		w.ok(w.Queue.HoldLorry(w.Ctx, path, fmt.Sprint("reason ", i)))
	}
	w.ok(w.Queue.MoveToTop(w.Ctx, all[22].Path))
	w.ok(w.Queue.MoveToBottom(w.Ctx, all[21].Path))
	w.Clock.Advance(50 * time.Minute)
}

// chosen says what a filter means, in the plainest way.
func chosen(f queue.LorryFilter, l core.LorryState) bool {
	idle := l.RunningJob == 0
	due := l.Position < 0 || !l.Due.After(f.Now)
	states := map[string]bool{
		"": true, queue.StateRunning: !idle, queue.StateHeld: l.HeldReason != "", queue.StateFailing: l.Failures > 0,
		queue.StateOK: l.Failures == 0 && !l.LastSuccess.IsZero(), queue.StateNew: l.LastRun.IsZero(), queue.StateRemoved: l.Removed,
		queue.StateDue: idle && l.HeldReason == "" && due, queue.StateWaiting: idle && l.HeldReason == "" && !due,
	}
	return states[f.State] && (f.Host == "" || f.Host == l.UpstreamHost || f.Host == l.Host) &&
		(f.Kind == "" || l.Failures > 0 && l.LastFailure.Kind == f.Kind) &&
		strings.Contains(strings.ToLower(l.Path), strings.ToLower(f.Text)) &&
		(f.Stale.IsZero() || l.LastSuccess.Before(f.Stale))
}

func inOrder(sort string, a, b core.LorryState) int {
	turn := func(l core.LorryState) int64 {
		if l.Position < 0 {
			return l.Position
		}
		return l.Due.UnixMicro()
	}
	by := map[string]int{
		"": cmp.Compare(turn(a), turn(b)), queue.SortQueue: cmp.Compare(turn(a), turn(b)), queue.SortHost: cmp.Compare(a.UpstreamHost, b.UpstreamHost),
		queue.SortKind: cmp.Compare(a.LastFailure.Kind, b.LastFailure.Kind), queue.SortLastRun: a.LastRun.Compare(b.LastRun),
		queue.SortLastSuccess: a.LastSuccess.Compare(b.LastSuccess), queue.SortFailures: cmp.Compare(a.Failures, b.Failures),
		queue.SortDiskUsage: cmp.Compare(a.DiskUsage, b.DiskUsage),
	}
	return cmp.Or(by[sort], strings.Compare(a.Path, b.Path))
}

func findLorries(w *World) {
	variety(w)
	everything, err := w.Queue.Queue(w.Ctx, queue.Page{})
	w.ok(err)
	now := w.Clock.Now()
	var filters []queue.LorryFilter
	for _, state := range []string{
		"", queue.StateRunning, queue.StateDue, queue.StateWaiting, queue.StateHeld, queue.StateFailing, queue.StateOK, queue.StateNew, queue.StateRemoved,
	} {
		filters = append(filters, queue.LorryFilter{State: state})
	}
	for _, sort := range []string{
		queue.SortPath, queue.SortHost, queue.SortKind, queue.SortLastRun, queue.SortLastSuccess, queue.SortFailures, queue.SortDiskUsage, queue.SortQueue,
	} {
		filters = append(filters, queue.LorryFilter{Sort: sort}, queue.LorryFilter{Sort: sort, Reverse: true, State: queue.StateFailing})
	}
	filters = append(filters,
		queue.LorryFilter{Host: "forge"}, queue.LorryFilter{Host: "other.example.org", State: queue.StateWaiting}, queue.LorryFilter{Host: "none"},
		queue.LorryFilter{Kind: core.FailAuth, Sort: queue.SortPath}, queue.LorryFilter{Text: "uP1/P_"}, queue.LorryFilter{Text: "%X", Host: "up.example.org", Reverse: true},
		queue.LorryFilter{Text: "p.0"}, queue.LorryFilter{Stale: Start.Add(4 * time.Minute), Sort: queue.SortLastSuccess}, queue.LorryFilter{Text: `\`},
	)
	for _, f := range filters {
		f.Now = now
		var want []string
		slices.SortFunc(everything, func(a, b core.LorryState) int {
			if f.Reverse {
				a, b = b, a
			}
			return inOrder(f.Sort, a, b)
		})
		for _, l := range everything {
			if chosen(f, l) {
				want = append(want, l.Path)
			}
		}
		for _, limit := range []int{1, 4, 100} {
			same(w, fmt.Sprintf("%+v by %d", f, limit), want, w.pagesOf(f, limit))
		}
	}
	same(w, "by name", []string{"Up0/p_00%x", "Up1/p_07%x"}, w.pagesOf(queue.LorryFilter{Paths: []string{"Up1/p_07%x", "none", "Up0/p_00%x"}, Sort: queue.SortPath}, 1))
	same(w, "no names", nil, w.pagesOf(queue.LorryFilter{Paths: []string{}}, 1))
	l, err := w.Queue.FindLorries(w.Ctx, queue.LorryFilter{Text: "p_07", WithText: true, Limit: 1})
	w.ok(err)
	same(w, "text", NewLorry("Up1/p_07%x").Text, l.Lorries[0].Text)
}

// pagesOf goes through all pages.
func (w *World) pagesOf(f queue.LorryFilter, limit int) []string {
	w.Helper()
	var all []string
	for f.Limit = limit; ; {
		list, err := w.Queue.FindLorries(w.Ctx, f)
		w.ok(err)
		if len(list.Lorries) > limit {
			w.Fatalf("%d Lorries on a page of %d", len(list.Lorries), limit)
		}
		for _, l := range list.Lorries {
			all = append(all, l.Path)
		}
		if list.Next == nil {
			return all
		}
		f.After = list.Next
	}
}

func findNothing(w *World) {
	for _, f := range []queue.LorryFilter{{State: "odd"}, {Sort: "odd"}, {State: "running' OR 1=1 --"}} {
		_, err := w.Queue.FindLorries(w.Ctx, f)
		w.kind(core.KindInvalid, err)
	}
	_, err := w.Queue.FindJobs(w.Ctx, queue.JobSearch{State: queue.StateHeld})
	w.kind(core.KindInvalid, err)
	for _, text := range []string{"\x00", "\xff"} {
		same(w, "no such text", nil, w.pagesOf(queue.LorryFilter{Text: text}, 5))
		same(w, "no such host", nil, w.pagesOf(queue.LorryFilter{Host: text}, 5))
		_, err := w.Queue.FindJobs(w.Ctx, queue.JobSearch{Minion: text})
		w.ok(err)
	}
	same(w, "quotes", nil, w.pagesOf(queue.LorryFilter{Text: "'; DROP TABLE queue; --", Host: "'"}, 5))
}

func findJobs(w *World) {
	variety(w)
	jobs, err := w.Queue.Jobs(w.Ctx, queue.JobFilter{})
	w.ok(err)
	w.ok(w.Queue.StopJob(w.Ctx, jobs[len(jobs)-1].ID))
	same(w, "jobs of the world", 16, len(jobs))
	count := func(s queue.JobSearch) int {
		w.Helper()
		newest, err := w.Queue.FindJobs(w.Ctx, queue.JobSearch{
			State: s.State, Path: s.Path, Host: s.Host, Minion: s.Minion, Kind: s.Kind, Text: s.Text, Before: s.Before, Since: s.Since, Limit: 100,
		})
		w.ok(err)
		var paged []core.JobID
		for s.Oldest, s.Limit = true, 3; ; {
			page, err := w.Queue.FindJobs(w.Ctx, s)
			w.ok(err)
			for _, j := range page {
				paged = append(paged, j.ID)
			}
			if len(page) < s.Limit {
				break
			}
			s.After = page[len(page)-1].ID
		}
		var ids []core.JobID
		for _, j := range slices.Backward(newest) {
			ids = append(ids, j.ID)
		}
		same(w, fmt.Sprintf("both orders of %+v", s), ids, paged)
		return len(ids)
	}
	for _, c := range []struct {
		search queue.JobSearch
		want   int
	}{
		{queue.JobSearch{}, 16},
		{queue.JobSearch{State: queue.StateRunning}, 3},
		{queue.JobSearch{State: queue.StateStopping}, 1},
		{queue.JobSearch{State: queue.StateEnded}, 13},
		{queue.JobSearch{State: queue.StateSucceeded}, 6},
		{queue.JobSearch{State: queue.StateFailed}, 7},
		{queue.JobSearch{State: queue.StateLost}, 0},
		{queue.JobSearch{Kind: core.FailAuth}, 4},
		{queue.JobSearch{Minion: "m"}, 16},
		{queue.JobSearch{Minion: "other"}, 0},
		{queue.JobSearch{Path: jobs[2].Path}, 1},
		{queue.JobSearch{Host: "other.example.org"}, 4},
		{queue.JobSearch{Text: "UP1/"}, 8},
		{queue.JobSearch{Before: Start}, 0},
		{queue.JobSearch{Since: Start}, 16},
	} {
		if got := count(c.search); got != c.want {
			w.Errorf("%+v: want %d jobs, got %d", c.search, c.want, got)
		}
	}
}

func failureGroups(w *World) {
	variety(w)
	got, err := w.Queue.FailureGroups(w.Ctx, 2)
	w.ok(err)
	total := 0
	for _, g := range got {
		list := w.pagesOf(queue.LorryFilter{State: queue.StateFailing, Kind: g.Kind, Host: g.Host}, 50)
		if g.Host != "" && g.Count != len(list) {
			w.Errorf("%+v, but there are %d", g, len(list))
		}
		same(w, "cause", "because of "+string(g.Kind), g.Cause)
		total += g.Count
	}
	counted, err := w.Queue.Outcomes(w.Ctx)
	w.ok(err)
	same(w, "outcomes", queue.Outcomes{OK: 6, Errors: 7}, counted)
	if len(got) != 2 || got[0].Count < got[1].Count || total == 0 {
		w.Errorf("want the 2 biggest groups, got %+v", got)
	}
}

func groups(w *World) {
	variety(w)
	of := queue.LorryFilter{Kind: core.FailAuth}
	failing := w.pagesOf(queue.LorryFilter{State: queue.StateFailing}, 50)
	auth := w.pagesOf(of, 50)
	n, err := w.Queue.RetryAll(w.Ctx, of)
	w.ok(err)
	same(w, "retried", len(auth), n)
	same(w, "left", len(failing)-len(auth), len(w.pagesOf(queue.LorryFilter{State: queue.StateFailing}, 50)))
	for _, path := range auth {
		same(w, path, w.Clock.Now(), w.lorry(path).Due)
	}
	n, err = w.Queue.RetryAll(w.Ctx, of)
	w.ok(err)
	same(w, "again", 0, n)

	host := queue.LorryFilter{Host: "other.example.org"}
	of = host
	all := w.pagesOf(host, 50)
	n, err = w.Queue.HoldAll(w.Ctx, of, "the host moves")
	w.ok(err)
	same(w, "held", len(all), n)
	for _, path := range all {
		same(w, path, "the host moves", w.lorry(path).HeldReason)
	}
	n, err = w.Queue.HoldAll(w.Ctx, of, "")
	w.ok(err)
	same(w, "resumed", len(all), n)
}

func tails(w *World) {
	w.put("a", "b")
	c := w.claim(2)
	w.update(queue.UpdateParams{Job: c[0].Job.ID, Fence: c[0].Job.Fence, Output: "12345", Progress: &core.Progress{Phase: "pushing"}})
	w.update(queue.UpdateParams{Job: c[1].Job.ID, Fence: c[1].Job.Fence, Output: "xyz", Done: true, Exit: "0"})
	got, err := w.Queue.Tails(w.Ctx, []core.JobID{c[1].Job.ID, c[0].Job.ID, 99})
	w.ok(err)
	same(w, "tails", []queue.Tail{{ID: 1, Kept: 5, Progress: &core.Progress{Phase: "pushing"}}, {ID: 2, Kept: 3, Ended: true}}, got)
}

func minions(w *World) {
	list := func() []queue.Minion {
		w.Helper()
		all, err := w.Queue.Minions(w.Ctx)
		w.ok(err)
		return all
	}
	a := queue.Minion{Name: "a\u00e9", Address: "192.0.2.1", PID: 7, Protocol: 2, Build: "1.2", Labels: []string{"x", "y"}, First: Start, Seen: Start}
	b := queue.Minion{Name: "b", Labels: []string{}, First: Start, Seen: Start}
	w.ok(w.Queue.SeeMinions(w.Ctx, []queue.Minion{a, b}))
	same(w, "both", []queue.Minion{a, b}, list())
	w.ok(w.Queue.DrainMinion(w.Ctx, "b", true))
	w.kind(core.KindNotFound, w.Queue.DrainMinion(w.Ctx, "c", true))
	for name, want := range map[string]bool{"b": true, "a": false} {
		drains, err := w.Queue.Drains(w.Ctx, name)
		w.ok(err)
		same(w, name+" drains", want, drains)
	}
	other := queue.New(queue.Options{Store: w.DB, Clock: w.Clock.Now})
	w.ok(other.DrainMinion(w.Ctx, "b", false))
	w.ok(w.Queue.DrainMinion(w.Ctx, "b", true))
	drains, err := other.Drains(w.Ctx, "b")
	w.ok(err)
	same(w, "what another core was told", true, drains)

	w.Clock.Advance(queue.MinionKept + time.Minute)
	later := b
	later.Seen, later.PID, later.First = w.Clock.Now(), 9, w.Clock.Now()
	w.ok(w.Queue.SeeMinions(w.Ctx, []queue.Minion{later}))
	later.First, later.Drain = Start, true
	same(w, "the one that is gone is forgotten, the other drains", []queue.Minion{later}, list())
	w.ok(w.Queue.DrainMinion(w.Ctx, "b", false))

	w.put("p")
	got, err := w.Queue.Claim(w.Ctx, queue.ClaimParams{Minion: "b", Max: 1})
	w.ok(err)
	w.kind(core.KindConflict, w.Queue.ForgetMinion(w.Ctx, "b"))
	w.finish(got[0], "0")
	w.ok(w.Queue.ForgetMinion(w.Ctx, "b"))
	w.kind(core.KindNotFound, w.Queue.ForgetMinion(w.Ctx, "b"))
	same(w, "none", 0, len(list()))
}

func findHeld(w *World) {
	w.put("a", "b", "c")
	held := func(path string, refs ...string) {
		w.Helper()
		c := w.claimOne(path)
		var all []core.RefResult
		for _, ref := range refs {
			all = append(all, core.RefResult{Ref: ref, Old: "o", New: "n", Status: core.RefHeld})
		}
		w.update(queue.UpdateParams{Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: "1", Refs: all})
		w.Clock.Advance(time.Minute)
	}
	held("a", "r1", "r2")
	held("b", "r1")
	w.ok(w.Queue.ApproveRewrite(w.Ctx, "a", "r2", "", "n"))
	yes, no := true, false
	for _, c := range []struct {
		search queue.HeldSearch
		want   []string
	}{
		{queue.HeldSearch{}, []string{"a r1", "a r2", "b r1"}},
		{queue.HeldSearch{Limit: 2}, []string{"a r1", "a r2"}},
		{queue.HeldSearch{AfterPath: "a", AfterRef: "r2"}, []string{"b r1"}},
		{queue.HeldSearch{Approved: &yes}, []string{"a r2"}},
		{queue.HeldSearch{Approved: &no, Text: "B"}, []string{"b r1"}},
		{queue.HeldSearch{Before: Start.Add(time.Second)}, []string{"a r1", "a r2"}},
		{queue.HeldSearch{Path: "c"}, nil},
		{queue.HeldSearch{Path: "\x00"}, nil},
	} {
		found, err := w.Queue.FindHeld(w.Ctx, c.search)
		w.ok(err)
		var got []string
		for _, h := range found {
			got = append(got, h.Path+" "+h.Ref)
		}
		same(w, fmt.Sprintf("%+v", c.search), c.want, got)
	}
}
