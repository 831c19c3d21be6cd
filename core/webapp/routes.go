package webapp

import (
	"net/http"
	"time"

	"github.com/lorry-controller/lorry-controller/core/webapp/access"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
	"github.com/lorry-controller/lorry-controller/core/webapp/events"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
	"github.com/lorry-controller/lorry-controller/core/webapp/pages"
	"github.com/lorry-controller/lorry-controller/core/webapp/webhook"
)

// Effect says whether a route changes anything.
type Effect int

// The effects. A read route changes nothing, so a crawler may follow it. A
// write route may, and each call leaves a row in the audit. Traffic changes
// something too, but in the ordinary run of things and too often for a row
// each: the minions' messages and the forges' webhooks.
const (
	Read Effect = iota + 1
	Write
	Traffic
)

// Route is one row of the table of routes.
type Route struct {
	Method string
	// Path is httprouter's: ":name" is one element, "*name" the rest.
	Path   string
	Effect Effect
	// Access says whose tokens may call it. The rows name no fields, so that one
	// without it does not compile.
	Access auth.Access
	// Deadline is how long the request may take once its body is read.
	Deadline time.Duration
	Handler  exchange.Handler
}

// lasts reports whether a request may go on for long without doing anything.
func (r Route) lasts() bool { return r.Deadline == poll || r.Deadline == flow }

const (
	quick = 30 * time.Second // a few statements
	whole = 2 * time.Minute  // lists of everything, pages
	poll  = 5 * time.Minute  // a long poll and the preparation of jobs
	hosts = time.Hour        // git fetches and host listings
	flow  = 24 * time.Hour   // streams; who wants more comes again
)

