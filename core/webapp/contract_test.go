package webapp_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/webapp"
	"github.com/lorry-controller/lorry-controller/core/webapp/webapptest"
)

// planningConfig is a configuration that can plan.
type planningConfig struct{ *webapptest.Configuration }

func (planningConfig) Plan(_ context.Context, p reconcile.PlanParams) (reconcile.Plan, error) {
	if p.Commit == "none" {
		return reconcile.Plan{}, core.Errorf(core.KindNotFound, "CONFGIT has no %q", p.Commit)
	}
	return reconcile.Plan{
		Commit: "c2", Current: "c1", Added: []reconcile.PlannedLorry{{Path: "a", Section: "lorries:"}},
		Changed: []reconcile.PlannedLorry{{Path: "b", What: []string{"interval: 1h -> 2h"}}}, HostsAdded: []string{"h"},
		Problems: []core.Problem{{File: "lorry-controller.conf", Line: 3, Message: "broken", Severity: core.SeverityError}},
	}, nil
}

// contractSite is a site with everything in it that a route can show.
func contractSite(t *testing.T) *site {
	t.Helper()
	s := newSite(t, func(o *webapp.Options) {
		o.Queue = tidyQueue{o.Queue.(*webapptest.Queue)}
		o.Configuration = planningConfig{&webapptest.Configuration{Known: []string{"forge.example.com"}}}
		o.Info.Adapters = &fakeAdapters{}
		o.Retirements = someRetirements()
		o.PretendTime = func(time.Time) {}
		o.Metrics = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "x 1\n") })
		o.Reload = func(context.Context) (protocol.Reload, error) {
			return protocol.Reload{Applied: []string{"a"}, Restart: []string{}, Failed: []string{}}, nil
		}
	})
	s.queue.Put(foo(), lorryAt("upstream/goo"), lorryAt("upstream/hoo"))
	s.queue.SetHosts(core.HostState{Name: "forge.example.com", Prefixes: []core.PrefixRule{{From: "a", To: "b"}}})
	s.queue.SetProblems(core.Problem{File: "a.lorry", Line: 1, Message: "odd", Severity: core.SeverityNotice})
	s.queue.SetHeldRewrites(queue.HeldRewrite{Path: "upstream/foo", Ref: "refs/heads/main", Old: "aa", New: "bb", Since: s.clock.Now()})
	s.post(t, "/1.0/give-me-job", "host=m1&pid=1&version=2&labels=x")
	s.post(t, "/1.0/job-update", "job_id=1&exit=1&stderr=broken")
	s.post(t, "/1.0/give-me-job", "host=m1&pid=1")
	return s
}

