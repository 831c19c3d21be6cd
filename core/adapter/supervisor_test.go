package adapter

import (
	"context"
	"errors"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
)

func TestStartsWithTheFirstCallAndStopsWhenIdle(t *testing.T) {
	t.Parallel()
	f := &fakeStarts{}
	bubble(t, Options{IdleTimeout: 10 * time.Minute}, f, func(t *testing.T, s *supervisor) {
		pass(time.Hour)
		wantPhase(t, s, PhaseStopped)
		if err := call(t, s); err != nil {
			t.Fatal(err)
		}
		wantPhase(t, s, PhaseReady)
		pass(5 * time.Minute)
		wantPhase(t, s, PhaseReady)
		pass(10 * time.Minute)
		wantPhase(t, s, PhaseStopped)
		if !f.process(0).closed {
			t.Error("the adapter was not told to close")
		}
		if err := call(t, s); err != nil {
			t.Fatal(err)
		}
		if st := s.state(); st.Starts != 2 || st.Faults != 0 {
			t.Errorf("want 2 starts without a fault, got %d and %d", st.Starts, st.Faults)
		}
	})
}

func TestRestartsDoubleTheirPauseUntilItIsBroken(t *testing.T) {
	t.Parallel()
	f := &fakeStarts{fail: func(int) error { return sdk.Errorf(sdk.Unavailable, "no luck") }}
	bubble(t, Options{BreakerFaults: 10, BreakerWindow: time.Hour}, f, func(t *testing.T, s *supervisor) {
		err := call(t, s)
		var e *core.Error
		if !errors.As(err, &e) || e.Kind != core.KindUnavailable || e.RetryAfter <= 5*time.Second || !strings.Contains(e.Fact, "no luck") {
			t.Errorf("want an error that says when and why, got %#v", err)
		}
		pass(time.Hour)
		wantPhase(t, s, PhaseBroken)
		var pauses []time.Duration
		for i := 1; i < len(f.times); i++ {
			pauses = append(pauses, f.times[i].Sub(f.times[i-1]))
		}
		const sec = time.Second
		if diff := cmp.Diff([]time.Duration{1 * sec, 2 * sec, 4 * sec, 8 * sec, 16 * sec, 32 * sec, 64 * sec, 120 * sec, 120 * sec}, pauses); diff != "" {
			t.Errorf("pauses (-want +got):\n%s", diff)
		}
		if err := call(t, s); err == nil || !strings.Contains(err.Error(), "is broken") {
			t.Errorf("want an error that says it is broken, got %v", err)
		}
		f.fail = nil
		if err := s.restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		wantPhase(t, s, PhaseReady)
	})
}

func TestWrongSettingsBreakItAtOnceUntilTheyChange(t *testing.T) {
	t.Parallel()
	f := &fakeStarts{fail: func(n int) error {
		if n == 1 {
			return sdk.WithHint(sdk.Errorf(sdk.Invalid, "the settings can't be used"), "correct them")
		}
		return nil
	}}
	bubble(t, Options{}, f, func(t *testing.T, s *supervisor) {
		err := call(t, s)
		var e *core.Error
		if !errors.As(err, &e) || e.Hint != "correct them" {
			t.Errorf("want an error with a hint, got %#v", err)
		}
		wantPhase(t, s, PhaseBroken)
		s.change(Instance{Name: "h", Type: "fake"})
		wantPhase(t, s, PhaseBroken)
		s.change(Instance{Name: "h", Type: "fake", Settings: map[string]any{"a": "b"}})
		wantPhase(t, s, PhaseReady)
	})
}

func TestAdapterThatSettledStartsItsBackoffAfresh(t *testing.T) {
	t.Parallel()
	f := &fakeStarts{}
	bubble(t, Options{IdleTimeout: -1, BreakerFaults: 3}, f, func(t *testing.T, s *supervisor) {
		if err := call(t, s); err != nil {
			t.Fatal(err)
		}
		for i := range 6 {
			pass(6 * time.Minute)
			f.process(i).Kill(0)
			synctest.Wait()
			wantPhase(t, s, PhaseBackoff)
			pass(time.Second + time.Millisecond)
			wantPhase(t, s, PhaseReady)
		}
	})
}

