package adapter

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// notes is an Observer that keeps what it is told.
type notes struct {
	mu    sync.Mutex
	lines []string
}

func (n *notes) add(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.lines = append(n.lines, fmt.Sprintf(format, args...))
}

func (n *notes) AdapterCalled(name, hostType, rpc, result string, took time.Duration) {
	n.add("%s %s %s %s %v", name, hostType, rpc, result, took)
}

func (n *notes) AdapterHeld(name, hostType string, kind core.Kind) {
	n.add("held %s %s %s", name, hostType, kind)
}
func (n *notes) AdapterGone(name string) { n.add("gone %s", name) }

func TestAnObserverIsToldOfCallsAndHolds(t *testing.T) {
	t.Parallel()
	calls := 0
	var refusal error
	told := &notes{}
	bubble(t, Options{Observer: told}, refusing(&refusal, &calls), func(t *testing.T, s *supervisor) {
		for _, refusal = range []error{nil, sdk.Errorf(sdk.NotFound, "gone"), sdk.Errorf(sdk.RateLimited, "slow down")} {
			_ = call(t, s) // what it gives is the other tests' matter
		}
		_ = call(t, s)
		if err := (&downstream{s}).AfterPush(t.Context(), core.Want{Path: "a"}); err == nil {
			t.Error("a call was made while the host was left alone")
		}
		pass(time.Minute)
		if err := (&downstream{s}).AfterPush(t.Context(), core.Want{Path: "a"}); err != nil { // it has nothing to do then
			t.Error(err)
		}
	})
	want := []string{
		"h fake repo ok 0s", "h fake repo not-found 0s", "held h fake rate-limited", "h fake repo rate-limited 0s",
		"h fake repo held -1ns", "h fake after-push held -1ns",
	}
	if diff := cmp.Diff(want, told.lines); diff != "" {
		t.Error(diff)
	}
}

func TestAnObserverIsToldOfHostsThatAreGone(t *testing.T) {
	t.Parallel()
	told := &notes{}
	m := NewManager(Options{Dir: t.TempDir(), Observer: told})
	defer m.Close(t.Context())
	for _, hosts := range [][]Instance{{{Name: "a", Type: "fake"}, {Name: "b", Type: "fake"}}, {{Name: "b", Type: "fake"}}} {
		if err := m.Apply(t.Context(), hosts); err == nil {
			t.Error("a program that is not there was no problem")
		}
	}
	if diff := cmp.Diff([]string{"gone a"}, told.lines); diff != "" {
		t.Error(diff)
	}
}
