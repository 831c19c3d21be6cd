package webapp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/webapptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// site is a server over a queue in memory.
type site struct {
	*httptest.Server
	queue    *webapptest.Queue
	clock    *webapptest.Clock
	preparer *webapptest.Preparer
	config   *webapptest.Configuration
	server   *webapp.Server
	client   *http.Client
}

func newSite(t *testing.T, change ...func(*webapp.Options)) *site {
	t.Helper()
	clock := webapptest.NewClock()
	s := &site{
		queue: webapptest.NewQueue(clock.Now), clock: clock,
		preparer: &webapptest.Preparer{}, config: &webapptest.Configuration{},
	}
	options := webapp.Options{
		Queue: s.queue, Configuration: s.config, Preparer: s.preparer,
		Log: hclog.NewNullLogger(), Clock: clock.Now,
		Info: api.Info{Version: "1.2.3", DataDir: t.TempDir(), Downstream: "local at /srv/mirrors"},
	}
	for _, f := range change {
		f(&options)
	}
	server, err := webapp.New(options)
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	s.Server = httptest.NewUnstartedServer(server.Handler())
	s.Config = server.HTTPServer()
	s.Start()
	s.client = s.Client()
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	t.Cleanup(func() {
		server.Drain()
		s.Server.Close()
		if err := server.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

func foo() core.LorryState {
	return core.LorryState{Lorry: core.Lorry{
		Path: "upstream/foo", Text: `{"upstream/foo": {"type": "git", "url": "git://example.com/foo"}}`,
		Section: "lorries:upstream", UpstreamHost: "example.com", Interval: 2 * time.Hour, Timeout: time.Hour,
	}}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (s *site) send(t *testing.T, method, path, contentType, body string, headers ...string) answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	response, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(text)}
}

const form = "application/x-www-form-urlencoded"

func (s *site) get(t *testing.T, path string) answer { return s.send(t, "GET", path, "", "") }

func (s *site) post(t *testing.T, path, body string) answer {
	return s.send(t, "POST", path, form, body)
}

// has checks single members of a JSON answer; the rest may be anything.
func (a answer) has(t *testing.T, want map[string]any) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("want status 200, got %d: %s", a.status, a.body)
	}
	var all map[string]any
	if err := json.Unmarshal([]byte(a.body), &all); err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	got := map[string]any{}
	for key := range want {
		if value, ok := all[key]; ok {
			got[key] = value
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("members (-want +got):\n%s", diff)
	}
}

func TestARunFromClaimToEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ask := func() answer { return s.post(t, "/1.0/give-me-job", "host=testhost&pid=123") }

	s.post(t, "/1.0/stop-queue", "")
	s.queue.Put(foo())
	if diff := cmp.Diff(`{"job_id":null}`, strings.TrimSpace(ask().body)); diff != "" {
		t.Errorf("stopped queue (-want +got):\n%s", diff)
	}
	s.get(t, "/1.0/lorry/upstream/foo").has(t, map[string]any{"jobs": []any{}, "running_job": nil})
	s.get(t, "/1.0/list-running-jobs").has(t, map[string]any{"running_jobs": []any{}})
	s.post(t, "/1.0/start-queue", "dummy=value")

	ask().has(t, map[string]any{
		"job_id": 1.0, "path": "upstream/foo", "text": foo().Text, "interval": 7200.0, "lorry_timeout": 3600.0,
	})
	ask().has(t, map[string]any{"job_id": nil})
	s.get(t, "/1.0/lorry/upstream/foo").has(t, map[string]any{"jobs": []any{1.0}, "running_job": 1.0})
	s.get(t, "/1.0/list-running-jobs").has(t, map[string]any{"running_jobs": []any{1.0}})
	s.get(t, "/1.0/list-queue").has(t, map[string]any{"queue": []any{"upstream/foo"}})

	s.post(t, "/1.0/job-update", "job_id=1&exit=no&stdout=out&stderr=err&disk_usage=None").
		has(t, map[string]any{"kill": false})
	s.post(t, "/1.0/remove-job", "job_id=1").has(t, map[string]any{"job_id": nil, "reason": "still running"})
	s.post(t, "/1.0/stop-job", "job_id=1").has(t, map[string]any{"path": "upstream/foo"})
	s.post(t, "/1.0/job-update", "job_id=1&stdout=%ff").has(t, map[string]any{"kill": true})
	s.post(t, "/1.0/job-update", "job_id=1&exit=0&stdout=&stderr=&disk_usage=4096").has(t, map[string]any{"kill": false})

	s.get(t, "/1.0/lorry/upstream/foo").has(t, map[string]any{"running_job": nil, "last_run_exit": "0", "due_nice": "in 2 h 0 min"})
	s.get(t, "/1.0/job/1").has(t, map[string]any{
		"exit": "0", "output": "outerr\uFFFD", "disk_usage": 4096.0, "host": "testhost", "pid": 123.0,
		"disk_usage_nice": "4.0 KiB", "job_started": "2026-03-01 12:00:00 UTC", "state": "succeeded",
	})
	s.get(t, "/1.0/list-jobs").has(t, map[string]any{"job_ids": []any{1.0}})
	s.post(t, "/1.0/job-update", "job_id=1&exit=0").has(t, map[string]any{"kill": true, "stale": true})
	s.post(t, "/1.0/job-update", "job_id=77&exit=no").has(t, map[string]any{"kill": true, "stale": true})
	if got := s.post(t, "/1.0/stop-job", "job_id=1").status; got != http.StatusConflict {
		t.Errorf("stop-job of an ended job: want 409, got %d", got)
	}
	s.post(t, "/1.0/remove-job", "job_id=1").has(t, map[string]any{"job_id": 1.0})
	s.get(t, "/1.0/list-jobs").has(t, map[string]any{"job_ids": []any{}})
}

func TestStatusHasTheOriginalsKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.get(t, "/1.0/status").has(t, map[string]any{
		"running_queue": true, "run_queue": []any{}, "hosts": []any{}, "troves": []any{}, "max_jobs": nil,
		"warning_msg": "", "links": true, "version": "1.2.3",
	})
	s.queue.SetHosts(core.HostState{
		Name: "example-trove", Type: "trove", LsInterval: 4 * time.Hour, LsDue: s.clock.Now().Add(time.Hour),
		Prefixes: []core.PrefixRule{{From: "z", To: "y"}, {From: "a", To: "b"}},
		Purge:    "less than before", PurgeSince: s.clock.Now(),
	})
	s.get(t, "/1.0/hosts").has(t, map[string]any{"hosts": []any{map[string]any{
		"host": "example-trove", "trovehost": "example-trove", "type": "trove", "protocol": "",
		"prefixmap": `{"z": "y", "a": "b"}`,
		"prefixes":  []any{map[string]any{"from": "z", "to": "y"}, map[string]any{"from": "a", "to": "b"}},
		"ignore":    "[]", "lorry_interval": 0.0, "lorry_timeout": 0.0,
		"ls_interval": 14400.0, "ls_interval_nice": "4 h 0 min 0 s", "ls_last_run": 0.0, "ls_last_run_nice": "",
		"ls_due": 1772370000.0, "ls_due_nice": "in 1 h 0 min", "ls_error": "", "listed": 0.0, "purge": "less than before", "purge_since": 1772366400.0,
		"held_until": 0.0, "held_reason": "",
	}}})
}

