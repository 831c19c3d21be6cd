package webapp_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// fleet fills a site with 12 Lorries: every third one fails, on two hosts.
func (s *site) fleet(t *testing.T) {
	t.Helper()
	for i := range 12 {
		l := lorryAt(fmt.Sprintf("fleet/p%02d", i))
		l.UpstreamHost = []string{"a.example.com", "b.example.com"}[i%2]
		l.LastRun = s.clock.Now()
		if i%3 == 0 {
			l.Failures, l.LastFailure = i+1, core.Failure{Kind: core.FailNetwork, Cause: "no route"}
		} else {
			l.LastSuccess = s.clock.Now().Add(-time.Duration(i) * time.Hour)
		}
		s.queue.Put(l)
	}
}

func TestLorriesAreListedByWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fleet(t)
	pages := func(query string) (got []string) {
		t.Helper()
		for cursor := ""; ; {
			var page protocol.Lorries
			a := s.get(t, "/1.0/lorries?limit=2&"+query+"&cursor="+url.QueryEscape(cursor))
			if err := json.Unmarshal([]byte(a.body), &page); err != nil || a.status != 200 {
				t.Fatalf("%s: %d %s", query, a.status, a.body)
			}
			for _, l := range page.Lorries {
				got = append(got, strings.TrimPrefix(l.Path, "fleet/"))
			}
			if cursor = page.Next; cursor == "" {
				return got
			}
		}
	}
	for query, want := range map[string]string{
		"state=failing&sort=path":         "p00 p03 p06 p09",
		"state=failing&sort=-failures":    "p09 p06 p03 p00",
		"kind=network&host=b.example.com": "p03 p09",
		"kind=auth":                       "",
		"text=P1&sort=path":               "p10 p11",
		"older=25200&sort=-last-success":  "p08 p10 p11 p09 p06 p03 p00",
		"state=held":                      "",
	} {
		if diff := cmp.Diff(want, strings.Join(pages(query), " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", query, diff)
		}
	}
	s.get(t, "/1.0/list-queue?state=failing&sort=path&limit=1").want(t, 200, `{"queue":["fleet/p00"],"next":"`)
	s.get(t, "/1.0/list-queue?limit=2").has(t, map[string]any{"queue": []any{"fleet/p00", "fleet/p01"}})
	s.get(t, "/1.0/failures").want(t, 200, `{"groups":[{"kind":"network","host":"a.example.com","count":2,"cause":"no route"},{"kind":"network","host":"b.example.com","count":2,"cause":"no route"}]}`)
}

func TestWrongParametersAreNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fleet(t)
	var page protocol.Lorries
	if err := json.Unmarshal([]byte(s.get(t, "/1.0/lorries?limit=1&sort=path").body), &page); err != nil || page.Next == "" {
		t.Fatalf("no cursor: %v", err)
	}
	for query, field := range map[string]string{
		"/1.0/lorries?state=broken": "state", "/1.0/lorries?sort=size": "sort", "/1.0/lorries?limit=0": "limit", "/1.0/lorries?limit=x": "limit",
		"/1.0/lorries?limit=100000": "limit", "/1.0/lorries?older=-1": "older", "/1.0/lorries?older=1d": "older", "/1.0/lorries?cursor=!": "cursor",
		"/1.0/lorries?sort=host&cursor=" + page.Next: "cursor", "/1.0/list-queue?state=broken": "state", "/1.0/list-queue?limit=0": "limit",
		"/1.0/jobs?state=due": "state", "/1.0/jobs?sort=size": "sort", "/1.0/jobs?cursor=x": "cursor", "/1.0/jobs?newer=x": "newer", "/1.0/jobs?limit=0": "limit",
		"/1.0/jobs?state=running&failed=1": "failed", "/1.0/list-jobs?state=due": "state", "/1.0/list-jobs?limit=-1": "limit",
		"/1.0/held-rewrites?cursor=x": "cursor", "/1.0/held-rewrites?older=x": "older", "/1.0/held-rewrites?limit=0": "limit",
	} {
		got := s.get(t, query)
		var e protocol.Error
		if err := json.Unmarshal([]byte(got.body), &e); err != nil {
			t.Errorf("%s: %v in %s", query, err, got.body)
		}
		if got.status != 400 || e.Kind != core.KindInvalid || !strings.Contains(e.Message, `"`+field+`"`) || e.Hint == "" {
			t.Errorf("%s: want a 400 that names %q with a hint, got %d %+v", query, field, got.status, e)
		}
	}
}

func TestJobsAreListedByWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo(), lorryAt("upstream/goo"))
	s.post(t, "/1.0/give-me-job", "host=m1&pid=1")
	s.post(t, "/1.0/give-me-job", "host=m2&pid=1")
	s.post(t, "/1.0/job-update", "job_id=1&exit=1&stderr=broken")
	for query, want := range map[string]string{
		"state=running": "[2]", "state=failed": "[1]", "minion=m2": "[2]", "sort=oldest": "[1 2]", "": "[2 1]", "text=GOO": "[2]",
		"host=example.com&newer=60": "[2 1]", "older=60": "[]", "kind=auth": "[]", "sort=oldest&cursor=1": "[2]",
	} {
		var list protocol.Jobs
		if err := json.Unmarshal([]byte(s.get(t, "/1.0/jobs?"+query).body), &list); err != nil {
			t.Fatal(err)
		}
		got := []core.JobID{}
		for _, j := range list.Jobs {
			got = append(got, j.JobID)
		}
		if diff := cmp.Diff(want, fmt.Sprint(got)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", query, diff)
		}
	}
	s.get(t, "/1.0/jobs?limit=1").want(t, 200, `"next":"2"`)
	s.get(t, "/1.0/list-jobs?state=running").has(t, map[string]any{"job_ids": []any{2.0}})
	s.get(t, "/1.0/list-jobs").want(t, 200, `{"job_ids":[1,2]}`)
}

