package adapter_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
)

// TestEachKindOfErrorDoesWhatTheTableSays gives every kind of error by a real
// adapter, twice, and looks how often the adapter was asked.
func TestEachKindOfErrorDoesWhatTheTableSays(t *testing.T) {
	t.Parallel()
	for _, rule := range adapter.Policy() {
		t.Run(string(rule.Kind), func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			m := newManager(t, impatient(), hostile("h", "kind:"+string(rule.Kind), dir))
			for range 2 {
				_, _, err := upstreamOf(t, m, "h").Repo(t.Context(), "a")
				var e *core.Error
				if !errors.As(err, &e) || e.Kind != rule.Kind || e.Hint != "do something" || !strings.Contains(e.Fact, "it says") {
					t.Fatalf("want kind %q with its fact and hint, got %#v", rule.Kind, err)
				}
				if got := adapter.RuleOf(err); got != rule {
					t.Errorf("want the rule %+v, got %+v", rule, got)
				}
			}
			holds := map[adapter.Action]time.Duration{adapter.HoldUntil: 30 * time.Minute, adapter.HoldAndAlert: time.Hour}
			asked, st := 2, stateOf(t, m, "h")
			if wait, held := holds[rule.Action]; held {
				asked = 1
				left := time.Until(st.HeldUntil)
				if left > wait || left < wait-time.Minute || st.HeldKind != string(rule.Kind) || !strings.Contains(st.Reason, "is left alone until") {
					t.Errorf("want it to be held for %v, got %+v", wait, st)
				}
			} else if !st.HeldUntil.IsZero() {
				t.Errorf("it is held: %+v", st)
			}
			raw, err := os.ReadFile(filepath.Join(dir, "calls"))
			if err != nil || len(raw) != asked {
				t.Errorf("want the adapter to be asked %d times, it was %d times (%v)", asked, len(raw), err)
			}
			if st.Phase != adapter.PhaseReady || st.Starts != 1 || st.Faults != 0 {
				t.Errorf("the adapter's process: %+v", st)
			}
		})
	}
}

func TestSettingsOfAWrongTypeBreakAnAdapterWithoutAskingIt(t *testing.T) {
	t.Parallel()
	inst := hostile("h", "crash-in-configure", t.TempDir())
	inst.Settings["dir"] = []any{"a"}
	m := newManager(t, impatient(), inst)
	err := m.Check(t.Context(), "h")
	var e *core.Error
	if !errors.As(err, &e) || !strings.Contains(e.Fact, `"dir" must be a string, not a list`) || !strings.Contains(e.Hint, "correct the settings") {
		t.Errorf("got %#v", err)
	}
	if st := stateOf(t, m, "h"); st.Phase != adapter.PhaseBroken || st.Starts != 1 {
		t.Errorf("state %+v", st)
	}
}

func TestRetireIsReachedOrRefused(t *testing.T) {
	t.Parallel()
	for typ, want := range map[string]core.Kind{"hostile": "", "local": core.KindUnsupported} {
		t.Run(typ, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			inst := adapter.Instance{Name: adapter.DownstreamName, Type: typ, Settings: map[string]any{"base-directory": dir}}
			if typ == "hostile" {
				inst.Settings = map[string]any{"dir": dir}
			}
			down, err := newManager(t, impatient(), inst).Downstream(adapter.DownstreamName)
			if err != nil {
				t.Fatal(err)
			}
			retirer, ok := down.(adapter.Retirer)
			if !ok {
				t.Fatalf("%T is no Retirer", down)
			}
			err = retirer.RetireRepo(t.Context(), "a/b")
			if want != "" {
				if err == nil || core.KindOf(err) != want {
					t.Errorf("want kind %q, got %v", want, err)
				}
				return
			}
			raw, readErr := os.ReadFile(filepath.Join(dir, "retired"))
			if err != nil || string(raw) != "a/b" {
				t.Errorf("%v: retired %q (%v)", err, raw, readErr)
			}
		})
	}
}