func TestBodiesOfEveryKind(t *testing.T) {
	t.Parallel()
	var multi bytes.Buffer
	writer := multipart.NewWriter(&multi)
	if err := writer.WriteField("max_jobs", "3"); err != nil {
		t.Fatal(err)
	}
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, contentType, body string }{
		{"urlencoded", form, "max_jobs=3"},
		{"no type", "", "max_jobs=3"},
		{"unknown type", "text/plain", "max_jobs=3"},
		{"multipart", writer.FormDataContentType(), multi.String()},
		{"json", "application/json", `{"max_jobs": 3}`},
		{"json as text", "application/json", `{"max_jobs": "3"}`},
		{"json with curl's type", form, ` {"max_jobs": 3}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.send(t, "POST", "/1.0/set-max-jobs", test.contentType, test.body).has(t, map[string]any{"max_jobs": 3.0})
			s.get(t, "/1.0/get-max-jobs").has(t, map[string]any{"max_jobs": 3.0})
			s.post(t, "/1.0/set-max-jobs", "max_jobs=").has(t, map[string]any{"max_jobs": nil})
		})
	}
}

func TestEveryPostTakesAnEmptyBodyAndARedirect(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	for _, path := range []string{
		"/1.0/start-queue", "/1.0/stop-queue", "/1.0/read-configuration", "/1.0/ls-troves",
		"/1.0/force-ls-troves", "/1.0/force-ls-trove", "/1.0/remove-ghost-jobs", "/1.0/give-me-job",
	} {
		for _, body := range []string{"", "dummy=value", "{}"} {
			if got := s.post(t, path, body); got.status != http.StatusOK {
				t.Errorf("%s with %q: want 200, got %d %s", path, body, got.status, got.body)
			}
		}
		got := s.post(t, path, "redirect=%2F1.0%2Fstatus-html%3Fx%3D1")
		if diff := cmp.Diff([]any{303, "/1.0/status-html?x=1", ""}, []any{got.status, got.header.Get("Location"), got.body}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for _, target := range []string{"https://evil.example.com/", "//evil.example.com/", "/\\evil.example.com", "javascript:x", "x", "/a\nb"} {
		s.post(t, "/1.0/start-queue", "")
		r := s.send(t, "POST", "/1.0/stop-queue", "application/json", string(mustJSON(t, map[string]string{"redirect": target})))
		if r.status != http.StatusBadRequest {
			t.Errorf("redirect to %q: want 400, got %d", target, r.status)
		}
		s.get(t, "/1.0/status").has(t, map[string]any{"running_queue": true})
	}
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestErrorsHaveAKindAndAStatus(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *webapp.Options) { o.BodyLimit = 1000 })
	for _, test := range []struct {
		method, path, body string
		status             int
		kind               core.Kind
	}{
		{"GET", "/1.0/nowhere", "", 404, core.KindNotFound},
		{"GET", "/1.0/lorry/no/such", "", 404, core.KindNotFound},
		{"GET", "/1.0/job/12", "", 404, core.KindNotFound},
		{"GET", "/1.0/job/x1", "", 404, core.KindNotFound},
		{"GET", "/1.0/list-jobs?limit=x", "", 400, core.KindInvalid},
		{"POST", "/1.0/move-to-top", "path=no/such", 404, core.KindNotFound},
		{"POST", "/1.0/move-to-top", "", 400, core.KindInvalid},
		{"POST", "/1.0/stop-job", "job_id=x", 400, core.KindInvalid},
		{"POST", "/1.0/set-max-jobs", "max_jobs=-1", 400, core.KindInvalid},
		{"POST", "/1.0/set-max-jobs", "dummy=value", 400, core.KindInvalid},
		{"POST", "/1.0/job-update", "job_id=1&exit=maybe", 400, core.KindInvalid},
		{"POST", "/1.0/job-update", `[{"job_id": "x"}]`, 400, core.KindInvalid},
		{"POST", "/1.0/remove-old-jobs", "", 501, core.KindUnsupported},
		{"POST", "/1.0/force-ls-trove", "trovehost=no.example.com", 404, core.KindNotFound},
		{"POST", "/1.0/status", "", 405, core.KindInvalid},
		{"HEAD", "/1.0/give-me-job", "", 405, ""},
		{"POST", "/1.0/start-queue", strings.Repeat("x", 1001), 413, core.KindInvalid},
	} {
		got := s.send(t, test.method, test.path, "", test.body)
		var e protocol.Error
		if got.body != "" {
			if err := json.Unmarshal([]byte(got.body), &e); err != nil {
				t.Errorf("%s %s: %v in %q", test.method, test.path, err, got.body)
			}
		}
		if diff := cmp.Diff([]any{test.status, test.kind}, []any{got.status, e.Kind}); diff != "" {
			t.Errorf("%s %s %q (-want +got):\n%s", test.method, test.path, test.body, diff)
		}
	}
	if got := s.post(t, "/1.0/status", "").header.Get("Allow"); !strings.Contains(got, "GET") {
		t.Errorf("want Allow to name GET, got %q", got)
	}
}

func TestEveryReadAnswersHead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	for _, path := range []string{"/1.0/status", "/1.0/status-html", "/1.0/list-queue", "/1.0/list-jobs"} {
		if got := s.send(t, "HEAD", path, "", ""); got.status != 200 || got.body != "" {
			t.Errorf("HEAD %s: want 200 without a body, got %d %q", path, got.status, got.body)
		}
	}
}

func TestReadConfigurationTellsInItsText(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.OnRead = func(context.Context) ([]core.Problem, error) {
		return []core.Problem{{File: "a<b.lorry", Line: 3, Message: "bad & broken", Severity: core.SeverityError}}, nil
	}
	got := s.post(t, "/1.0/read-configuration", "")
	want := "Configuration has been updated.\nProblem: a&lt;b.lorry:3: bad &amp; broken"
	if diff := cmp.Diff(want, got.body); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("text/html; charset=UTF-8", got.header.Get("Content-Type")); diff != "" {
		t.Errorf("content type (-want +got):\n%s", diff)
	}
	s.config.OnRead = func(context.Context) ([]core.Problem, error) {
		return nil, core.Errorf(core.KindInvalid, "lorry-controller.conf:1: not JSON")
	}
	got = s.post(t, "/1.0/read-configuration", "")
	if diff := cmp.Diff("ERROR: lorry-controller.conf:1: not JSON", got.body); diff != "" || got.status != 200 {
		t.Errorf("status %d (-want +got):\n%s", got.status, diff)
	}
}

func TestAnotherSitesPageChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(foo())
	for _, request := range [][2]string{{"POST", "/1.0/stop-queue"}, {"GET", "/1.0/give-me-job"}} {
		got := s.send(t, request[0], request[1], "", "", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example.com")
		if got.status != http.StatusForbidden {
			t.Errorf("%v: want 403, got %d", request, got.status)
		}
	}
	s.get(t, "/1.0/status").has(t, map[string]any{"running_queue": true})
	s.get(t, "/1.0/list-jobs").has(t, map[string]any{"job_ids": []any{}})
}

func TestABrokenHandlerAnswersAndTheServerGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.config.OnRead = func(context.Context) ([]core.Problem, error) { panic("broken") }
	if got := s.post(t, "/1.0/read-configuration", ""); got.status != 500 || strings.Contains(got.body, "goroutine") {
		t.Errorf("want a plain 500, got %d %s", got.status, got.body)
	}
	s.config.OnRead = func(context.Context) ([]core.Problem, error) { return nil, errors.New("secret detail") }
	if got := s.post(t, "/1.0/read-configuration", ""); strings.Contains(got.body, "secret") {
		t.Errorf("an error that nobody worded for clients was told: %s", got.body)
	}
}
