package daemon

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// fakeSource is a queue with one job of each kind.
type fakeSource struct{ now time.Time }

func (f fakeSource) Status(context.Context) (queue.Status, error) {
	return queue.Status{Running: true, Counts: queue.Counts{Lorries: 3, Due: 1, Running: 1, Failing: 1}}, nil
}

func (f fakeSource) jobs() []core.Job {
	ago := func(s time.Duration) time.Time { return f.now.Add(-s * time.Second) }
	return []core.Job{
		{ID: 4, Path: "up/run\x1b[2J", Started: ago(5), OutputSize: 10},
		{ID: 3, Path: "up/done", Exit: "0", Ended: ago(7), Refs: make([]core.RefResult, 2)},
		{ID: 2, Path: "up/bad", Exit: "1", Ended: ago(8), Failure: core.Failure{Kind: core.FailGone, Cause: "no such repository"}},
		{ID: 1, Path: "up/done", Exit: "1", Ended: ago(9), Failure: core.Failure{Kind: core.FailNetwork, Cause: "mended since"}},
	}
}

func (f fakeSource) Jobs(_ context.Context, filter queue.JobFilter) ([]core.Job, error) {
	var list []core.Job
	for _, j := range f.jobs() {
		if (!filter.Running || j.Running()) && (!filter.Failed || j.Failure.Failed()) {
			list = append(list, j)
		}
	}
	return list, nil
}

func (f fakeSource) Output(context.Context, core.JobID, int64, int64) (string, error) {
	return "one\nreceiving objects 50 %\n", nil
}

func (f fakeSource) Lorry(_ context.Context, path string) (core.LorryState, error) {
	l := core.LorryState{Lorry: core.Lorry{Path: path}}
	if path == "up/bad" {
		l.LastFailure = core.Failure{Kind: core.FailGone, Cause: "no such repository"}
	}
	return l, nil
}

func TestViewShowsWhatRunsWhatIsDoneAndWhatFails(t *testing.T) {
	t.Parallel()
	now := time.Unix(5000, 0)
	var out strings.Builder
	v := &view{
		source: fakeSource{now}, out: &out, address: "http://127.0.0.1:1/x", logFile: "log",
		width: func() int { return 60 }, clock: func() time.Time { return now },
	}
	got, err := v.picture(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Lorry Controller at http://127.0.0.1:1/x   (log: log, stop:…",
		"the queue is running · Lorries: 3 · due: 1 · running: 1 · f…",
		"  ▶ up/run[2J  5 s  receiving objects 50 %",
		"  ✓ up/done  7 s ago: mirrored, refs changed: 2",
		"  ✗ up/bad  gone: no such repository",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("picture (-want +got):\n%s", diff)
	}
	v.draw(got)
	v.draw(got[:2])
	if !strings.Contains(out.String(), "\x1b[5A") || strings.Contains(out.String(), "\x1b[2J") {
		t.Errorf("want the second picture over the first, and no control character of a name: %q", out.String())
	}
}
