package daemon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/queue"
)

// someMinions are what a STATEDB knows of minions.
type someMinions struct {
	known []queue.Minion
	err   error
}

func (s someMinions) Minions(context.Context) ([]queue.Minion, error) { return s.known, s.err }

func TestMinionsWithoutRoomAreTheReasonWhenThereAreNoOthers(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 1, 1, 12, 0, 0, 0, time.UTC)
	short := func(name string) queue.Minion {
		return queue.Minion{Name: name, Seen: now, Short: "only 1 MB are free"}
	}
	const one = `minion "a" gets no job: only 1 MB are free`
	for name, tc := range map[string]struct {
		from      minionLister
		told, why string // why: "" is "as it is", ": …" is added to that
	}{
		"no minions are known":     {nil, "", ""},
		"there are none":           {someMinions{}, "", ": none has asked for a job within 3 min 0 s"},
		"all drain":                {someMinions{known: []queue.Minion{{Name: "a", Seen: now, Drain: true}}}, "", ": those that ask are told to drain"},
		"they can't be asked for":  {someMinions{known: []queue.Minion{short("a")}, err: errors.New("away")}, "", ""},
		"one, and it is short":     {someMinions{known: []queue.Minion{short("a")}}, one, "no minion has room: " + one},
		"another one has room":     {someMinions{known: []queue.Minion{short("a"), {Name: "b", Seen: now}}}, one, ""},
		"the other one drains":     {someMinions{known: []queue.Minion{short("a"), {Name: "b", Seen: now, Drain: true}}}, one, "no minion has room: " + one},
		"the other one is silent":  {someMinions{known: []queue.Minion{short("a"), {Name: "b", Seen: now.Add(-4 * time.Minute)}}}, one, "no minion has room: " + one},
		"the short one is silent":  {someMinions{known: []queue.Minion{{Name: "a", Seen: now.Add(-4 * time.Minute), Short: "s"}}}, "", ": none has asked for a job within 3 min 0 s"},
		"many, the first are told": {someMinions{known: []queue.Minion{short("a"), short("b"), short("c"), short("d"), short("e")}}, one + `; minion "b" gets no job: only 1 MB are free; minion "c" gets no job: only 1 MB are free; and 2 more`, "no minion has room: " + one + `; minion "b" gets no job: only 1 MB are free; minion "c" gets no job: only 1 MB are free; and 2 more`},
	} {
		g := diskGuard{minFree: func() int64 { return 1 }, clock: func() time.Time { return now }, minions: tc.from}
		if diff := cmp.Diff(tc.told, g.told(t.Context())); diff != "" {
			t.Errorf("%s: told (-want +got):\n%s", name, diff)
		}
		want := queue.Why{Reason: "due", Detail: "as it is"}
		if strings.HasPrefix(tc.why, ": ") {
			want.Detail += tc.why
		} else if tc.why != "" {
			want = queue.Why{Reason: "disk", Detail: tc.why}
		}
		if diff := cmp.Diff(want, g.becauseOfMinions(t.Context(), queue.Why{Reason: "due", Detail: "as it is"})); diff != "" {
			t.Errorf("%s: why (-want +got):\n%s", name, diff)
		}
	}
}
