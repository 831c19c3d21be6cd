package webapp_test

import (
	"context"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// An end whose answer was lost on the way is sent again, and accepted again; any
// other end that comes too late is not.
func TestAnEndThatIsSentAgainIsAcceptedAgain(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	told := make(chan string, 2)
	s.preparer.OnPushed = func(_ context.Context, l core.LorryState, _ string) error {
		told <- l.Path
		return nil
	}
	m := s.minion()
	job, err := m.GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1", PID: 7})
	if err != nil {
		t.Fatal(err)
	}
	report := func(exit string, fence core.Fence) protocol.UpdateAnswer {
		t.Helper()
		answers, err := m.Update(t.Context(), []protocol.Update{{JobID: *job.JobID, Fence: fence, Exit: exit, Stdout: "done\n"}})
		if err != nil {
			t.Fatal(err)
		}
		return answers[0]
	}
	accepted, late := protocol.UpdateAnswer{JobID: 1}, protocol.UpdateAnswer{JobID: 1, Kill: true, Stale: true}
	for _, step := range []struct {
		name, exit string
		fence      core.Fence
		want       protocol.UpdateAnswer
	}{
		{"the end", "0", job.Fence, accepted},
		{"the same again", "0", job.Fence, accepted},
		{"another end", "1", job.Fence, late},
		{"a report behind the end", "no", job.Fence, late},
		{"of another claim", "0", job.Fence + 1, late},
		{"of the original's minion", "0", 0, late},
	} {
		if diff := cmp.Diff(step.want, report(step.exit, step.fence)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
	for range 2 { // the host may not have been told the first time
		if path := <-told; path != "upstream/foo" {
			t.Errorf("told of %q", path)
		}
	}
	if got := s.get(t, "/1.0/job/1").body; strings.Count(got, "done") != 1 {
		t.Errorf("the output is not there once: %s", got)
	}
}

func TestAMinionWithALongNameIsDrained(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	name := strings.Repeat("m", 5000)
	s.post(t, "/1.0/give-me-job", "host="+name+"&version=2&max=1").want(t, 200, "upstream/foo")
	list := s.get(t, "/1.0/minions")
	if len(list.body) > 2000 {
		t.Errorf("the list has %d bytes", len(list.body))
	}
	_, known, _ := strings.Cut(list.body, `"name":"`)
	known, _, _ = strings.Cut(known, `"`)
	s.post(t, "/1.0/minions/drain", "minion="+known).want(t, 200, "")
	s.post(t, "/1.0/give-me-job", "host="+name+"&version=2").want(t, 200, `"drain":true`)
}
