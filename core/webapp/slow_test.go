package webapp_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

// TestSlowHostsKeepFewJobs: when preparing takes long, the rest of a large
// claim goes back instead of waiting with its leases, and nothing is lost.
func TestSlowHostsKeepFewJobs(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *webapp.Options) { o.PrepareTimeout = time.Millisecond })
	const count = 40
	for i := range count {
		s.queue.Put(lorryAt(fmt.Sprintf("slow/%02d", i)))
	}
	s.preparer.OnPrepare = func(ctx context.Context, _ core.LorryState) (minions.Prepared, error) {
		<-ctx.Done()
		return minions.Prepared{}, ctx.Err()
	}
	if _, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1", Max: count}); err != nil {
		t.Fatal(err)
	}
	jobs, err := s.queue.Jobs(t.Context(), queue.JobFilter{})
	if err != nil {
		t.Fatal(err)
	}
	ends := map[string]int{}
	for _, j := range jobs {
		ends[j.Exit]++
	}
	if ends["1"] < 8 || ends["returned"] == 0 || ends["no"] > 0 || ends["1"]+ends["returned"] != len(jobs) {
		t.Errorf("%d jobs ended as %v", len(jobs), ends)
	}
}
