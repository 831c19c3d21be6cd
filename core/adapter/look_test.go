package adapter

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestCredentialsThatEndAreWarnedOfOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	s := &supervisor{
		log: hclog.New(&hclog.LoggerOptions{Output: &log}), st: State{Phase: PhaseReady},
		opts: Options{Clock: func() time.Time { return now }},
	}
	end := time.Date(2026, 10, 15, 0, 0, 0, 0, time.UTC)
	report := sdk.Report{ServerVersion: "forge 1", ExpiresAt: end}
	look := func(r sdk.Report, err error) []string {
		s.noteCheck(r, err)
		return s.state().Warnings
	}
	if got := look(report, nil); len(got) != 0 {
		t.Errorf("44 days before: %q", got)
	}
	now = now.AddDate(0, 0, 20)
	want := []string{"the credentials stop working on 2026-10-15: replace them before"}
	if diff := cmp.Diff(want, s.state().Warnings); diff != "" {
		t.Errorf("24 days before, without another look (-want +got):\n%s", diff)
	}
	for range 3 {
		if diff := cmp.Diff(want, look(report, nil)); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	}
	if n := strings.Count(log.String(), want[0]); n != 1 {
		t.Errorf("the log has it %d times:\n%s", n, log.String())
	}
	if diff := cmp.Diff(want, look(sdk.Report{}, core.Errorf(core.KindUnavailable, "no answer"))); diff != "" {
		t.Errorf("a host that does not answer makes it forgotten (-want +got):\n%s", diff)
	}
	said := report
	said.Diagnostics = []sdk.Diagnostic{{Severity: sdk.SeverityWarning, Path: "token", Summary: "it expires on 2026-10-15", Detail: "make a new one"}}
	if diff := cmp.Diff([]string{"token: it expires on 2026-10-15; make a new one"}, look(said, nil)); diff != "" {
		t.Errorf("what the adapter says itself is said twice (-want +got):\n%s", diff)
	}
	now = end.Add(time.Hour)
	if got := look(report, nil); len(got) != 1 || !strings.Contains(got[0], "stopped working on 2026-10-15") {
		t.Errorf("after the end: %q", got)
	}
	if st := s.state(); !st.ExpiresAt.Equal(end) || st.ServerVersion != "forge 1" {
		t.Errorf("got %+v", st)
	}
}
