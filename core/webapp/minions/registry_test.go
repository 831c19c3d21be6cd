package minions

import (
	"fmt"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

func TestAMinionOfAnotherVersionIsToldOfOnce(t *testing.T) {
	t.Parallel()
	g := newRegistry(nil)
	for i, step := range []struct {
		name     string
		protocol int
		want     string // part of what is said; "" is nothing
	}{
		{"ours", protocol.Version, ""},
		{"old", 1, "upgrade the minion"},
		{"old", 1, ""},
		{"new", protocol.Version + 1, "upgrade the controller"},
		{"old", protocol.Version, ""},
		{"old", 1, ""},
		{"old", protocol.Version + 1, "upgrade the controller"},
		{"new", protocol.Version + 1, ""},
		{"", 1, ""},
	} {
		got := g.skewed(queue.Minion{Name: step.name, Protocol: step.protocol})
		if (got == "") != (step.want == "") || !strings.Contains(got, step.want) {
			t.Errorf("step %d, %q with version %d: got %q, want %q", i, step.name, step.protocol, got, step.want)
		}
	}
}

func TestWhatTheLogWasToldOfMinionsIsBounded(t *testing.T) {
	t.Parallel()
	g := newRegistry(nil)
	for i := range mostNames + 10 {
		g.skewed(queue.Minion{Name: fmt.Sprint(i), Protocol: 1})
	}
	if len(g.told) != mostNames {
		t.Errorf("%d are remembered, want %d", len(g.told), mostNames)
	}
}
