package statedb_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
	"github.com/lorry-controller/lorry-controller/integration/pgtest"
)

// cutUse is a core behind a proxy, and another one that is not.
type cutUse struct {
	*testing.T
	clock *statedbtest.Clock
	proxy *pgtest.Proxy
	core  *statedb.DB
	queue *queue.Queue
	other *statedb.DB
	pid   string // of the server's process behind the connection that is cut
}

// newCutUse makes one with a due Lorry "a", whose core has prepared all that it
// is going to ask.
func newCutUse(t *testing.T) *cutUse {
	t.Helper()
	url := postgres(t)
	dsn, proxy := pgtest.Before(t, url)
	u := &cutUse{T: t, clock: statedbtest.NewClock(), proxy: proxy}
	u.core = statedbtest.Open(t, dsn+"&pool_max_conns=1", u.clock)
	u.other = statedbtest.Open(t, url, u.clock)
	u.queue = queue.New(queue.Options{Store: u.core, Clock: u.clock.Now})
	u.put("warm")
	c := u.claimed()
	for _, p := range []queue.UpdateParams{{Output: "x"}, {Done: true, Exit: "0", Output: "x"}} {
		u.report(c, p)
	}
	u.put("a")
	return u
}

func (u *cutUse) put(path string) {
	u.Helper()
	if err := u.other.PutLorries(u.Context(), []core.Lorry{statedbtest.NewLorry(path)}); err != nil {
		u.Fatal(err)
	}
}

// claimed claims the one due Lorry.
func (u *cutUse) claimed() queue.Claimed {
	u.Helper()
	got, err := u.queue.Claim(u.Context(), queue.ClaimParams{Minion: "m"})
	if err != nil || len(got) != 1 {
		u.Fatalf("claimed %v: %v", got, err)
	}
	return got[0]
}

func (u *cutUse) update(c queue.Claimed, p queue.UpdateParams) (stale bool, err error) {
	p.Job, p.Fence = c.Job.ID, c.Job.Fence
	rs, err := u.queue.Update(u.Context(), []queue.UpdateParams{p})
	return err == nil && rs[0].Stale, err
}

// report reports on a job that is still this minion's.
func (u *cutUse) report(c queue.Claimed, p queue.UpdateParams) {
	u.Helper()
	if stale, err := u.update(c, p); stale || err != nil {
		u.Errorf("a report on job %d is stale %t: %v", c.Job.ID, stale, err)
	}
}

// cut has the connection cut over which the core asks something next.
func (u *cutUse) cut(where pgtest.Cut) {
	u.Helper()
	pid, err := statedb.Texts(u.Context(), u.core, `SELECT pg_backend_pid()::text`)
	if err != nil {
		u.Fatal(err)
	}
	u.pid = pid[0]
	u.proxy.Cut(where)
}

// unheard checks how a request ended whose answer never came, and waits until the
// server has noticed that nobody listens.
func (u *cutUse) unheard(err error) {
	u.Helper()
	if core.KindOf(err) != core.KindUnavailable {
		u.Fatalf("want an unavailable database, got %v", err)
	}
	if n := statedb.Remembered(u.core); n != 0 {
		u.Errorf("%d jobs are remembered although nobody knows what became of them", n)
	}
	for deadline := time.Now().Add(time.Minute); ; {
		busy, err := statedb.Texts(u.Context(), u.other, `SELECT state FROM pg_stat_activity WHERE pid = `+u.pid)
		if err != nil {
			u.Fatal(err)
		}
		if len(busy) == 0 {
			return
		}
		if time.Now().After(deadline) {
			u.Fatalf("still at work: %v", busy)
		}
	}
}

// jobs gives the jobs of the Lorry "a" as the other core sees them.
func (u *cutUse) jobs() []core.Job {
	u.Helper()
	jobs, err := u.other.Jobs(u.Context(), queue.JobFilter{Path: "a"})
	if err != nil {
		u.Fatal(err)
	}
	return jobs
}

// ended checks the jobs of "a" once the last of them has ended well, the one that
// counts, with that output.
func (u *cutUse) ended(exits []string, output string) {
	u.Helper()
	var got []string
	jobs := u.jobs()
	for _, j := range jobs {
		got = append(got, j.Exit)
	}
	if diff := cmp.Diff(exits, got); diff != "" {
		u.Fatalf("the ends of all jobs (-want +got):\n%s", diff)
	}
	l, err := u.other.Lorry(u.Context(), "a")
	if err != nil || l.RunningJob != 0 || l.LastExit != "0" || l.Digest != "d" || l.Failures != 0 {
		u.Errorf("the Lorry is %+v: %v", l, err)
	}
	text, err := u.other.Output(u.Context(), jobs[len(jobs)-1].ID, 0, 0)
	if err != nil || text != output {
		u.Errorf("its output is %q and not %q: %v", text, output, err)
	}
	if again, err := u.queue.Claim(u.Context(), queue.ClaimParams{Minion: "m"}); err != nil || len(again) != 0 {
		u.Errorf("it is run again at once: %v %v", again, err)
	}
}

