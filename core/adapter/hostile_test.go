package adapter_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// impatient are options with which faults are found out quickly.
func impatient() adapter.Options {
	return adapter.Options{
		BackoffMin: 10 * time.Millisecond, BackoffMax: 100 * time.Millisecond, BreakerFaults: 3,
		StartTimeout: 5 * time.Second, HealthInterval: time.Minute, HealthTimeout: 300 * time.Millisecond,
		HealthRetry: 50 * time.Millisecond, HealthStrikes: 2,
		DrainGrace: time.Second, KillGrace: 300 * time.Millisecond,
		Deadlines: host.Deadlines{Repo: 20 * time.Second, Page: time.Second},
	}
}

// hostileDir gives a directory with the hostile adapter, told at its start what
// to do, under the name of a type.
func hostileDir(t *testing.T, name, mode string) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Link(filepath.Join(bin, "lorry-adapter-hostile"), filepath.Join(dir, "lorry-adapter-"+name)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "MODE"), []byte(mode), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// await polls until a condition holds.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	limit := time.NewTimer(30 * time.Second)
	defer limit.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-limit.C:
			t.Fatalf("waited in vain for: %s", what)
		}
	}
}

func TestFaultAtStart(t *testing.T) {
	t.Parallel()
	for mode, reason := range map[string]string{
		"exit-at-start": "no licence found",
		"hang-at-start": "was not ready after 500ms",
		"stdout":        `wrote "hello, I am an adapter" to its standard output`,
		"long-stdout":   "instead of the handshake",
		"version":       "speaks version 99 of the protocol, this core speaks 1",
		"address":       "neither a socket in PLUGIN_UNIX_SOCKET_DIR nor a loopback address",
		"silent":        "the connection to the adapter broke",
		"cookie":        "ended (exit status 2) before it was ready",
		"netrpc":        `unsupported plugin protocol "netrpc"`,
		"name":          `the program is an adapter for "somebody", not for "hostile"`,
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			opts := impatient()
			opts.Dir = hostileDir(t, "hostile", mode)
			if mode == "hang-at-start" {
				opts.StartTimeout = 500 * time.Millisecond
			}
			m := newManager(t, opts, adapter.Instance{Name: "h", Type: "hostile"})
			_, _, err := upstreamOf(t, m, "h").Repo(t.Context(), "a")
			if err == nil || core.KindOf(err) != core.KindInternal || !strings.Contains(err.Error(), `"h"`) {
				t.Fatalf("want an error of kind %q that names the host, got %v", core.KindInternal, err)
			}
			st := stateOf(t, m, "h")
			if st.Phase != adapter.PhaseBroken || !strings.Contains(st.Reason, reason) {
				t.Errorf("want phase %q because of %q, got %q because of %q", adapter.PhaseBroken, reason, st.Phase, st.Reason)
			}
		})
	}
}

func TestProgramIsVerified(t *testing.T) {
	t.Parallel()
	dir := hostileDir(t, "hostile", "")
	for name, tc := range map[string]struct {
		inst  adapter.Instance
		fault string
	}{
		"missing":    {adapter.Instance{Type: "absent"}, "there is no adapter program " + dir + "/lorry-adapter-absent"},
		"relative":   {adapter.Instance{Type: "hostile", Path: "lorry-adapter-hostile"}, "is not absolute"},
		"escape":     {adapter.Instance{Type: "../x"}, `"../x" is not a host type`},
		"no program": {adapter.Instance{Type: "hostile", Path: dir + "/MODE"}, "is not an executable file"},
		"checksum":   {adapter.Instance{Type: "hostile", SHA256: strings.Repeat("0", 64)}, "has the SHA-256"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newManager(t, adapter.Options{Dir: dir})
			tc.inst.Name = "h"
			if err := m.Apply(t.Context(), []adapter.Instance{tc.inst}); err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("Apply: want %q, got %v", tc.fault, err)
			}
			if st := stateOf(t, m, "h"); !strings.Contains(st.Reason, tc.fault) || st.Hint == "" && name == "missing" {
				t.Errorf("state: want %q, got %+v", tc.fault, st)
			}
			if err := m.Check(t.Context(), "h"); err == nil || !strings.Contains(err.Error(), tc.fault) {
				t.Errorf("Check: want %q, got %v", tc.fault, err)
			}
		})
	}
}