func TestCallWaitsForAShortRestart(t *testing.T) {
	t.Parallel()
	f := &fakeStarts{}
	bubble(t, Options{}, f, func(t *testing.T, s *supervisor) {
		if err := call(t, s); err != nil {
			t.Fatal(err)
		}
		f.process(0).Kill(0)
		wantPhase(t, s, PhaseBackoff)
		if err := call(t, s); err != nil {
			t.Errorf("want it to wait, got %v", err)
		}
	})
}

func TestThreeFailedHealthChecksEndAProcess(t *testing.T) {
	t.Parallel()
	f := &fakeStarts{make: func(n int) *fakeProcess {
		if n > 1 {
			return &fakeProcess{}
		}
		return &fakeProcess{healthy: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
	}}
	bubble(t, Options{IdleTimeout: -1}, f, func(t *testing.T, s *supervisor) {
		if err := call(t, s); err != nil {
			t.Fatal(err)
		}
		pass(15*time.Second + 3*5*time.Second + 2*time.Second + time.Millisecond)
		wantPhase(t, s, PhaseBackoff)
		if st := s.state(); !strings.Contains(st.Reason, "health") {
			t.Errorf("reason %q", st.Reason)
		}
		pass(2 * time.Second)
		wantPhase(t, s, PhaseReady)
	})
}

func TestReplacementIsReadyBeforeTheOldOneStops(t *testing.T) {
	t.Parallel()
	finish := make(chan struct{})
	f := &fakeStarts{make: func(n int) *fakeProcess {
		if n > 1 {
			return &fakeProcess{}
		}
		return &fakeProcess{repo: func(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
			<-finish
			return repoAt(path), sdk.Access{URL: repoAt(path).CloneURL}, nil
		}}
	}}
	bubble(t, Options{}, f, func(t *testing.T, s *supervisor) {
		finish = make(chan struct{})
		slow := make(chan error, 1)
		go func() { slow <- call(t, s) }()
		synctest.Wait()
		if err := s.restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if st := s.state(); st.PID != 1002 || st.Phase != PhaseReady {
			t.Errorf("want the second process, got %+v", st)
		}
		if err := call(t, s); err != nil { // the new one answers at once
			t.Fatal(err)
		}
		select {
		case <-f.process(0).done:
			t.Error("the old process was ended with a call in it")
		default:
		}
		close(finish)
		if err := <-slow; err != nil {
			t.Errorf("the call in the old process: %v", err)
		}
		synctest.Wait()
		select {
		case <-f.process(0).done:
		default:
			t.Error("the old process was not ended")
		}
	})
}

func TestFailedRestartKeepsTheOldProcess(t *testing.T) {
	t.Parallel()
	f := &fakeStarts{fail: func(n int) error {
		if n == 2 {
			return sdk.Errorf(sdk.Invalid, "a bad build")
		}
		return nil
	}}
	bubble(t, Options{}, f, func(t *testing.T, s *supervisor) {
		if err := call(t, s); err != nil {
			t.Fatal(err)
		}
		if err := s.restart(t.Context()); err == nil || !strings.Contains(err.Error(), "a bad build") {
			t.Errorf("want to hear of the bad build, got %v", err)
		}
		wantPhase(t, s, PhaseReady)
		if err := call(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestCallsWaitTheirTurnInABoundedQueue(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	inside, most := 0, 0
	f := &fakeStarts{limit: 2, make: func(int) *fakeProcess {
		return &fakeProcess{repo: func(_ context.Context, path string) (sdk.Repo, sdk.Access, error) {
			mu.Lock()
			inside++
			most = max(most, inside)
			mu.Unlock()
			pass(time.Second)
			mu.Lock()
			inside--
			mu.Unlock()
			return repoAt(path), sdk.Access{URL: repoAt(path).CloneURL}, nil
		}}
	}}
	bubble(t, Options{MaxQueue: 5}, f, func(t *testing.T, s *supervisor) {
		if err := call(t, s); err != nil {
			t.Fatal(err)
		}
		results := make(chan error, 10)
		for range cap(results) {
			go func() { results <- call(t, s) }()
		}
		synctest.Wait()
		if st := s.state(); st.Calls != 2 || st.Waiting != 5 {
			t.Errorf("want 2 calls and 5 waiting, got %d and %d", st.Calls, st.Waiting)
		}
		refused := 0
		for range cap(results) {
			if err := <-results; err != nil {
				refused++
				if core.KindOf(err) != core.KindUnavailable {
					t.Error(err)
				}
			}
		}
		if most != 2 || refused != 3 {
			t.Errorf("want 2 at a time and 3 refused, got %d and %d", most, refused)
		}
	})
}

func TestClosingCutsOffACallThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	f := &fakeStarts{make: func(int) *fakeProcess {
		p := &fakeProcess{}
		p.repo = func(context.Context, string) (sdk.Repo, sdk.Access, error) {
			<-p.done
			return sdk.Repo{}, sdk.Access{}, errors.New("cut off")
		}
		return p
	}}
	bubble(t, Options{}, f, func(t *testing.T, s *supervisor) {
		go func() { _ = call(t, s) }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		s.close(ctx)
		if took := time.Since(begin); took != time.Second {
			t.Errorf("closing took %v of the bubble's time, want 1s", took)
		}
		if err := call(t, s); !errors.Is(err, errClosed) {
			t.Errorf("want %v, got %v", errClosed, err)
		}
	})
}

func TestHostIsLookedAtWhileTheAdapterRuns(t *testing.T) {
	t.Parallel()
	bubble(t, Options{CheckInterval: 5 * time.Minute, IdleTimeout: time.Hour}, &fakeStarts{}, func(t *testing.T, s *supervisor) {
		if err := call(t, s); err != nil {
			t.Fatal(err)
		}
		pass(2*time.Minute + time.Second)
		synctest.Wait()
		if st := s.state(); st.ServerVersion != "fake 1" || st.Checked.IsZero() {
			t.Errorf("soon after the start: state %+v", st)
		}
		first := s.state().Checked
		pass(6 * time.Minute)
		synctest.Wait()
		if st := s.state(); st.Checked.Sub(first) < 5*time.Minute {
			t.Errorf("looked at %s, then at %s", first, st.Checked)
		}
		pass(time.Hour)
		wantPhase(t, s, PhaseStopped) // looking is no use of it
	})
}

func TestPolicyHasEachKindOnce(t *testing.T) {
	t.Parallel()
	seen := map[core.Kind]bool{}
	for _, r := range Policy() {
		if seen[r.Kind] || r.Action == "" || r.Means == "" || r.Failure == "" {
			t.Errorf("row %+v", r)
		}
		seen[r.Kind] = true
		if got := RuleOf(core.Errorf(r.Kind, "x")); got != r {
			t.Errorf("rule of %q: %+v", r.Kind, got)
		}
	}
	if len(seen) != 10 || RuleOf(errors.New("x")).Kind != core.KindInternal {
		t.Errorf("%d rows", len(seen))
	}
}

func TestManualHasEveryKind(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../docs/adapters/authoring.md")
	if err != nil {
		t.Fatal(err)
	}
	// "rate-limited" is RateLimited in the manual.
	title := regexp.MustCompile(`(^|-)[a-z]`)
	for _, r := range Policy() {
		name := title.ReplaceAllStringFunc(string(r.Kind), func(s string) string { return strings.ToUpper(strings.TrimPrefix(s, "-")) })
		if !strings.Contains(string(raw), "| `"+name+"` |") {
			t.Errorf("the table of errors does not have %s", name)
		}
	}
}