// A connection dies while a claim or a report is under way, at whatever point:
// whoever asked is told that it failed and can ask again; nothing is lost, done
// twice or acknowledged that was not stored.
func TestAConnectionThatDiesLeavesNothingLostOrTwice(t *testing.T) {
	t.Parallel()
	for name, cut := range map[string]struct {
		where     pgtest.Cut
		committed []int // how many of the requests can have been
	}{
		"before":       {pgtest.CutBefore, []int{0}},
		"inside":       {pgtest.CutInside, []int{0}},
		"behind":       {pgtest.CutBehind, []int{0, 1}},
		"at an answer": {pgtest.CutAnswer, []int{1}},
	} {
		committed := func(u *cutUse, n int) {
			u.Helper()
			if n < cut.committed[0] || n > cut.committed[len(cut.committed)-1] {
				u.Errorf("%d of the requests were committed", n)
			}
		}
		end := queue.UpdateParams{Done: true, Exit: "0", Digest: "d", Output: "the end\n"}
		t.Run(name+"/claim", func(t *testing.T) {
			t.Parallel()
			u := newCutUse(t)
			u.cut(cut.where)
			got, err := u.queue.Claim(t.Context(), queue.ClaimParams{Minion: "m"})
			u.unheard(err)
			started := len(u.jobs())
			committed(u, started)
			if len(got) != 0 {
				t.Errorf("claimed %v", got)
			}
			// A job of which nobody heard is ended as any other silent one.
			u.clock.Advance(queue.DefaultGhostTimeout + time.Second)
			if buried, err := u.queue.BuryGhosts(t.Context()); err != nil || len(buried) != started {
				t.Errorf("%d jobs started, and buried %v: %v", started, buried, err)
			}
			u.report(u.claimed(), end)
			u.ended([]string{"lost", "0"}[1-started:], "the end\n")
		})
		t.Run(name+"/report", func(t *testing.T) {
			t.Parallel()
			u := newCutUse(t)
			c := u.claimed()
			first := queue.UpdateParams{Output: "first\n", Sent: 6}
			u.cut(cut.where)
			_, err := u.update(c, first)
			u.unheard(err)
			committed(u, int(u.jobs()[0].OutputSize/first.Sent))
			u.report(c, first)
			u.report(c, end)
			u.ended([]string{"0"}, "first\nthe end\n")
		})
		t.Run(name+"/end", func(t *testing.T) {
			t.Parallel()
			u := newCutUse(t)
			c := u.claimed()
			u.cut(cut.where)
			_, err := u.update(c, end)
			u.unheard(err)
			over := !u.jobs()[0].Running()
			committed(u, map[bool]int{true: 1}[over])
			// It is stale if the first one was stored, and says so.
			if stale, err := u.update(c, end); err != nil || stale != over {
				t.Errorf("the job has ended %t, and the end that is sent again is stale %t: %v", over, stale, err)
			}
			u.ended([]string{"0"}, "the end\n")
		})
	}
}

// The server crashes while jobs run. Nothing is remembered of what it may not
// know, and the reports go on where they were when it is back.
func TestACrashOfPostgreSQLForgetsWhatWasRemembered(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	clock := statedbtest.NewClock()
	db := statedbtest.Open(t, server.URL(t), clock)
	fill(t, db, 2)
	q := queue.New(queue.Options{Store: db, Clock: clock.Now})
	got, err := q.Claim(t.Context(), queue.ClaimParams{Minion: "m", Max: 2})
	if err != nil || len(got) != 2 || statedb.Remembered(db) != 2 {
		t.Fatalf("claimed %v, %d remembered: %v", got, statedb.Remembered(db), err)
	}
	restart := server.Crash(t)
	end := queue.UpdateParams{Job: got[0].Job.ID, Fence: got[0].Job.Fence, Done: true, Exit: "0"}
	if _, err := q.Update(t.Context(), []queue.UpdateParams{end}); core.KindOf(err) != core.KindUnavailable {
		t.Errorf("want an unavailable database, got %v", err)
	}
	restart()
	for _, c := range got {
		end.Job, end.Fence = c.Job.ID, c.Job.Fence
		if rs, err := q.Update(t.Context(), []queue.UpdateParams{end}); err != nil || rs[0].Stale {
			t.Errorf("the end of job %d is %v: %v", end.Job, rs, err)
		}
		if n := statedb.Remembered(db); n != 0 {
			t.Errorf("%d jobs are remembered", n)
		}
	}
}