func TestFaultInCall(t *testing.T) {
	t.Parallel()
	const adapterEnds, adapterStays = true, false
	for mode, tc := range map[string]struct {
		kind core.Kind
		fact string
		ends bool
	}{
		"panic":           {core.KindInternal, "panicked in", adapterStays},
		"panic-elsewhere": {core.KindUnavailable, "connection to the adapter broke", adapterEnds},
		"exit":            {core.KindUnavailable, "connection to the adapter broke", adapterEnds},
		"hang":            {core.KindUnavailable, "did not answer in time", adapterStays},
		"stop":            {core.KindUnavailable, "did not answer in time", adapterEnds},
		"large":           {core.KindInternal, "larger than", adapterStays},
		"bad-error":       {core.KindRateLimited, "wait", adapterStays},
		"other":           {core.KindInternal, "something/else", adapterStays},
		"credential":      {core.KindInternal, "has a user or password in it", adapterStays},
		"grandchild":      {core.KindUnavailable, "connection to the adapter broke", adapterEnds},
		"runaway":         {core.KindUnavailable, "connection to the adapter broke", adapterEnds},
		"bad-json":        {"", "", adapterStays},
		"long-line":       {"", "", adapterStays},
		"flood":           {"", "", adapterStays},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			opts := impatient()
			if strings.Contains(tc.fact, "in time") {
				opts.Deadlines.Repo = time.Second
			}
			m := newManager(t, opts,
				hostile("h", mode, dir),
				adapter.Instance{Name: "tree", Type: "local", Settings: map[string]any{"path": dir}})
			healthy := upstreamOf(t, m, "tree")
			list(t, healthy)
			_, _, err := upstreamOf(t, m, "h").Repo(t.Context(), "a")
			switch {
			case tc.kind == "" && err != nil:
				t.Fatal(err)
			case tc.kind != "" && (err == nil || core.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.fact)):
				t.Fatalf("want kind %q and %q, got %v", tc.kind, tc.fact, err)
			}
			if tc.ends {
				await(t, "the adapter to be back", func() bool {
					st := stateOf(t, m, "h")
					return st.Phase == adapter.PhaseReady && st.Starts > 1
				})
			}
			// A host that asked to be left alone is.
			if got := tryList(t, upstreamOf(t, m, "h")); len(got) != 3 && tc.kind != core.KindRateLimited {
				t.Errorf("afterwards it lists %v", got)
			}
			list(t, healthy)
			if st := stateOf(t, m, "tree"); st.Starts != 1 || st.Faults != 0 {
				t.Errorf("the other adapter: %d starts, %d faults", st.Starts, st.Faults)
			}
			if mode == "grandchild" || mode == "runaway" {
				awaitDead(t, filepath.Join(dir, "pid"))
			}
		})
	}
}

// tryList is list for a host that may refuse.
func tryList(t *testing.T, up core.Upstream) []string {
	t.Helper()
	var paths []string
	for repo, err := range up.Repos(t.Context()) {
		if err != nil {
			t.Logf("listing: %v", err)
			return nil
		}
		paths = append(paths, repo.Path)
	}
	return paths
}

// hostile gives an instance of the hostile adapter.
func hostile(name, mode, dir string) adapter.Instance {
	return adapter.Instance{
		Name: name, Type: "hostile", Settings: map[string]any{"mode": mode, "dir": dir},
		Secrets: map[string]core.Secret{"token": core.NewSecret("canary-5f3a9c")},
	}
}

func awaitDead(t *testing.T, pidFile string) {
	t.Helper()
	raw, err := os.ReadFile(pidFile)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		t.Fatal(err)
	}
	await(t, "the adapter's child to be dead", func() bool { return dead(pid) })
}

// dead reports whether a process has ended; one that nobody reaps has.
func dead(pid int) bool {
	if errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return true
	}
	raw, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	return err != nil || strings.Contains(string(raw), ") Z ")
}

