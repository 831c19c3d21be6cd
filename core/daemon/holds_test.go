package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

// holdsWorld is a run queue with Lorries of two upstream hosts, and hosts whose
// every call fails as fail says.
type holdsWorld struct {
	*testing.T
	now     time.Time
	queue   *queue.Queue
	hosts   *fakeHosts
	prepare *preparer
	listed  []string
}

func newHoldsWorld(t *testing.T, fail error) *holdsWorld {
	t.Helper()
	w := &holdsWorld{T: t, now: time.Unix(1_000_000, 0), hosts: &fakeHosts{fail: fail}}
	clock := func() time.Time { return w.now }
	db, err := statedb.Open(t.Context(), statedb.Options{URL: filepath.Join(t.TempDir(), "state.db"), Log: hclog.NewNullLogger(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	w.queue = queue.New(queue.Options{Store: db, Clock: clock, Log: hclog.NewNullLogger()})
	var lorries []core.Lorry
	for _, path := range []string{"up/one", "up/two", "very/three"} {
		section, _, _ := strings.Cut(path, "/")
		lorries = append(lorries, core.Lorry{
			Path: path, Text: "{}", Section: "host:" + section, Host: section, HostPath: path, UpstreamHost: section + ".example.com",
			Interval: time.Minute, Timeout: time.Hour,
		})
	}
	if err := db.PutLorries(t.Context(), lorries); err != nil {
		t.Fatal(err)
	}
	w.prepare = newPreparer(w.hosts, &w.now)
	w.prepare.holder = w.queue
	w.prepare.confirm = func(_ context.Context, host string) error {
		w.listed = append(w.listed, host)
		return nil
	}
	return w
}

// claim gives out one job of a path, and puts back whatever else came.
func (w *holdsWorld) claim() (queue.Claimed, bool) {
	w.Helper()
	claimed, err := w.queue.Claim(w.Context(), queue.ClaimParams{Minion: "m", Max: 1})
	if err != nil {
		w.Fatal(err)
	}
	if len(claimed) == 0 {
		return queue.Claimed{}, false
	}
	return claimed[0], true
}

// end ends a job.
func (w *holdsWorld) end(c queue.Claimed, failure core.Failure) {
	w.Helper()
	exit := "0"
	if failure.Failed() {
		exit = "1"
	}
	if _, err := w.queue.Update(w.Context(), []queue.UpdateParams{{
		Job: c.Job.ID, Fence: c.Job.Fence, Done: true, Exit: exit, Failure: failure,
	}}); err != nil {
		w.Fatal(err)
	}
}

// given names the sections of all Lorries that are given out now; their jobs
// end well.
func (w *holdsWorld) given() string {
	w.Helper()
	var sections []string
	for {
		c, ok := w.claim()
		if !ok {
			return strings.Join(sections, " ")
		}
		sections = append(sections, c.Host)
		defer w.end(c, core.Failure{})
	}
}

// meet prepares the first job, which must fail, and gives the failure.
func (w *holdsWorld) meet() core.Failure {
	w.Helper()
	for {
		c, ok := w.claim()
		if !ok {
			w.Fatal("there is no job for the host")
		}
		if c.Host != "up" {
			w.end(c, core.Failure{})
			continue
		}
		_, err := w.prepare.Prepare(w.Context(), c.LorryState)
		if err == nil {
			w.Fatal("the host did not fail")
		}
		failure := minions.PrepareFailure(err)
		w.end(c, failure)
		return failure
	}
}

// TestTableOfKindsIsEnacted goes through every row of the table of error kinds
// for an Upstream Host and for the Downstream Host, from the adapter's error to
// what the run queue gives out.
func TestTableOfKindsIsEnacted(t *testing.T) {
	t.Parallel()
	// What is given out a minute after the first job has failed: the other host's
	// Lorry, the host's other one, and the failed one once its backoff is over.
	const nothing, other, all = "", "very", "up very"
	for _, row := range adapter.Policy() {
		wantUp, wantDown, until := all, all, time.Duration(0)
		switch row.Action {
		case adapter.HoldUntil:
			wantUp, wantDown, until = other, nothing, 5*time.Minute
		case adapter.HoldAndAlert:
			wantUp, wantDown, until = other, nothing, time.Hour
		default:
		}
		for side, want := range map[string]string{"upstream": wantUp, "downstream": wantDown} {
			t.Run(string(row.Kind)+" "+side, func(t *testing.T) {
				t.Parallel()
				fail := &core.Error{Kind: row.Kind, Fact: "as the test wants it"}
				if row.Action == adapter.HoldUntil {
					fail.RetryAfter = until
				}
				w := newHoldsWorld(t, fail)
				if side == "downstream" {
					w.hosts.failDownstream = true
				}
				if failure := w.meet(); failure.Kind != row.Failure {
					t.Errorf("want a failure of kind %q, got %+v", row.Failure, failure)
				}
				if got := w.given(); sorted(got) != sorted(want) {
					t.Errorf("want %q to be given out, got %q", want, got)
				}
				if want := row.Action == adapter.ConfirmByListing && side == "upstream"; want != (len(w.listed) == 1) {
					t.Errorf("the host was listed: %q", w.listed)
				}
				w.holdEnds(until)
			})
		}
	}
}

// holdEnds looks whether everything is given out once a hold is over, and
// nothing of the host a second before.
func (w *holdsWorld) holdEnds(after time.Duration) {
	w.Helper()
	if after == 0 {
		if holds, err := w.queue.HostHolds(w.Context()); err != nil || len(holds) > 0 {
			w.Errorf("this holds no host: %v, %v", holds, err)
		}
		return
	}
	w.now = w.now.Add(after - time.Second)
	if got := w.given(); strings.Contains(got, "up") {
		w.Errorf("during the hold %q were given out", got)
	}
	w.now = w.now.Add(2 * time.Second)
	if got := w.given(); strings.Count(got, "up") != 2 {
		w.Errorf("after the hold %q were given out", got)
	}
}

func sorted(words string) string {
	list := strings.Fields(words)
	slices.Sort(list)
	return strings.Join(list, " ")
}

// TestHoldForCredentialsEndsEarly: with a changed configuration, a new start of
// the core, or an adapter that was restarted.
func TestHoldForCredentialsEndsEarly(t *testing.T) {
	t.Parallel()
	held := []adapter.State{{Name: "up", HeldKind: string(core.KindUnauthenticated)}}
	for name, tc := range map[string]struct {
		kind      core.Kind
		states    []adapter.State
		restarted string
		lifted    bool
	}{
		"nothing changed":                   {core.KindUnauthenticated, held, "", false},
		"the configuration changed":         {core.KindUnauthenticated, []adapter.State{{Name: "up"}}, "", true},
		"the core was started":              {core.KindUnauthenticated, nil, "", true},
		"the adapter was restarted":         {core.KindUnauthenticated, held, "up", true},
		"another adapter was restarted":     {core.KindUnauthenticated, held, "other", false},
		"a rate limit, and a new start":     {core.KindRateLimited, nil, "", false},
		"a rate limit, and a restart of it": {core.KindRateLimited, nil, "up", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newHoldsWorld(t, &core.Error{Kind: tc.kind, Fact: "no"})
			w.meet()
			if err := w.queue.HoldHost(t.Context(), "very.example.com", time.Time{}, "[maintenance] by hand"); err != nil {
				t.Fatal(err)
			}
			if err := liftHolds(t.Context(), w.queue, tc.states, tc.restarted); err != nil {
				t.Fatal(err)
			}
			holds, err := w.queue.HostHolds(t.Context())
			if _, still := holds["up.example.com"]; err != nil || still == tc.lifted {
				t.Errorf("held: %v, %v", holds, err)
			}
			if _, still := holds["very.example.com"]; !still {
				t.Error("an admin's hold was ended")
			}
		})
	}
}

func TestHoldOfAnAdminIsNotCutShort(t *testing.T) {
	t.Parallel()
	w := newHoldsWorld(t, &core.Error{Kind: core.KindRateLimited, Fact: "no", RetryAfter: time.Minute})
	c, ok := w.claim()
	for ; ok && c.Host != "up"; c, ok = w.claim() {
		w.end(c, core.Failure{})
	}
	if err := w.queue.HoldHost(t.Context(), "up.example.com", time.Time{}, "maintenance"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.prepare.Prepare(t.Context(), c.LorryState); err == nil {
		t.Fatal("it does not fail")
	}
	holds, err := w.queue.HostHolds(t.Context())
	if diff := cmp.Diff("maintenance", holds["up.example.com"].Reason); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// meanwhile has an admin hold a host just after somebody has looked at the holds.
type meanwhile struct {
	*queue.Queue
	admin func() error
}

func (m meanwhile) HostHolds(ctx context.Context) (map[string]queue.HostHold, error) {
	holds, err := m.Queue.HostHolds(ctx)
	return holds, errors.Join(err, m.admin())
}

func TestHoldOfAnAdminComesJustBefore(t *testing.T) {
	t.Parallel()
	w := newHoldsWorld(t, nil)
	slow := &core.Error{Kind: core.KindRateLimited, Fact: "slow down", RetryAfter: time.Minute}
	up := party{"up", "up.example.com", true}
	if err := w.prepare.hold(t.Context(), up, slow); err != nil {
		t.Fatal(err)
	}
	holder := meanwhile{w.queue, func() error { return w.queue.HoldHost(t.Context(), "up.example.com", time.Time{}, "maintenance") }}
	w.prepare.holder = holder
	if err := liftHolds(t.Context(), holder, nil, "up"); err != nil {
		t.Fatal(err)
	}
	slow.RetryAfter = time.Hour
	if err := w.prepare.hold(t.Context(), up, slow); err != nil {
		t.Fatal(err)
	}
	holds, err := w.queue.HostHolds(t.Context())
	if diff := cmp.Diff("maintenance", holds["up.example.com"].Reason); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

// TestHeldLorrySaysWhy: the reason names the host that is waited for.
func TestHeldLorrySaysWhy(t *testing.T) {
	t.Parallel()
	w := newHoldsWorld(t, &core.Error{Kind: core.KindUnauthenticated, Fact: "the token is refused"})
	w.hosts.failDownstream = true
	w.meet()
	why, err := w.queue.Explain(t.Context(), "very/three")
	if text := fmt.Sprint(why); err != nil || !strings.Contains(text, "all Lorries are held: [unauthenticated: downstream]") || !strings.Contains(text, "the token is refused") {
		t.Errorf("got %s, %v", text, err)
	}
}

// brokenHolder can't hold anything.
type brokenHolder struct{ hostHolder }

func (brokenHolder) HostHolds(context.Context) (map[string]queue.HostHold, error) {
	return nil, errors.New("no STATEDB")
}

func (brokenHolder) HoldHostLonger(context.Context, string, time.Time, string) error {
	return errors.New("no STATEDB")
}

func TestErrorOfTheHostComesFirst(t *testing.T) {
	t.Parallel()
	w := newHoldsWorld(t, &core.Error{Kind: core.KindRateLimited, Fact: "asked too often"})
	w.prepare.holder = brokenHolder{}
	_, err := w.prepare.Prepare(t.Context(), generated())
	if core.KindOf(err) != core.KindInternal && core.KindOf(err) != core.KindRateLimited || !strings.Contains(err.Error(), "asked too often") {
		t.Errorf("got %v", err)
	}
	l := generated()
	l.UpstreamHost = "up.example.com"
	if _, err := w.prepare.Prepare(t.Context(), l); core.KindOf(err) != core.KindRateLimited || !strings.Contains(err.Error(), "no STATEDB") {
		t.Errorf("got %v", err)
	}
	if err := liftHolds(t.Context(), brokenHolder{}, nil, ""); err == nil {
		t.Error("holds that can't be read are not told")
	}
}
