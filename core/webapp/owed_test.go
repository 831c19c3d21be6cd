package webapp_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// TestALookTellsTheHostOnlyWhatIsOwed: a job that only looked at upstream has
// nothing to tell, unless the Downstream Host missed the last push.
func TestALookTellsTheHostOnlyWhatIsOwed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	told := make(chan int64, 10)
	var job atomic.Int64
	var away atomic.Bool
	s.preparer.OnPushed = func(context.Context, core.LorryState, string) error {
		told <- job.Load()
		if away.Load() {
			return core.Errorf(core.KindUnavailable, "forge is away")
		}
		return nil
	}
	// run ends the next job.
	run := func(u protocol.Update) {
		t.Helper()
		id := core.JobID(job.Add(1))
		answer, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1"})
		if err != nil || answer.JobID == nil || *answer.JobID != id {
			t.Fatalf("%+v, %v", answer, err)
		}
		u.JobID, u.Fence, u.Exit, u.Head = id, answer.Fence, "0", "refs/heads/main"
		if _, err := s.minion().Update(t.Context(), []protocol.Update{u}); err != nil {
			t.Fatal(err)
		}
		s.clock.Add(3 * time.Hour)
	}
	look := protocol.Update{Unchanged: true, Digest: "d"}
	run(protocol.Update{Stdout: "pushed\n"})
	got := []int64{<-told}
	run(look)
	away.Store(true)
	run(protocol.Update{Stdout: "pushed\n"})
	got = append(got, <-told)
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	noted := func(j core.Job) bool { return j.OutputSize > int64(len("pushed\n")) }
	if _, err := s.queue.AwaitJob(ctx, 3, noted); err != nil {
		t.Fatal(err)
	}
	away.Store(false)
	run(look)
	got = append(got, <-told)
	run(protocol.Update{Unchanged: true, Digest: "d", Stdout: "downstream was looked at\n", Sent: 25})
	if err := s.server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(told)
	for id := range told {
		got = append(got, id)
	}
	if diff := cmp.Diff([]int64{1, 3, 4, 5}, got); diff != "" {
		t.Errorf("jobs that were told of (-want +got):\n%s", diff)
	}
}