// contractCalls are the requests by which each route is tried: the path with
// its query, and the body.
func contractCalls() map[string][][2]string {
	return map[string][][2]string{
		"GET /1.0/status":                  {{"/1.0/status?limit=2", ""}, {"/1.0/status", ""}, {"/1.0/status?limit=x", ""}},
		"GET /1.0/list-queue":              {{"/1.0/list-queue", ""}, {"/1.0/list-queue?state=due&limit=1&sort=path", ""}},
		"GET /1.0/lorries":                 {{"/1.0/lorries?state=failing&kind=other&text=o&sort=-failures", ""}, {"/1.0/lorries?limit=1", ""}, {"/1.0/lorries?cursor=x", ""}},
		"GET /1.0/failures":                {{"/1.0/failures", ""}},
		"POST /1.0/move-to-top":            {{"", "path=upstream/hoo"}, {"", `{"path": "upstream/none"}`}},
		"POST /1.0/move-to-bottom":         {{"", "path=upstream/hoo"}},
		"GET /1.0/lorry/*path":             {{"/1.0/lorry/upstream/foo", ""}, {"/1.0/lorry/none", ""}},
		"GET /1.0/lorry-html/*path":        {{"/1.0/lorry-html/upstream/foo", ""}},
		"GET /1.0/job/:job_id":             {{"/1.0/job/1", ""}, {"/1.0/job/2", ""}, {"/1.0/job/x", ""}},
		"GET /1.0/job/:job_id/output":      {{"/1.0/job/1/output?offset=2", ""}, {"/1.0/job/99/output", ""}},
		"GET /1.0/job-html/:job_id":        {{"/1.0/job-html/1", ""}},
		"GET /1.0/jobs":                    {{"/1.0/jobs?state=failed&limit=1", ""}, {"/1.0/jobs?sort=oldest", ""}},
		"POST /1.0/stop-job":               {{"", "job_id=2"}, {"", "job_id=1"}},
		"POST /1.0/remove-job":             {{"", "job_id=1"}, {"", "job_id=2"}},
		"POST /1.0/give-me-job":            {{"", "host=m&pid=2&version=2&max=2&holds=upstream/hoo"}, {"", "host=m&pid=2"}},
		"GET /1.0/give-me-job":             {{"/1.0/give-me-job?host=m&pid=2", ""}},
		"POST /1.0/job-update":             {{"", "job_id=2&exit=no&stdout=x"}, {"", `[{"job_id": 2, "exit": "no"}]`}},
		"POST /1.0/webhook/:forge/:name":   {{"/1.0/webhook/gitlab/x", "{}"}},
		"POST /1.0/force-ls-trove":         {{"", "trovehost=forge.example.com"}, {"", "host=none"}},
		"POST /1.0/set-max-jobs":           {{"", "max_jobs=3"}, {"", `{"max_jobs": ""}`}},
		"POST /1.0/retry":                  {{"", "path=upstream/foo"}, {"", "kind=other"}, {"", `{"all": true}`}},
		"POST /1.0/hold":                   {{"", "path=upstream/foo&reason=x"}, {"", "host=forge.example.com&until=99"}, {"", "text=hoo"}},
		"POST /1.0/resume":                 {{"", "path=upstream/foo"}, {"", "text=hoo"}},
		"GET /1.0/held-rewrites":           {{"/1.0/held-rewrites", ""}, {"/1.0/held-rewrites?approved=0&limit=1", ""}},
		"POST /1.0/approve":                {{"", "path=upstream/foo&ref=refs/heads/main&old=aa&new=bb"}, {"", "path=upstream/foo&ref=refs/heads/main&new=bc"}, {"", "host=forge.example.com"}},
		"GET /1.0/retirements":             {{"/1.0/retirements", ""}, {"/1.0/retirements?state=failing&limit=1&path=old/a", ""}, {"/1.0/retirements?state=x", ""}},
		"POST /1.0/retirements/retry":      {{"", "path=old/a"}, {"", "path=old/none"}},
		"POST /1.0/retirements/cancel":     {{"", "path=old/a"}, {"", "path=old/done"}},
		"POST /1.0/adapters/:name/restart": {{"/1.0/adapters/forge/restart", ""}, {"/1.0/adapters/none/restart", ""}},
		"POST /1.0/minions/drain":          {{"", "minion=m1"}, {"", "minion=none"}},
		"POST /1.0/minions/resume":         {{"", "minion=m1"}},
		"POST /1.0/minions/forget":         {{"", "minion=m1"}},
		"POST /1.0/plan":                   {{"", ""}, {"", "commit=main"}, {"", `{"files": {"lorry-controller.conf": "[]"}}`}, {"", "commit=none"}},
		"POST /1.0/pretend-time":           {{"", "now=5"}},
		"POST /1.0/tokens":                 {{"", "name=x&role=viewer"}},
		"POST /1.0/revoke-token":           {{"", "id=x"}},
		"POST /login":                      {{"", "token=x"}},
		"GET /1.0/list-jobs":               {{"/1.0/list-jobs", ""}, {"/1.0/list-jobs?state=ended", ""}},
		"GET /1.0/list-jobs-html":          {{"/1.0/list-jobs-html?failed=1", ""}},
		"GET /lc-static/*file":             {{"/lc-static/lorry.css", ""}},
		"GET /1.0/list-lorries":            {{"/1.0/list-lorries", ""}},
	}
}

// strict forbids every member that is not described.
func strict(spec *openapi3.T) {
	no := false
	for _, s := range spec.Components.Schemas {
		s.Value.AdditionalProperties = openapi3.AdditionalProperties{Has: &no}
	}
}

func loadSpec(t *testing.T, text []byte) *openapi3.T {
	t.Helper()
	spec, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	if err := spec.Validate(t.Context()); err != nil {
		t.Fatalf("the description is no OpenAPI: %v", err)
	}
	return spec
}

