package adapter_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// TestMajorsOfTheProtocol: a deprecated one works and is told once for a start,
// an unknown one is refused in one line with what to do, and of two that both
// sides know the newer one is spoken.
func TestMajorsOfTheProtocol(t *testing.T) {
	t.Parallel()
	const warning, refusal = "adapter speaks a deprecated version of the protocol", "speaks version 1 of the protocol, this core speaks 2"
	old := host.Major{Number: 1, Deprecated: "release 9"}
	for name, tc := range map[string]struct {
		majors   []host.Major
		works    bool
		warnings int
	}{
		"current":    {nil, true, 0},
		"deprecated": {[]host.Major{old, {Number: 2}}, true, 1},
		"unknown":    {[]host.Major{{Number: 2}}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &safeBuffer{}
			opts := impatient()
			opts.Majors, opts.Log = tc.majors, hclog.New(&hclog.LoggerOptions{Output: log})
			m := newManager(t, opts, adapter.Instance{Name: "tree", Type: "local", Settings: map[string]any{"path": t.TempDir()}})
			for range 3 {
				if err := m.Check(t.Context(), "tree"); (err == nil) != tc.works {
					t.Fatalf("got %v", err)
				}
			}
			if n := strings.Count(log.String(), warning); n != tc.warnings {
				t.Errorf("want %d warnings, got %d:\n%s", tc.warnings, n, log)
			}
			if tc.works {
				if st := stateOf(t, m, "tree"); st.Protocol != 1 {
					t.Errorf("state %+v", st)
				}
				return
			}
			if n := strings.Count(log.String(), refusal); n != 1 || !strings.Contains(log.String(), "install a release of the adapter") {
				t.Errorf("told %d times:\n%s", n, log)
			}
			if st := stateOf(t, m, "tree"); st.Phase != adapter.PhaseBroken || st.Hint == "" {
				t.Errorf("state %+v", st)
			}
		})
	}
}