// routes is the table of all routes. docs/api.md describes each.
func routes(a *api.API, m *minions.Minions, p *pages.Pages, probe probes, desk *access.Desk, e *events.Hub, hooks *webhook.Webhooks, d description) []Route {
	const get, post = http.MethodGet, http.MethodPost
	return []Route{
		{get, "/", Read, auth.Viewers, quick, p.Home},
		{get, "/1.0/status", Read, auth.Viewers, whole, a.Status},
		{get, "/1.0/status-html", Read, auth.Viewers, whole, p.Status}, // it refreshes the status-html file, nothing else
		{post, "/1.0/start-queue", Write, auth.Operators, quick, a.StartQueue},
		{post, "/1.0/stop-queue", Write, auth.Operators, quick, a.StopQueue},
		{get, "/1.0/list-queue", Read, auth.Viewers, whole, a.ListQueue},
		{get, "/1.0/lorries", Read, auth.Viewers, whole, a.Lorries},
		{get, "/1.0/failures", Read, auth.Viewers, whole, a.Failures},
		{post, "/1.0/move-to-top", Write, auth.Operators, quick, a.MoveToTop},
		{post, "/1.0/move-to-bottom", Write, auth.Operators, quick, a.MoveToBottom},
		{get, "/1.0/lorry/*path", Read, auth.Viewers, quick, a.Lorry},
		{get, "/1.0/lorry-html/*path", Read, auth.Viewers, quick, p.Lorry},
		{get, "/1.0/list-running-jobs", Read, auth.Viewers, quick, a.ListRunningJobs},
		{get, "/1.0/list-jobs", Read, auth.Viewers, whole, a.ListJobs},
		{get, "/1.0/list-jobs-html", Read, auth.Viewers, whole, p.Jobs},
		{get, "/1.0/job/:job_id", Read, auth.Viewers, whole, a.Job},
		{get, "/1.0/job/:job_id/output", Read, auth.Viewers, flow, e.Output},
		{get, "/1.0/events", Read, auth.Viewers, flow, e.Events},
		{get, "/1.0/job-html/:job_id", Read, auth.Viewers, whole, p.Job},
		{post, "/1.0/stop-job", Write, auth.Operators, quick, a.StopJob},
		{post, "/1.0/remove-job", Write, auth.Operators, quick, a.RemoveJob},
		{post, "/1.0/remove-ghost-jobs", Write, auth.Operators, whole, a.RemoveGhostJobs},
		{post, "/1.0/remove-old-jobs", Write, auth.Operators, poll, a.RemoveOldJobs},
		{post, "/1.0/give-me-job", Traffic, auth.Minions, poll, m.GiveMeJob},
		{get, "/1.0/give-me-job", Traffic, auth.Minions, poll, m.GiveMeJob}, // the original's document says GET
		{post, "/1.0/job-update", Traffic, auth.Minions, whole, m.JobUpdate},
		{post, "/1.0/webhook/:forge/:name", Traffic, auth.Signed, quick, hooks.Receive},
		{post, "/1.0/read-configuration", Write, auth.Triggers, hosts, a.ReadConfiguration},
		{post, "/1.0/ls-troves", Write, auth.Operators, hosts, a.ListHosts},
		{post, "/1.0/force-ls-troves", Write, auth.Operators, hosts, a.ListAllHosts},
		{post, "/1.0/force-ls-trove", Write, auth.Operators, hosts, a.ListHost},
		{get, "/1.0/get-max-jobs", Read, auth.Viewers, quick, a.MaxJobs},
		{post, "/1.0/set-max-jobs", Write, auth.Operators, quick, a.SetMaxJobs},
		{post, "/1.0/retry", Write, auth.Operators, poll, a.Retry},
		{post, "/1.0/hold", Write, auth.Operators, poll, a.Hold},
		{post, "/1.0/resume", Write, auth.Operators, poll, a.Resume},
		{get, "/1.0/held-rewrites", Read, auth.Viewers, whole, a.HeldRewrites},
		{post, "/1.0/approve", Write, auth.Approvers, hosts, a.Approve},
		{get, "/1.0/retirements", Read, auth.Viewers, whole, a.Retirements},
		{post, "/1.0/retirements/retry", Write, auth.Operators, quick, a.RetryRetirement},
		{post, "/1.0/retirements/cancel", Write, auth.Operators, quick, a.CancelRetirement},
		{get, "/1.0/adapters", Read, auth.Viewers, quick, a.Adapters},
		{post, "/1.0/adapters/:name/restart", Write, auth.Operators, whole, a.RestartAdapter},
		{get, "/1.0/minions", Read, auth.Viewers, quick, a.Minions},
		{post, "/1.0/minions/drain", Write, auth.Operators, quick, a.DrainMinion},
		{post, "/1.0/minions/resume", Write, auth.Operators, quick, a.ResumeMinion},
		{post, "/1.0/minions/forget", Write, auth.Operators, quick, a.ForgetMinion},
		{get, "/1.0/problems", Read, auth.Viewers, quick, a.Problems},
		{post, "/1.0/plan", Read, auth.Operators, hosts, a.Plan}, // it fetches, and changes nothing
		{get, "/1.0/hosts", Read, auth.Viewers, quick, a.Hosts},
		{get, "/1.0/health-check", Read, auth.Public, quick, a.HealthCheck},
		{get, "/1.0/list-lorries", Read, auth.Viewers, whole, a.ListLorries},
		{get, "/1.0/metrics", Read, auth.Viewers, quick, a.Gauges},
		{get, "/1.0/jobs", Read, auth.Viewers, whole, a.Jobs},
		{post, "/1.0/pretend-time", Write, auth.Admins, quick, a.PretendTime},
		{get, "/1.0/tokens", Read, auth.Admins, quick, desk.Tokens},
		{post, "/1.0/tokens", Write, auth.Admins, quick, desk.CreateToken},
		{post, "/1.0/revoke-token", Write, auth.Admins, quick, desk.RevokeToken},
		{get, "/1.0/audit", Read, auth.Approvers, whole, desk.ReadAudit},
		{get, "/login", Read, auth.Public, quick, desk.Form},
		{post, "/login", Traffic, auth.Public, quick, desk.LogIn}, // it leaves a row by itself when it succeeds
		{post, "/logout", Traffic, auth.Public, quick, desk.LogOut},
		{get, "/lc-static/*file", Read, auth.Public, quick, p.Static},
		{get, "/openapi.json", Read, auth.Public, quick, d.OpenAPI},
		{get, "/metrics", Read, auth.Viewers, quick, probe.Metrics},
		{get, "/-/healthy", Read, auth.Public, quick, probe.Healthy},
		{post, "/-/reload", Write, auth.Admins, hosts, probe.Reload},
		{get, "/-/ready", Read, auth.Public, quick, probe.Ready},
	}
}

// Routes gives the table of all routes without their handlers, for
// descriptions and for tests that keep them true.
func Routes() []Route {
	table := routes(nil, nil, nil, probes{}, nil, nil, nil, description{})
	for i := range table {
		table[i].Handler = nil
	}
	return table
}
