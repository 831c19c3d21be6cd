package webapp

import (
	"net/http"
	"time"

	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
	"github.com/lorry-controller/lorry-controller/core/webapp/minions"
	"github.com/lorry-controller/lorry-controller/core/webapp/pages"
)

// Effect says whether a route changes anything.
type Effect int

// The effects. A read route changes nothing, so a crawler may follow it; a
// write route may.
const (
	Read Effect = iota
	Write
)

// Route is one row of the table of routes.
type Route struct {
	Method string
	// Path is httprouter's: ":name" is one element, "*name" the rest.
	Path   string
	Effect Effect
	// Deadline is how long the request may take once its body is read.
	Deadline time.Duration
	Handler  exchange.Handler
}

const (
	quick = 30 * time.Second // a few statements
	whole = 2 * time.Minute  // lists of everything, pages
	poll  = 5 * time.Minute  // a long poll and the preparation of jobs
	hosts = time.Hour        // git fetches and host listings
)

// routes is the table of all routes. docs/api.md describes each.
func routes(a *api.API, m *minions.Minions, p *pages.Pages, probe probes) []Route {
	const get, post = http.MethodGet, http.MethodPost
	return []Route{
		{get, "/", Read, quick, p.Home},
		{get, "/1.0/status", Read, whole, a.Status},
		{get, "/1.0/status-html", Read, whole, p.Status}, // it refreshes the status-html file, nothing else
		{post, "/1.0/start-queue", Write, quick, a.StartQueue},
		{post, "/1.0/stop-queue", Write, quick, a.StopQueue},
		{get, "/1.0/list-queue", Read, whole, a.ListQueue},
		{post, "/1.0/move-to-top", Write, quick, a.MoveToTop},
		{post, "/1.0/move-to-bottom", Write, quick, a.MoveToBottom},
		{get, "/1.0/lorry/*path", Read, quick, a.Lorry},
		{get, "/1.0/lorry-html/*path", Read, quick, p.Lorry},
		{get, "/1.0/list-running-jobs", Read, quick, a.ListRunningJobs},
		{get, "/1.0/list-jobs", Read, whole, a.ListJobs},
		{get, "/1.0/list-jobs-html", Read, whole, p.Jobs},
		{get, "/1.0/job/:job_id", Read, whole, a.Job},
		{get, "/1.0/job-html/:job_id", Read, whole, p.Job},
		{post, "/1.0/stop-job", Write, quick, a.StopJob},
		{post, "/1.0/remove-job", Write, quick, a.RemoveJob},
		{post, "/1.0/remove-ghost-jobs", Write, whole, a.RemoveGhostJobs},
		{post, "/1.0/remove-old-jobs", Write, poll, a.RemoveOldJobs},
		{post, "/1.0/give-me-job", Write, poll, m.GiveMeJob},
		{get, "/1.0/give-me-job", Write, poll, m.GiveMeJob}, // the original's document says GET
		{post, "/1.0/job-update", Write, whole, m.JobUpdate},
		{post, "/1.0/read-configuration", Write, hosts, a.ReadConfiguration},
		{post, "/1.0/ls-troves", Write, hosts, a.ListHosts},
		{post, "/1.0/force-ls-troves", Write, hosts, a.ListAllHosts},
		{post, "/1.0/force-ls-trove", Write, hosts, a.ListHost},
		{get, "/1.0/get-max-jobs", Read, quick, a.MaxJobs},
		{post, "/1.0/set-max-jobs", Write, quick, a.SetMaxJobs},
		{post, "/1.0/retry", Write, quick, a.Retry},
		{post, "/1.0/hold", Write, quick, a.Hold},
		{post, "/1.0/resume", Write, quick, a.Resume},
		{get, "/1.0/held-rewrites", Read, whole, a.HeldRewrites},
		{post, "/1.0/approve", Write, hosts, a.Approve},
		{get, "/1.0/adapters", Read, quick, a.Adapters},
		{post, "/1.0/adapters/:name/restart", Write, whole, a.RestartAdapter},
		{get, "/1.0/problems", Read, quick, a.Problems},
		{get, "/1.0/hosts", Read, quick, a.Hosts},
		{get, "/1.0/jobs", Read, whole, a.Jobs},
		{post, "/1.0/pretend-time", Write, quick, a.PretendTime},
		{get, "/lc-static/*file", Read, quick, p.Static},
		{get, "/metrics", Read, quick, probe.Metrics},
		{get, "/-/healthy", Read, quick, probe.Healthy},
		{get, "/-/ready", Read, quick, probe.Ready},
	}
}

// Routes gives the table of all routes without their handlers, for
// descriptions and for tests that keep them true.
func Routes() []Route {
	table := routes(nil, nil, nil, probes{})
	for i := range table {
		table[i].Handler = nil
	}
	return table
}
