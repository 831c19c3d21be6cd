package webapp_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp"
)

// fakeAdapters is one adapter that can be restarted.
type fakeAdapters struct{ restarts int }

func (f *fakeAdapters) Adapters() []protocol.Adapter {
	return []protocol.Adapter{{Name: "forge", Type: "gitlab", State: "broken", Starts: f.restarts}}
}

func (f *fakeAdapters) RestartAdapter(_ context.Context, name string) error {
	if name != "forge" {
		return core.Errorf(core.KindNotFound, "there is no adapter for a host named %q", name)
	}
	f.restarts++
	return nil
}

func (a answer) want(t *testing.T, status int, text string) {
	t.Helper()
	if a.status != status || !strings.Contains(a.body, text) {
		t.Errorf("want status %d and %q, got %d: %s", status, text, a.status, a.body)
	}
}

func TestAdaptersAreShownAndRestarted(t *testing.T) {
	t.Parallel()
	adapters := &fakeAdapters{}
	s := newSite(t, func(o *webapp.Options) { o.Info.Adapters = adapters })
	s.get(t, "/1.0/adapters").want(t, 200, `"state":"broken"`)
	s.post(t, "/1.0/adapters/forge/restart", "").want(t, 200, "forge restarted")
	s.post(t, "/1.0/adapters/other/restart", "").want(t, 404, "other")
	if adapters.restarts != 1 {
		t.Errorf("want 1 restart, got %d", adapters.restarts)
	}
	newSite(t).get(t, "/1.0/adapters").want(t, 200, `{"adapters":[]}`)
}

func TestLorriesAndHostsAreHeldAndResumed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	s.queue.SetHosts(core.HostState{Name: "forge.example.com"})
	held := func() string {
		t.Helper()
		l, err := s.queue.Lorry(t.Context(), "upstream/foo")
		if err != nil {
			t.Fatal(err)
		}
		return l.HeldReason
	}
	s.post(t, "/1.0/hold", "path=upstream/foo&reason=moving").want(t, 200, "is held")
	if got := held(); got != "moving" {
		t.Errorf("want the reason %q, got %q", "moving", got)
	}
	s.post(t, "/1.0/resume", "path=upstream/foo").want(t, 200, "is resumed")
	if got := held(); got != "" {
		t.Errorf("want no hold, got %q", got)
	}
	s.post(t, "/1.0/hold", "host=forge.example.com&until=4102444800").want(t, 200, "is held")
	s.get(t, "/1.0/hosts").want(t, 200, `"held_until":4102444800`)
	s.post(t, "/1.0/resume", "host=forge.example.com").want(t, 200, "is resumed")
	s.post(t, "/1.0/hold", "").want(t, 400, "path")
	s.post(t, "/1.0/hold", "path=upstream/none").want(t, 404, "upstream/none")
	for _, until := range []string{"soon", "-1", "1", "946684800", "99999999999", "9223372036854775807"} {
		s.post(t, "/1.0/hold", "host=h&until="+until).want(t, 400, "until")
	}
	s.post(t, "/1.0/hold", "host="+strings.Repeat("h", 1000)).want(t, 400, "host")
	if got := s.post(t, "/1.0/hold", "path="+strings.Repeat("p", 100_000)); got.status != 404 || len(got.body) > 1000 {
		t.Errorf("a path without end: status %d, %d bytes", got.status, len(got.body))
	}
	s.post(t, "/1.0/retry", "path=upstream/foo").want(t, 200, "is due now")
	s.post(t, "/1.0/retry", "path=upstream/none").want(t, 404, "upstream/none")
}

func TestRewritesAndRemovalsAreApproved(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	s.queue.SetHeldRewrites(queue.HeldRewrite{Path: "upstream/foo", Ref: "refs/heads/main", Old: "aa", New: "bb", Since: time.Unix(9, 0)})
	s.get(t, "/1.0/held-rewrites").want(t, 200, `{"path":"upstream/foo","ref":"refs/heads/main","old":"aa","new":"bb","since":9,"approved":false}`)
	s.post(t, "/1.0/approve", "path=upstream/foo&ref=refs/heads/main").want(t, 400, "new")
	s.post(t, "/1.0/approve", "path=upstream/foo&ref=refs/heads/side&new=bb").want(t, 404, "side")
	s.post(t, "/1.0/approve", "path=upstream/foo&ref=refs/heads/main&new=cc").want(t, 409, "bb")
	s.post(t, "/1.0/approve", "path=upstream/foo&ref=refs/heads/main&old=ab&new=bb").want(t, 409, "aa")
	s.get(t, "/1.0/held-rewrites?path=upstream/foo").want(t, 200, `"approved":false`)
	s.post(t, "/1.0/approve", "path=upstream/foo&ref=refs/heads/main&old=aa&new=bb").want(t, 200, "is approved")
	s.post(t, "/1.0/approve", "path=upstream/foo&ref=refs/heads/main&new=bb").want(t, 200, "is approved")
	s.get(t, "/1.0/held-rewrites?path=upstream/foo").want(t, 200, `"approved":true`)
	approved := ""
	s.config.OnApprove = func(_ context.Context, host string) error { approved = host; return nil }
	s.post(t, "/1.0/approve", "host=forge.example.com").want(t, 200, "approved")
	if approved != "forge.example.com" {
		t.Errorf("want the removals of forge.example.com approved, got %q", approved)
	}
}

func TestTheClockIsSetOnlyWhereThisIsAllowed(t *testing.T) {
	t.Parallel()
	refused := newSite(t).post(t, "/1.0/pretend-time", "now=0")
	if refused.status != http.StatusNotImplemented || !strings.Contains(refused.body, "debug-pretend-time") {
		t.Errorf("got %d %s", refused.status, refused.body)
	}
	var set []time.Time
	s := newSite(t, func(o *webapp.Options) { o.PretendTime = func(now time.Time) { set = append(set, now) } })
	if got := s.post(t, "/1.0/pretend-time", "now=86400"); got.body != "Time set to 86400" {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if got := s.post(t, "/1.0/pretend-time", ""); got.status != http.StatusBadRequest {
		t.Errorf("got %d %s", got.status, got.body)
	}
	if diff := cmp.Diff([]time.Time{time.Unix(86400, 0)}, set); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJobsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	s.post(t, "/1.0/give-me-job", "host=m&pid=1")
	s.post(t, "/1.0/job-update", "job_id=1&exit=1&stderr=broken")
	s.post(t, "/1.0/retry", "path=upstream/foo")
	s.post(t, "/1.0/give-me-job", "host=m&pid=1")
	for query, want := range map[string][]core.JobID{
		"": {2, 1}, "?limit=1": {2}, "?running=1": {2}, "?failed=1": {1}, "?before=2": {1}, "?path=other": nil,
	} {
		var list struct{ Jobs []protocol.JobInfo }
		if err := json.Unmarshal([]byte(s.get(t, "/1.0/jobs"+query).body), &list); err != nil {
			t.Fatal(err)
		}
		var got []core.JobID
		for _, job := range list.Jobs {
			got = append(got, job.JobID)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
}
