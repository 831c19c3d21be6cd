package importer

import (
	"os"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// TestDailyLookWithoutWorkingCopy: a minion that never had a working copy finds
// out all the same what somebody did to the mirror, once a day.
func TestDailyLookWithoutWorkingCopy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.opts.Request.Digest = w.mustRun().Digest
	w.opts.Request.Interval = 3600
	w.lose(".")
	start := time.Date(2020, 1, 1, 0, 30, 0, 0, time.UTC)
	looks := func() (hours []int) {
		for hour := range 24 {
			w.opts.Clock = func() time.Time { return start.Add(time.Duration(hour) * time.Hour) }
			if _, same := Look(t.Context(), w.opts); !same {
				hours = append(hours, hour)
			}
		}
		return hours
	}
	if hours := looks(); len(hours) > 0 {
		t.Fatalf("the mirror is as it was, but is not at %v", hours)
	}
	w.down.Git("update-ref", "-d", "refs/heads/next")
	hours := looks()
	if len(hours) != 1 {
		t.Fatalf("it was looked at in the hours %v", hours)
	}
	if _, err := os.Stat(w.area().Dir); err == nil {
		t.Error("a look made a working copy")
	}
	at := start.Add(time.Duration(hours[0]) * time.Hour)
	w.opts.Clock = func() time.Time { return at.Add(-time.Hour) }
	if report := w.mustRun(); !report.Unchanged {
		t.Errorf("got %+v", report)
	}
	w.opts.Clock = func() time.Time { return at }
	if report := w.mustRun(); report.Unchanged || refStatus(report)["refs/heads/next"] != core.RefNew {
		t.Errorf("got %+v", report)
	}
	w.mustEqual()

	// A mirror that is not there is told, and nothing is fetched for it.
	w.lose(".")
	if err := os.RemoveAll(w.down.Dir); err != nil {
		t.Fatal(err)
	}
	w.mustFail(core.FailGone)
	if _, err := os.Stat(w.area().Dir); err == nil {
		t.Error("it was fetched all the same")
	}
}
