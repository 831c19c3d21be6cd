package webapp_test

import (
	"context"
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/token"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
)

func (s *site) minion() *protocol.Client {
	return &protocol.Client{Base: s.URL, HTTP: s.client}
}

func lorryAt(path string) core.LorryState {
	l := foo()
	l.Path = path
	return l
}

func TestAModernMinionGetsAccessAndALease(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := foo()
	l.Digest, l.Rewrites = "abc", core.RewriteHold
	s.queue.Put(l, lorryAt("upstream/goo"))
	s.preparer.OnPrepare = func(_ context.Context, l core.LorryState) (minions.Prepared, error) {
		return minions.Prepared{
			Push:      core.Access{URL: "https://git.example.com/" + l.Path, Username: "lorry", Secret: core.NewSecret("s3cret")},
			FileRoots: []string{"/srv/git"},
		}, nil
	}
	answer, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1", PID: 7, Max: 5})
	if err != nil {
		t.Fatal(err)
	}
	jobs := answer.All()
	one := core.JobID(1)
	want := protocol.Job{
		JobID: &one, RunningJob: &one, Path: "upstream/foo", Text: l.Text, Interval: 7200, LorryTimeout: 3600, Version: 2,
		Fence: 1, Lease: 120, Heartbeat: 2, Digest: "abc", Rewrites: core.RewriteHold, FileRoots: []string{"/srv/git"},
		Push: &protocol.Access{URL: "https://git.example.com/upstream/foo", Username: "lorry", Secret: "s3cret"},
	}
	if diff := cmp.Diff(want, jobs[0]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(jobs) != 2 || jobs[1].Path != "upstream/goo" {
		t.Errorf("want two jobs, got %+v", jobs)
	}
	answers, err := s.minion().Update(t.Context(), []protocol.Update{
		{JobID: 1, Fence: 1, Exit: "0", Stdout: "done\n"}, {JobID: 2, Fence: 1, Exit: "no"}, {JobID: 9, Fence: 3, Exit: "no"},
	})
	if err != nil {
		t.Fatal(err)
	}
	wantAnswers := []protocol.UpdateAnswer{{JobID: 1}, {JobID: 2, Kill: true, Stale: true}, {JobID: 9, Kill: true, Stale: true}}
	if diff := cmp.Diff(wantAnswers, answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	for _, path := range []string{"/1.0/status", "/1.0/job/1", "/1.0/lorry/upstream/foo", "/1.0/status-html", "/1.0/job-html/1"} {
		if strings.Contains(s.get(t, path).body, "s3cret") {
			t.Errorf("%s tells a credential", path)
		}
	}
}

func TestAMirrorThatWasMadeAnewIsFilledAnew(t *testing.T) {
	t.Parallel()
	for _, created := range []bool{false, true} {
		s := newSite(t)
		l := foo()
		l.Digest = "abc"
		s.queue.Put(l)
		s.preparer.OnPrepare = func(context.Context, core.LorryState) (minions.Prepared, error) {
			return minions.Prepared{Push: core.Access{URL: "https://git.example.com/foo"}, Created: created}, nil
		}
		answer, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1", PID: 7})
		if err != nil {
			t.Fatal(err)
		}
		if got := answer.All()[0].Digest; (got == "") != created {
			t.Errorf("created %v: the digest is %q", created, got)
		}
	}
}

func TestCredentialsTravelWhereNobodyElseReadsThem(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		from, host, header string
		want               bool // of somebody without a token
		minion             bool // of a minion with one
	}{
		{"127.0.0.1:1234", "127.0.0.1:12765", "", true, true},
		{"[::1]:1234", "[::1]:12765", "", true, true},
		{"127.0.0.1:1234", "localhost", "", true, true},
		{"127.0.0.1:1234", "controller:12765", "", true, true},
		{"127.0.0.1:1234", "rebound.example.com:12765", "", false, true},
		{"192.0.2.7:1234", "127.0.0.1:12765", "", false, false},
		{"127.0.0.1:1234", "localhost", "X-Forwarded-For", false, false},
		{"127.0.0.1:1234", "localhost", "Origin", false, true},
		{"@", "localhost", "", false, false},
	} {
		r := httptest.NewRequest(http.MethodPost, "/1.0/give-me-job", nil)
		r.RemoteAddr, r.Host = test.from, test.host
		if test.header != "" {
			r.Header.Set(test.header, "http://192.0.2.7")
		}
		if got := minions.MayCarryCredentials(r, auth.Caller{Name: "loopback", Everything: true}); got != test.want {
			t.Errorf("%+v: got %v", test, got)
		}
		minion := auth.Caller{Name: "m#1", Role: token.Minion, Proven: true}
		if got := minions.MayCarryCredentials(r, minion); got != test.minion {
			t.Errorf("%+v: a minion with a token: got %v", test, got)
		}
		for _, other := range []auth.Caller{{}, {Name: "a#2", Role: token.Admin, Proven: true}} {
			if minions.MayCarryCredentials(r, other) {
				t.Errorf("%+v: %+v gets credentials", test, other)
			}
		}
		r.TLS = &tls.ConnectionState{}
		if !minions.MayCarryCredentials(r, minion) {
			t.Errorf("%+v: a minion with a token gets none over TLS", test)
		}
	}
}

func TestALongPollIsWokenAtOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	got := make(chan []protocol.Job, 1)
	failed := make(chan error, 1)
	go func() {
		answer, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1", Wait: 60})
		jobs := answer.All()
		failed <- err
		got <- jobs
	}()
	s.queue.Put(foo())
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if jobs := <-got; len(jobs) != 1 || jobs[0].Path != "upstream/foo" {
		t.Errorf("want the job, got %+v", jobs)
	}
}

