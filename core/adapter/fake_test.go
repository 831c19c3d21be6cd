package adapter

import (
	"context"
	"iter"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// fakeProcess is an adapter without a process. Its functions may be nil.
type fakeProcess struct {
	pid     int
	repo    func(ctx context.Context, path string) (sdk.Repo, sdk.Access, error)
	healthy func(ctx context.Context) error
	once    sync.Once
	done    chan struct{}
	closed  bool
}

func (p *fakeProcess) Repos(context.Context) iter.Seq2[sdk.Repo, error] {
	return func(yield func(sdk.Repo, error) bool) { yield(repoAt("listed"), nil) }
}

func (p *fakeProcess) Repo(ctx context.Context, path string) (sdk.Repo, sdk.Access, error) {
	if p.repo != nil {
		return p.repo(ctx, path)
	}
	return repoAt(path), sdk.Access{URL: repoAt(path).CloneURL}, nil
}

func repoAt(path string) sdk.Repo {
	return sdk.Repo{Path: path, CloneURL: "https://git.example.com/" + path + ".git"}
}

func (p *fakeProcess) Ensure(context.Context, sdk.Want) (sdk.Have, error) { return sdk.Have{}, nil }
func (p *fakeProcess) AfterPush(context.Context, sdk.Want) error          { return nil }
func (p *fakeProcess) Retire(context.Context, string) error               { return nil }
func (p *fakeProcess) CheckPaths(_ context.Context, paths []string) ([]host.PathVerdict, error) {
	return nil, nil
}

func (p *fakeProcess) Check(context.Context) (sdk.Report, error) {
	return sdk.Report{ServerVersion: "fake 1"}, nil
}
func (p *fakeProcess) PID() int              { return p.pid }
func (p *fakeProcess) Done() <-chan struct{} { return p.done }
func (p *fakeProcess) Exit() string          { return "exit status 1" }
func (p *fakeProcess) Kill(time.Duration)    { p.once.Do(func() { close(p.done) }) }

func (p *fakeProcess) Close(context.Context) error {
	p.closed = true
	return nil
}

func (p *fakeProcess) Healthy(ctx context.Context) error {
	if p.healthy != nil {
		return p.healthy(ctx)
	}
	return nil
}

// fakeStarts starts fake processes and remembers them.
type fakeStarts struct {
	mu      sync.Mutex
	started []*fakeProcess
	times   []time.Time
	fail    func(n int) error // of the n-th start, from 1 on; nil: none
	make    func(n int) *fakeProcess
	limit   int
}

func (f *fakeStarts) start(_ context.Context, _ Instance, _ hclog.Logger) (*running, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.times = append(f.times, time.Now())
	n := len(f.times)
	if f.fail != nil {
		if err := f.fail(n); err != nil {
			return nil, err
		}
	}
	p := &fakeProcess{}
	if f.make != nil {
		p = f.make(n)
	}
	p.pid, p.done = 1000+n, make(chan struct{})
	f.started = append(f.started, p)
	return &running{process: p, desc: host.Description{Name: "fake", Version: "1", Check: true, MaxConcurrency: f.limit}, protocol: 1}, nil
}

func (f *fakeStarts) process(i int) *fakeProcess {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.started[i]
}

// bubble runs a test of one supervisor in a bubble of its own time.
func bubble(t *testing.T, opts Options, f *fakeStarts, test func(t *testing.T, s *supervisor)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		opts.Rand = func() float64 { return 0.5 } // no jitter
		opts = opts.orDefault()
		opts.Log = hclog.NewNullLogger()
		s := newSupervisor(Instance{Name: "h", Type: "fake"}, opts, f.start, func(Instance) string { return "" })
		test(t, s)
		s.close(t.Context())
		for i := range f.started {
			select {
			case <-f.process(i).done:
			default:
				t.Errorf("process %d was not ended", i)
			}
		}
	})
}

func call(t *testing.T, s *supervisor) error {
	t.Helper()
	_, _, err := (&upstream{s}).Repo(t.Context(), "a")
	return err
}

// pass lets the time of the bubble pass.
func pass(d time.Duration) { <-time.After(d) }

func wantPhase(t *testing.T, s *supervisor, want Phase) {
	t.Helper()
	synctest.Wait()
	if st := s.state(); st.Phase != want {
		t.Fatalf("want phase %q, got %q because of %q", want, st.Phase, st.Reason)
	}
}
