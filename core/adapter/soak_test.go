package adapter_test

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// TestRandomFaultsLeaveNothingBehind makes one adapter do wrong at random while
// another one works: 50 times, or 1,000 times when LORRY_TEST_SOAK is set. It is
// not parallel, because it counts what the whole test program holds.
func TestRandomFaultsLeaveNothingBehind(t *testing.T) {
	rounds := 50
	if os.Getenv("LORRY_TEST_SOAK") != "" {
		rounds = 1000
	}
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same rounds each time
	modes := []string{"panic", "panic-elsewhere", "exit", "large", "bad-error", "bad-json", "long-line", "grandchild", "runaway", "half-way", "twice", "incomplete", "crash-in-configure", "hang", "stop", "standstill", "flood", "bad-utf8", "tell-url", "kind:unauthenticated", ""}
	// Faults before the settings are known are those of programs of their own.
	programs := map[string]string{}
	for _, mode := range []string{"exit-at-start", "hang-at-start", "stdout", "version", "cookie", "name"} {
		if mode != "hang-at-start" {
			modes = append(modes, mode)
		}
		programs[mode] = filepath.Join(hostileDir(t, "hostile", mode), "lorry-adapter-hostile")
	}
	tree := adapter.Instance{Name: "tree", Type: "local", Settings: map[string]any{"path": t.TempDir()}}
	dirs := t.TempDir()
	goroutines, descriptors := runtime.NumGoroutine(), openFiles(t)
	opts := impatient()
	opts.Dir = bin
	opts.Deadlines.Repo, opts.Deadlines.Page = 300*time.Millisecond, 300*time.Millisecond
	opts.StartTimeout, opts.HealthTimeout = 2*time.Second, 100*time.Millisecond
	opts.BreakerFaults, opts.DrainGrace = 2, 100*time.Millisecond
	m := adapter.NewManager(opts)
	counts := map[string]int{}
	starts := 0
	for round := range rounds {
		mode := modes[random.IntN(len(modes))]
		if round%50 == 49 {
			mode = "hang-at-start" // takes long, so that it comes rarely
		}
		dir := filepath.Join(dirs, strconv.Itoa(round))
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		inst := hostile("h", mode, dir)
		inst.Path = programs[mode]
		if err := m.Apply(t.Context(), []adapter.Instance{tree, inst}); err != nil {
			t.Fatal(err)
		}
		await(t, "the old process to go", func() bool {
			st := stateOf(t, m, "h")
			return st.Starts > starts || st.Phase == adapter.PhaseStopped
		})
		list(t, upstreamOf(t, m, "tree"))
		if _, _, err := upstreamOf(t, m, "h").Repo(t.Context(), "a"); err != nil {
			counts["failed calls"]++
		}
		for _, err := range upstreamOf(t, m, "h").Repos(t.Context()) {
			if err != nil {
				counts["failed listings"]++
			}
		}
		await(t, "the adapter to be back or broken", func() bool {
			phase := stateOf(t, m, "h").Phase
			return phase == adapter.PhaseReady || phase == adapter.PhaseBroken || phase == adapter.PhaseStopped
		})
		counts[string(stateOf(t, m, "h").Phase)]++
		if stateOf(t, m, "h").HeldKind != "" { // it would be held for the rounds to come
			counts["held"]++
			if err := m.Restart(t.Context(), "h"); err != nil {
				t.Errorf("restarting: %v", err)
			}
		}
		starts = stateOf(t, m, "h").Starts
		list(t, upstreamOf(t, m, "tree"))
	}
	if st := stateOf(t, m, "tree"); st.Faults != 0 || st.Starts != 1 {
		t.Errorf("the other adapter: %d starts, %d faults", st.Starts, st.Faults)
	}
	if err := m.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	await(t, "goroutines, descriptors and processes as before", func() bool {
		return runtime.NumGoroutine() <= goroutines && openFiles(t) <= descriptors && len(running()) == 0
	})
	t.Logf("%d rounds: %v; descriptors %d → %d, goroutines %d → %d, processes left %d",
		rounds, counts, descriptors, openFiles(t), goroutines, runtime.NumGoroutine(), len(running()))
}

func openFiles(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		tool.Missing(t, "there is no /proc", "all")
	}
	return len(entries)
}

// running gives the processes of the tests' adapters, as directories of /proc.
func running() []string {
	var left []string
	links, _ := filepath.Glob("/proc/[0-9]*/exe") // fails on a bad pattern alone
	for _, link := range links {
		if exe, err := os.Readlink(link); err == nil && strings.HasPrefix(exe, bin) {
			left = append(left, filepath.Dir(link))
		}
	}
	return left
}
