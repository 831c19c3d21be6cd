package daemon

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

// TestJobThatMeetsARateLimitIsDueAfterTheHold goes from the adapter's error to
// the run queue: the job fails, and no Lorry of the host is given out meanwhile.
func TestJobThatMeetsARateLimitIsDueAfterTheHold(t *testing.T) {
	t.Parallel()
	const hold = queue.DefaultRateLimitHold
	now := time.Unix(1_000_000, 0)
	clock := func() time.Time { return now }
	db, err := statedb.Open(t.Context(), statedb.Options{URL: filepath.Join(t.TempDir(), "state.db"), Log: hclog.NewNullLogger(), Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}()
	q := queue.New(queue.Options{Store: db, Clock: clock, Log: hclog.NewNullLogger()})
	var lorries []core.Lorry
	for _, path := range []string{"up/one", "up/two"} {
		lorries = append(lorries, core.Lorry{
			Path: path, Text: "{}", Section: "host up", Host: "up", HostPath: path, UpstreamHost: "git.example.com",
			Interval: time.Minute, Timeout: time.Hour,
		})
	}
	if err := db.PutLorries(t.Context(), lorries); err != nil {
		t.Fatal(err)
	}
	claim := func() []queue.Claimed {
		t.Helper()
		claimed, err := q.Claim(t.Context(), queue.ClaimParams{Minion: "m", Max: 1})
		if err != nil {
			t.Fatal(err)
		}
		return claimed
	}
	p := newPreparer(&fakeHosts{fail: &core.Error{Kind: core.KindRateLimited, Fact: "asked too often", RetryAfter: hold}}, &now)
	p.holder = q
	claimed := claim()
	if len(claimed) != 1 {
		t.Fatalf("%d jobs were given out", len(claimed))
	}
	_, err = p.Prepare(t.Context(), claimed[0].LorryState)
	failure := minions.PrepareFailure(err)
	if failure.Kind != core.FailRateLimited {
		t.Fatalf("want kind %q, got %+v", core.FailRateLimited, failure)
	}
	if _, err := q.Update(t.Context(), []queue.UpdateParams{{
		Job: claimed[0].Job.ID, Fence: claimed[0].Job.Fence, Done: true, Exit: "1", Failure: failure,
	}}); err != nil {
		t.Fatal(err)
	}
	now = now.Add(hold - time.Second)
	if got := claim(); len(got) != 0 {
		t.Errorf("during the hold %q was given out", got[0].Path)
	}
	now = now.Add(2 * time.Second)
	given := map[string]bool{}
	for range 2 {
		for _, c := range claim() {
			given[c.Path] = true
		}
	}
	if !given["up/one"] || !given["up/two"] {
		t.Errorf("after the hold these were given out: %v", given)
	}
}