func TestBadListing(t *testing.T) {
	t.Parallel()
	for mode, tc := range map[string]struct {
		kind core.Kind
		fact string
	}{
		"standstill": {core.KindUnavailable, "stood still"},
		"endless":    {core.KindUnavailable, "did not answer in time"},
		"half-way":   {core.KindUnavailable, "connection to the adapter broke"},
		"incomplete": {core.KindUnavailable, "the host gave up at page 2"},
		"twice":      {core.KindInternal, `"group/repo1" is listed twice`},
		"bad-path":   {core.KindInternal, `"../../etc"`},
		"bad-url":    {core.KindInternal, "has none of the schemes"},
		"bad-utf8":   {core.KindInternal, "not plain UTF-8"},
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			opts := impatient()
			if mode == "endless" {
				opts.Deadlines.Listing = 500 * time.Millisecond
			}
			m := newManager(t, opts, hostile("h", mode, t.TempDir()))
			var last error
			for _, err := range upstreamOf(t, m, "h").Repos(t.Context()) {
				last = err
			}
			if last == nil || core.KindOf(last) != tc.kind || !strings.Contains(last.Error(), tc.fact) {
				t.Errorf("want kind %q and %q, got %v", tc.kind, tc.fact, last)
			}
		})
	}
}

func TestEndlessListingCanBeLeft(t *testing.T) {
	t.Parallel()
	m := newManager(t, impatient(), hostile("h", "endless", t.TempDir()))
	count := 0
	for _, err := range upstreamOf(t, m, "h").Repos(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		if count++; count == 1000 {
			break
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range upstreamOf(t, m, "h").Repos(ctx) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("want %v, got %v", context.Canceled, last)
	}
	if _, _, err := upstreamOf(t, m, "h").Repo(t.Context(), "a"); err != nil {
		t.Error(err)
	}
}

func TestTooManyFaultsBreakAnAdapterUntilItIsRestarted(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := newManager(t, impatient(), hostile("h", "exit", dir))
	up := upstreamOf(t, m, "h")
	await(t, "the adapter to be broken", func() bool {
		_, _, err := up.Repo(t.Context(), "a")
		return err != nil && stateOf(t, m, "h").Phase == adapter.PhaseBroken
	})
	if _, _, err := up.Repo(t.Context(), "a"); err == nil || !strings.Contains(err.Error(), "is broken: it failed too often") {
		t.Errorf("want an error that says it is broken, got %v", err)
	}
	if err := m.Restart(t.Context(), "h"); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(3, len(list(t, up))); diff != "" {
		t.Errorf("repositories after the restart (-want +got):\n%s", diff)
	}
}

func TestAdapterThatClaimsAnothersNameIsRefused(t *testing.T) {
	t.Parallel()
	dir := hostileDir(t, "other", "local") // it says that it is the adapter for "local"
	tree := adapter.Instance{Name: "tree", Type: "local", Settings: map[string]any{"path": t.TempDir()}}
	thief := adapter.Instance{Name: "thief", Type: "other", Path: filepath.Join(dir, "lorry-adapter-other")}
	m := newManager(t, impatient(), tree, thief)
	list(t, upstreamOf(t, m, "tree"))
	err := m.Check(t.Context(), "thief")
	var e *core.Error
	if !errors.As(err, &e) || !strings.Contains(e.Fact, `the program is an adapter for "local", not for "other"`) || e.Hint == "" {
		t.Errorf("got %#v", err)
	}
	if st := stateOf(t, m, "thief"); st.Phase != adapter.PhaseBroken || st.PID != 0 {
		t.Errorf("state %+v", st)
	}
	list(t, upstreamOf(t, m, "tree"))
	if st := stateOf(t, m, "tree"); st.Starts != 1 || st.Faults != 0 {
		t.Errorf("the other adapter: %d starts, %d faults", st.Starts, st.Faults)
	}
}

func TestLogIsBounded(t *testing.T) {
	t.Parallel()
	log := &safeBuffer{}
	opts := impatient()
	opts.Log = hclog.New(&hclog.LoggerOptions{Output: log, Level: hclog.Trace})
	m := newManager(t, opts, hostile("h", "flood", t.TempDir()), hostile("l", "long-line", t.TempDir()))
	for _, name := range []string{"h", "l"} {
		if _, _, err := upstreamOf(t, m, name).Repo(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Apply(t.Context(), nil); err != nil { // the processes end, so everything is read
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "lines were dropped") || len(log.String()) > 10<<20 {
		t.Errorf("the log has %d bytes", len(log.String()))
	}
}
