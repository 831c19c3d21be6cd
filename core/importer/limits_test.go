package importer

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestLimits holds that a job that passes a limit is stopped with a failure
// that names it, and changes nothing downstream.
func TestLimits(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		limits Limits
		cause  string
	}{
		"output": {Limits{Output: 40}, "more than 40 bytes of messages"},
		"disk":   {Limits{Disk: 1000}, "bytes of the working area, and at most 1000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.opts.Limits = test.limits
			report := w.mustFail(core.FailLimit)
			if !strings.Contains(report.Failure.Cause, test.cause) || report.Failure.Hint == "" {
				t.Errorf("got %+v", report.Failure)
			}
			if diff := cmp.Diff(map[string]string{}, w.down.Refs()); diff != "" {
				t.Error(diff)
			}
			w.opts.Limits = Limits{Output: 1 << 20, Disk: 1 << 30}
			w.mustRun()
			w.mustEqual()
		})
	}
}