func TestHeldRewritesComeInPages(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var held []queue.HeldRewrite
	for i := range 3 {
		held = append(held, queue.HeldRewrite{Path: "p", Ref: fmt.Sprint("refs/heads/", i), New: "n", Since: s.clock.Now(), Approved: i == 1})
	}
	s.queue.SetHeldRewrites(held...)
	var page protocol.HeldRewrites
	if err := json.Unmarshal([]byte(s.get(t, "/1.0/held-rewrites?limit=2").body), &page); err != nil || len(page.HeldRewrites) != 2 || page.Next == "" {
		t.Fatalf("%v %+v", err, page)
	}
	s.get(t, "/1.0/held-rewrites?limit=2&cursor="+page.Next).want(t, 200, `[{"path":"p","ref":"refs/heads/2","old":"","new":"n","since":1772366400,"approved":false}],"next":""}`)
	s.get(t, "/1.0/held-rewrites?approved=1").want(t, 200, `[{"path":"p","ref":"refs/heads/1"`)
	s.get(t, "/1.0/held-rewrites?older=1").want(t, 200, `{"held_rewrites":[],"next":""}`)
}

func TestGroupsAreRetriedHeldAndResumed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fleet(t)
	s.post(t, "/1.0/retry", "kind=network&host=b.example.com").want(t, 200, `{"changed":2,"message":"2 Lorries are due now"}`)
	s.get(t, "/1.0/failures").want(t, 200, `"count":2`)
	s.post(t, "/1.0/retry", "all=1").want(t, 200, `"changed":2`)
	s.get(t, "/1.0/failures").want(t, 200, `{"groups":[]}`)
	s.post(t, "/1.0/retry", "").want(t, 400, "path")
	s.post(t, "/1.0/retry", "older=soon").want(t, 400, "older")
	s.post(t, "/1.0/hold", "text=p1&reason=moving").want(t, 200, `"changed":2`)
	s.get(t, "/1.0/lorries?state=held&sort=path").want(t, 200, `"held_reason":"moving"`)
	s.post(t, "/1.0/resume", "text=p").want(t, 200, `"changed":2`)
	if got := s.post(t, "/1.0/retry", "all=1&redirect=/1.0/status-html").status; got != 303 {
		t.Errorf("want a redirect, got %d", got)
	}
}

func TestMinionsAreListedDrainedAndForgotten(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo(), lorryAt("upstream/goo"))
	s.post(t, "/1.0/give-me-job", "host=m1&pid=7&version=2&build=1.2&labels=x&labels=y").want(t, 200, `"job_id":1`)
	s.get(t, "/1.0/minions").want(t, 200, `{"minions":[{"name":"m1","address":"127.0.0.1","pid":7,"version":"1.2","protocol":2,"labels":["x","y"],"state":"busy",`+
		`"since":1772366400,"last_seen":1772366400,"last_seen_nice":"2026-03-01 12:00:00 UTC","draining":false,"jobs":[{"job_id":1,"path":"upstream/foo","started":1772366400}]}]}`)
	s.post(t, "/1.0/minions/drain", "minion=m1").want(t, 200, "gets no job")
	s.clock.Add(3 * time.Second)
	s.post(t, "/1.0/give-me-job", "host=m1&pid=7&version=2&build=1.2&labels=x&labels=y").want(t, 200, `{"job_id":null,"version":2,"drain":true}`)
	s.post(t, "/1.0/give-me-job", "host=m1&pid=7").want(t, 200, `{"job_id":null}`)
	s.get(t, "/1.0/minions").want(t, 200, `"state":"draining"`)
	s.post(t, "/1.0/minions/forget", "minion=m1").want(t, 409, "runs job 1")
	s.post(t, "/1.0/minions/resume", "minion=m1").want(t, 200, "gets jobs again")
	s.clock.Add(3 * time.Second)
	s.post(t, "/1.0/give-me-job", "host=m1&pid=7&version=2").want(t, 200, `"job_id":2`)
	s.post(t, "/1.0/job-update", "job_id=1&exit=0")
	s.post(t, "/1.0/job-update", "job_id=2&exit=0")
	s.clock.Add(time.Hour)
	s.get(t, "/1.0/minions").want(t, 200, `"state":"silent"`)
	s.post(t, "/1.0/minions/forget", "minion=m1").want(t, 200, "forgotten")
	s.get(t, "/1.0/minions").want(t, 200, `{"minions":[]}`)
	s.post(t, "/1.0/minions/drain", "minion=m1").want(t, 404, "m1")
	s.post(t, "/1.0/minions/drain", "").want(t, 400, "minion")
}

func TestTheStatusPageShowsWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.fleet(t)
	s.post(t, "/1.0/give-me-job", "host=m1&pid=7&version=2&labels=site-a")
	page := s.get(t, "/1.0/status-html?state=failing&text=P0&host=b.example.com&sort=path")
	page.want(t, 200, "fleet/p03")
	if strings.Contains(page.body, "fleet/p01") {
		t.Error("the page shows a Lorry that was not asked for")
	}
	page.want(t, 200, `<option selected>failing</option>`)
	page.want(t, 200, `name="text" value="P0"`)
	page.want(t, 200, "site-a")
	page.want(t, 200, `<input type="hidden" name="kind" value="network"><input type="hidden" name="host" value="a.example.com">`)
	s.get(t, "/1.0/status-html?text=nowhere").want(t, 200, "No Lorry is like that")
	s.get(t, "/1.0/status-html?state=odd").want(t, 400, "state")
	s.get(t, "/lc-static/live.js").want(t, 200, "EventSource")
}
