package adapter

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/sdk"
)

// refusing starts processes whose host gives an error, or nothing when err is
// nil, and counts the calls.
func refusing(err *error, calls *int) *fakeStarts {
	return &fakeStarts{make: func(int) *fakeProcess {
		return &fakeProcess{repo: func(_ context.Context, path string) (sdk.Repo, sdk.Access, error) {
			*calls++
			return repoAt(path), sdk.Access{URL: repoAt(path).CloneURL}, *err
		}}
	}}
}

func wantHeld(t *testing.T, s *supervisor, kind core.Kind, left time.Duration) {
	t.Helper()
	err := call(t, s)
	var e *core.Error
	if !errors.As(err, &e) || !errors.Is(err, ErrHeld) || e.Kind != kind || e.RetryAfter != left {
		t.Errorf("want to be refused with kind %q for %v, got %#v", kind, left, err)
	}
}

func TestHostThatAsksForItIsLeftAlone(t *testing.T) {
	t.Parallel()
	calls := 0
	limited := sdk.RetryAfter(sdk.Errorf(sdk.RateLimited, "slow down"), time.Hour)
	f := refusing(&limited, &calls)
	bubble(t, Options{CheckInterval: time.Minute, IdleTimeout: 10 * time.Minute}, f, func(t *testing.T, s *supervisor) {
		if err := call(t, s); errors.Is(err, ErrHeld) {
			t.Error("the first call was not made")
		}
		wantHeld(t, s, core.KindRateLimited, time.Hour)
		pass(30 * time.Minute)
		wantPhase(t, s, PhaseStopped) // being refused is no use of it
		wantHeld(t, s, core.KindRateLimited, 30*time.Minute)
		s.change(Instance{Name: "h", Type: "fake", Settings: map[string]any{"a": "b"}})
		wantHeld(t, s, core.KindRateLimited, 30*time.Minute)
		st := s.state()
		if !st.HeldUntil.Equal(time.Now().Add(30*time.Minute)) || st.HeldKind != "rate-limited" || !strings.Contains(st.Reason, "slow down") || !st.Checked.IsZero() {
			t.Errorf("state %+v", st)
		}
		pass(30 * time.Minute)
		limited = nil
		if err := call(t, s); err != nil {
			t.Error(err)
		}
		if st := s.state(); calls != 2 || !st.HeldUntil.IsZero() || st.HeldKind != "" || st.Reason != "" {
			t.Errorf("%d calls, state %+v", calls, st)
		}
	})
}

func TestHostThatDoesNotSayHowLongIsLeftAloneForAMinute(t *testing.T) {
	t.Parallel()
	calls := 0
	limited := sdk.Errorf(sdk.RateLimited, "slow down")
	bubble(t, Options{}, refusing(&limited, &calls), func(t *testing.T, s *supervisor) {
		_ = call(t, s)
		wantHeld(t, s, core.KindRateLimited, time.Minute)
	})
}

func TestHostThatRefusesTheCredentialsIsLeftAloneUntil(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]func(t *testing.T, s *supervisor){
		"an hour has passed": func(*testing.T, *supervisor) { pass(time.Hour) },
		"the configuration changes": func(_ *testing.T, s *supervisor) {
			s.change(Instance{Name: "h", Type: "fake", Secrets: map[string]core.Secret{"token": core.NewSecret("new")}})
		},
		"somebody restarts the adapter": func(t *testing.T, s *supervisor) {
			t.Helper()
			if err := s.restart(t.Context()); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			calls := 0
			refused := sdk.WithHint(sdk.Errorf(sdk.Unauthenticated, "the token is refused"), "make a new one")
			bubble(t, Options{IdleTimeout: -1}, refusing(&refused, &calls), func(t *testing.T, s *supervisor) {
				_ = call(t, s)
				wantHeld(t, s, core.KindUnauthenticated, time.Hour)
				s.change(Instance{Name: "h", Type: "fake"}) // nothing has changed
				wantHeld(t, s, core.KindUnauthenticated, time.Hour)
				if st := s.state(); st.HeldKind != "unauthenticated" || st.Hint != "make a new one" || !strings.Contains(st.Reason, "the token is refused") {
					t.Errorf("state %+v", st)
				}
				refused = nil
				tc(t, s)
				if err := call(t, s); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(2, calls); diff != "" {
					t.Errorf("calls (-want +got):\n%s", diff)
				}
			})
		})
	}
}

func TestHostThatRefusesAtTheStartIsNoFaultOfTheAdapter(t *testing.T) {
	t.Parallel()
	f := &fakeStarts{fail: func(n int) error {
		if n == 1 {
			return sdk.RetryAfter(sdk.Errorf(sdk.RateLimited, "slow down"), 10*time.Minute)
		}
		return nil
	}}
	bubble(t, Options{}, f, func(t *testing.T, s *supervisor) {
		wantHeld(t, s, core.KindRateLimited, 10*time.Minute)
		wantPhase(t, s, PhaseStopped)
		pass(9 * time.Minute)
		wantHeld(t, s, core.KindRateLimited, time.Minute)
		if st := s.state(); st.Starts != 1 || st.Faults != 0 {
			t.Errorf("%d starts, %d faults", st.Starts, st.Faults)
		}
		pass(time.Minute)
		if err := call(t, s); err != nil {
			t.Error(err)
		}
	})
}

func TestCrashedAdapterOfAHeldHostIsNotRestarted(t *testing.T) {
	t.Parallel()
	calls := 0
	limited := sdk.RetryAfter(sdk.Errorf(sdk.RateLimited, "slow down"), time.Hour)
	f := refusing(&limited, &calls)
	bubble(t, Options{IdleTimeout: -1}, f, func(t *testing.T, s *supervisor) {
		_ = call(t, s)
		f.process(0).Kill(0)
		pass(time.Minute)
		wantPhase(t, s, PhaseStopped)
		if len(f.times) != 1 {
			t.Errorf("it was started %d times", len(f.times))
		}
	})
}

func TestAnswersAtFaultAreShownOnceThereAreManyOfThem(t *testing.T) {
	t.Parallel()
	calls := 0
	fault := sdk.Errorf(sdk.Internal, "it is confused")
	bubble(t, Options{IdleTimeout: -1}, refusing(&fault, &calls), func(t *testing.T, s *supervisor) {
		for n := range 5 {
			if st := s.state(); st.Reason != "" {
				t.Errorf("after %d: %q", n, st.Reason)
			}
			_ = call(t, s)
		}
		if st := s.state(); st.Phase != PhaseReady || !strings.Contains(st.Reason, "5 of its answers") || !strings.Contains(st.Reason, "it is confused") {
			t.Errorf("state %+v", st)
		}
		pass(25 * time.Hour)
		if st := s.state(); st.Reason != "" {
			t.Errorf("a day later: %q", st.Reason)
		}
	})
}
