package minion

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

func TestLinesOfOurLorryAreReadAsFarAsTheyGo(t *testing.T) {
	t.Parallel()
	const report = `{"path":"a","exit":3}` + "\n"
	const step = `{"progress":{"path":"a","phase":"fetching","done":1,"refs":2}}` + "\n"
	far := core.Progress{Path: "a", Phase: "fetching", Done: 1, Refs: 2}
	for name, test := range map[string]struct {
		text  string
		want  *protocol.ImportReport
		steps []core.Progress
	}{
		"nothing":           {"", nil, nil},
		"a report":          {report, &protocol.ImportReport{Path: "a", Exit: 3}, nil},
		"without its end":   {strings.TrimSpace(report), &protocol.ImportReport{Path: "a", Exit: 3}, nil},
		"progress before":   {step + step + report, &protocol.ImportReport{Path: "a", Exit: 3}, []core.Progress{far, far}},
		"progress alone":    {step, nil, []core.Progress{far}},
		"half a report":     {step + report[:9], nil, []core.Progress{far}},
		"an endless line":   {step + strings.Repeat("x", maxReport+1), nil, []core.Progress{far}},
		"no JSON":           {"lorry: oops\n", nil, nil},
		"a report of lists": {`{"exit":[]}` + "\n", nil, nil},
	} {
		var steps []core.Progress
		got := readReport(strings.NewReader(test.text), func(p core.Progress) { steps = append(steps, p) })
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: report (-want +got):\n%s", name, diff)
		}
		if diff := cmp.Diff(test.steps, steps); diff != "" {
			t.Errorf("%s: progress (-want +got):\n%s", name, diff)
		}
	}
}

// TestProgressReachesTheController lets a lorry tell two steps and wait until
// the controller has shown the second.
func TestProgressReachesTheController(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.program(t, "lorry", oursHelp+`
cat <&3 >/dev/null
echo '{"progress":{"path":"up/foo","phase":"fetching"}}' >&4
echo '{"progress":{"path":"up/foo","phase":"Receiving objects","done":4,"total":5,"refs":2}}' >&4
echo receiving
while [ ! -e "$2/go" ]; do sleep 0.01; done
echo '{"path":"up/foo","exit":0,"digest":"d1"}' >&4
`)
	b.put("up/foo")
	b.start(t)
	want := &core.Progress{Phase: "Receiving objects", Done: 4, Total: 5, Refs: 2}
	got := b.await(t, 1, func(j core.Job) bool { return j.Progress != nil && j.Progress.Total > 0 })
	if diff := cmp.Diff(want, got.Progress); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := os.WriteFile(filepath.Join(b.options.WorkingArea, "go"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := b.await(t, 1, ended); got.Progress != nil || got.Exit != "0" {
		t.Errorf("an ended job has exit %q and progress %+v", got.Exit, got.Progress)
	}
}

func TestProgressIsNewsUntilItWasAccepted(t *testing.T) {
	t.Parallel()
	s := &steps{}
	if s.news() != nil {
		t.Error("there is news before anything was told")
	}
	s.set(core.Progress{Path: "a", Phase: "fetching"})
	first := s.news()
	if diff := cmp.Diff(&core.Progress{Phase: "fetching"}, first); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.set(core.Progress{Path: "a", Phase: "pushing"})
	s.accepted(first)
	if diff := cmp.Diff(&core.Progress{Phase: "pushing"}, s.news()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	s.accepted(s.news())
	if got := s.news(); got != nil {
		t.Errorf("what was accepted is news: %+v", got)
	}
}