func TestDrainEndsALongPoll(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	done := make(chan []protocol.Job, 1)
	failed := make(chan error, 1)
	go func() {
		answer, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1", Wait: 60})
		jobs := answer.All()
		failed <- err
		done <- jobs
	}()
	s.server.Drain()
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	if jobs := <-done; len(jobs) != 0 {
		t.Errorf("want no job, got %+v", jobs)
	}
}

func TestAFailedPreparationEndsItsJobAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(lorryAt("a/auth"), lorryAt("b/limit"), lorryAt("c/slow"), lorryAt("d/panic"), lorryAt("e/good"))
	s.preparer.OnPrepare = func(_ context.Context, l core.LorryState) (minions.Prepared, error) {
		switch l.Path {
		case "a/auth":
			return minions.Prepared{}, core.Errorf(core.KindUnauthenticated, "token refused")
		case "b/limit":
			return minions.Prepared{}, core.Errorf(core.KindRateLimited, "too many requests")
		case "c/slow":
			return minions.Prepared{}, core.Errorf(core.KindUnavailable, "no answer")
		case "d/panic":
			panic("broken adapter")
		}
		return minions.Prepared{Push: core.Access{URL: "https://git.example.com/" + l.Path}}, nil
	}
	answer, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1"})
	if err != nil {
		t.Fatal(err)
	}
	jobs := answer.All()
	if len(jobs) != 1 || jobs[0].Path != "e/good" {
		t.Fatalf("want the good one, got %+v", jobs)
	}
	all, err := s.queue.Jobs(t.Context(), queue.JobFilter{Failed: true})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]core.FailureKind{}
	for _, job := range all {
		got[job.Path] = job.Failure.Kind
		if job.Failure.Cause == "" || job.Exit != "1" {
			t.Errorf("job without a cause or exit: %+v", job)
		}
	}
	want := map[string]core.FailureKind{
		"a/auth": core.FailAuth, "b/limit": core.FailRateLimited, "c/slow": core.FailNetwork, "d/panic": core.FailAdapter,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAPreparationThatHangsEndsWithItsDeadline(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *webapp.Options) { o.PrepareTimeout = time.Millisecond })
	s.queue.Put(foo())
	s.preparer.OnPrepare = func(ctx context.Context, _ core.LorryState) (minions.Prepared, error) {
		<-ctx.Done()
		return minions.Prepared{}, ctx.Err()
	}
	if _, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1"}); err != nil {
		t.Fatal(err)
	}
	job, err := s.queue.Job(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(core.FailNetwork, job.Failure.Kind); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAMinionThatWentAwayGetsNoJob(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	asked := make(chan struct{})
	s.preparer.OnPrepare = func(ctx context.Context, _ core.LorryState) (minions.Prepared, error) {
		close(asked)
		<-ctx.Done() // the client's end arrives here
		return minions.Prepared{}, nil
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := s.minion().GiveMeJob(ctx, protocol.GiveMeJob{Host: "m1"})
		gone <- err
	}()
	<-asked
	cancel()
	if err := <-gone; err == nil {
		t.Error("want an error from the minion's own call")
	}
	ctx, stop := context.WithTimeout(t.Context(), 10*time.Second)
	defer stop()
	job, err := s.queue.AwaitJob(ctx, 1, func(j core.Job) bool { return !j.Running() })
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("returned", job.Exit); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestThePushIsToldAndItsFailureNoted(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	told := make(chan string, 2)
	s.preparer.OnPushed = func(_ context.Context, l core.LorryState, head string) error {
		told <- l.Path + " " + head
		return core.Errorf(core.KindUnavailable, "forge is away")
	}
	if _, err := s.minion().GiveMeJob(t.Context(), protocol.GiveMeJob{Host: "m1"}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.minion().Update(t.Context(), []protocol.Update{{JobID: 1, Fence: 1, Exit: "0", Head: "refs/heads/main"}}); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("upstream/foo refs/heads/main", <-told); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err := s.server.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s.get(t, "/1.0/job/1").has(t, map[string]any{
		"exit": "0", "state": "succeeded",
		"output": "Note: the refs are pushed, but default branch and description could not be set: forge is away\n",
	})
}

func TestCloseCutsShortWhatHangs(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	s.preparer.OnPushed = func(ctx context.Context, _ core.LorryState, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}
	s.post(t, "/1.0/give-me-job", "host=a&pid=1")
	s.post(t, "/1.0/job-update", "job_id=1&exit=0")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.server.Close(ctx); err == nil {
		t.Error("want an error that says so")
	}
}

func TestFailuresOfAnOldMinionGetWords(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(lorryAt("a"), lorryAt("b"), lorryAt("c"))
	for range 3 {
		s.post(t, "/1.0/give-me-job", "host=old&pid=1")
	}
	s.post(t, "/1.0/job-update", "job_id=1&exit=1&stdout=hello%0Afatal:+no+such+host%0A%0A")
	s.post(t, "/1.0/stop-job", "job_id=2")
	s.post(t, "/1.0/job-update", "job_id=2&exit=-9")
	s.clock.Add(2 * time.Hour)
	s.post(t, "/1.0/job-update", "job_id=3&exit=no")
	s.post(t, "/1.0/job-update", "job_id=3&exit=-15")
	jobs, err := s.queue.Jobs(t.Context(), queue.JobFilter{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for job := range slices.Values(jobs) {
		got = append(got, string(job.Failure.Kind)+": "+job.Failure.Cause)
	}
	want := []string{
		"other: lorry exited with code 1: fatal: no such host",
		"killed: job was stopped by an admin",
		"timeout: job ran longer than its lorry-timeout of 1 h 0 min 0 s",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