// TestHandlersKeepToTheDescription drives every route; a route that no call is
// listed for is called without fields.
func TestHandlersKeepToTheDescription(t *testing.T) {
	t.Parallel()
	for _, plain := range []string{"text/html", "text/css"} {
		openapi3filter.RegisterBodyDecoder(plain, openapi3filter.FileBodyDecoder)
	}
	s := contractSite(t)
	spec := loadSpec(t, []byte(s.get(t, "/openapi.json").body))
	strict(spec)
	calls := contractCalls()
	for _, route := range webapp.Routes() {
		key := route.Method + " " + route.Path
		if key == "GET /1.0/events" {
			continue // it does not end; package events has its tests
		}
		requests := calls[key]
		delete(calls, key)
		if len(requests) == 0 {
			if strings.ContainsAny(route.Path, ":*") {
				t.Errorf("%s is not called", key)
				continue
			}
			requests = [][2]string{{route.Path, ""}}
		}
		for _, call := range requests {
			path := call[0]
			if path == "" {
				path = route.Path
			}
			s.contract(t, spec, route, path, call[1])
		}
	}
	for key := range calls {
		t.Errorf("there is no route %s, which is called", key)
	}
}

// contract makes one call and holds request and answer against the description.
func (s *site) contract(t *testing.T, spec *openapi3.T, route webapp.Route, path, body string) {
	t.Helper()
	name := route.Method + " " + path + " " + body
	pattern, params := described(route.Path, path)
	item := spec.Paths.Value(pattern)
	if item == nil || item.GetOperation(route.Method) == nil {
		t.Errorf("%s is not described as %s", name, pattern)
		return
	}
	request, err := http.NewRequestWithContext(t.Context(), route.Method, s.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if route.Method == http.MethodPost {
		request.Header.Set("Content-Type", form)
		if strings.HasPrefix(body, "{") || strings.HasPrefix(body, "[") {
			request.Header.Set("Content-Type", "application/json")
		}
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request.Clone(t.Context()), PathParams: params,
		Route:   &routers.Route{Spec: spec, Path: pattern, PathItem: item, Method: route.Method, Operation: item.GetOperation(route.Method)},
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	input.Request.Body = io.NopCloser(strings.NewReader(body))
	asked := openapi3filter.ValidateRequest(t.Context(), input)
	response, err := s.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if asked != nil && response.StatusCode != http.StatusBadRequest {
		t.Errorf("%s: answered %s, but is not as described: %v", name, response.Status, asked)
	}
	if err := openapi3filter.ValidateResponse(t.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: response.StatusCode, Header: response.Header, Body: io.NopCloser(bytes.NewReader(text)), Options: input.Options,
	}); err != nil {
		t.Errorf("%s: answer %s %.300s is not as described: %v", name, response.Status, text, err)
	}
	if response.StatusCode >= 400 {
		var e protocol.Error
		if err := json.Unmarshal(text, &e); err != nil || e.Kind == "" || e.Message == "" {
			t.Errorf("%s: error without kind and message: %s", name, text)
		}
	}
}

// described gives the pattern of a path as OpenAPI writes it, and its variable
// parts.
func described(pattern, path string) (string, map[string]string) {
	path, _, _ = strings.Cut(path, "?")
	values := strings.Split(path, "/")
	parts := strings.Split(pattern, "/")
	params := map[string]string{}
	for i, part := range parts {
		switch {
		case strings.HasPrefix(part, ":"):
			params[part[1:]] = values[i]
		case strings.HasPrefix(part, "*"):
			params[part[1:]] = strings.Join(values[i:], "/")
		default:
			continue
		}
		parts[i] = "{" + part[1:] + "}"
	}
	return strings.Join(parts, "/"), params
}

func TestTheDescriptionSaysWhoMay(t *testing.T) {
	t.Parallel()
	text, err := webapp.Description("1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	spec := loadSpec(t, text)
	for _, route := range webapp.Routes() {
		pattern, _ := described(route.Path, "///////")
		op := spec.Paths.Value(pattern).GetOperation(route.Method)
		if op.Summary == "" {
			t.Errorf("%s %s has no summary", route.Method, route.Path)
		}
		if open := op.Security != nil && len(*op.Security) == 0; open != route.Access.Open() {
			t.Errorf("%s %s: open to everybody is %t in the description, %t in the table", route.Method, route.Path, open, route.Access.Open())
		}
	}
}
