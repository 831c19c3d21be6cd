package daemon

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/settings"
)

func TestDiskGuardGivesNothingWhileADiskIsFull(t *testing.T) {
	t.Parallel()
	free := map[string]int64{"/data": 500, "/work": 99}
	g := diskGuard{dirs: []string{"/data", "/work", "/gone"}, minFree: func() int64 { return 100 }, free: func(dir string) (int64, error) {
		if dir == "/gone" {
			return 0, errors.New("no such directory")
		}
		return free[dir], nil
	}}
	if got := g.warning(); !strings.Contains(got, "/work") || !strings.Contains(got, "min-free") {
		t.Errorf("want a warning that names /work and min-free, got %q", got)
	}
	if claimed, err := g.Claim(t.Context(), queue.ClaimParams{}); claimed != nil || err != nil {
		t.Errorf("want no job and no error, got %v, %v", claimed, err)
	}
	free["/work"] = 100
	if got := g.warning(); got != "" {
		t.Errorf("want no warning once there is room, got %q", got)
	}
}

func TestDiskGuardIsTheReasonOnlyOfWhatIsDue(t *testing.T) {
	t.Parallel()
	var free int64
	g := diskGuard{dirs: []string{"/data"}, minFree: func() int64 { return 1 }, free: func(string) (int64, error) { return free, nil }}
	explain := func(reason string) queue.Why { return g.because(queue.Why{Reason: reason, Detail: "as it is"}) }
	if why := explain("due"); why.Reason != "disk" || !strings.Contains(why.Detail, "/data") {
		t.Errorf("due: %+v", why)
	}
	if diff := cmp.Diff(queue.Why{Reason: "held", Detail: "as it is"}, explain("held")); diff != "" {
		t.Errorf("held (-want +got):\n%s", diff)
	}
	free = 1
	if diff := cmp.Diff(queue.Why{Reason: "due", Detail: "as it is"}, explain("due")); diff != "" {
		t.Errorf("with room (-want +got):\n%s", diff)
	}
}

func TestDiskGuardWatchesEveryPlaceThatIsWrittenTo(t *testing.T) {
	t.Parallel()
	c := settings.Controller{Data: "/data", StateDB: core.NewSecret("/db/state.db"), WorkingArea: "/work", Minions: 1}
	if diff := cmp.Diff([]string{"/data", "/db", "/work"}, guardedDirs(c)); diff != "" {
		t.Error(diff)
	}
	c.StateDB, c.Minions = core.NewSecret("postgres://lorry@db.example.com/lorry"), 0
	if diff := cmp.Diff([]string{"/data"}, guardedDirs(c)); diff != "" {
		t.Error(diff)
	}
}

func TestDiskGuardWaitsWithoutSpinning(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := diskGuard{dirs: []string{"/data"}, minFree: func() int64 { return 1 }, free: func(string) (int64, error) { return 0, nil }}
		start := time.Now()
		g.WaitDue(t.Context())
		if waited := time.Since(start); waited != guardAgain {
			t.Errorf("want to look again after %v, waited %v", guardAgain, waited)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		g.WaitDue(ctx)
		if waited := time.Since(start); waited != guardAgain {
			t.Errorf("want to return at once when the caller has left, waited %v more", waited-guardAgain)
		}
	})
}
