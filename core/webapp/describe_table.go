package webapp

import (
	"net/http"

	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp/openapi"
	"github.com/lorry-controller/lorry-controller/core/webapp/webhook"
)

func queueOperations() map[string]openapi.Operation {
	page := []openapi.Field{text("after", "path of the last Lorry of the page before"), number("limit", "at most so many")}
	path := one("path", "of the Lorry")
	group := append([]openapi.Field{text("path", "of one Lorry"), flag("all", "all failing Lorries")}, selecting()...)
	hold := append([]openapi.Field{text("path", "of one Lorry"), text("reason", "for people"), number("until", "Unix time, for a host")}, selecting()...)
	return map[string]openapi.Operation{
		"GET /1.0/status":          {Summary: "The state as a whole", Fields: page, Answer: protocol.Status{}},
		"POST /1.0/start-queue":    {Summary: "Let new jobs begin", Kind: openapi.Line},
		"POST /1.0/stop-queue":     {Summary: "Let no new job begin", Kind: openapi.Line},
		"GET /1.0/list-queue":      {Summary: "The run queue in its order", Fields: append(lorryList(), page[0]), Answer: protocol.QueuePaths{}},
		"GET /1.0/lorries":         {Summary: "Lorries, filtered and ordered, page by page", Fields: lorryList(), Answer: protocol.Lorries{}},
		"GET /1.0/failures":        {Summary: "Failing Lorries by kind of failure and host", Answer: protocol.Failures{}},
		"POST /1.0/move-to-top":    {Summary: "Run a Lorry next", Fields: []openapi.Field{path}, Kind: openapi.Line},
		"POST /1.0/move-to-bottom": {Summary: "Run a Lorry last", Fields: []openapi.Field{path}, Kind: openapi.Line},
		"GET /1.0/lorry/*path":     {Summary: "One Lorry", Answer: protocol.LorryDetail{}},
		"GET /1.0/get-max-jobs":    {Summary: "How many jobs may run at a time", Answer: protocol.MaxJobs{}},
		"POST /1.0/set-max-jobs": {
			Summary: "Set how many jobs may run at a time", Answer: protocol.MaxJobs{},
			Fields: []openapi.Field{{Name: "max_jobs", Doc: "a number; nothing for no limit", Required: true}},
		},
		"POST /1.0/retry":       {Summary: "Forget failures and make due now, of a Lorry or of a group", Fields: group, Kind: openapi.Line, Also: protocol.GroupChanged{}},
		"POST /1.0/hold":        {Summary: "Let no job of a Lorry, host or group begin", Fields: hold, Kind: openapi.Line, Also: protocol.GroupChanged{}},
		"POST /1.0/resume":      {Summary: "The opposite of hold", Fields: hold, Kind: openapi.Line, Also: protocol.GroupChanged{}},
		"GET /1.0/health-check": {Summary: "For Lorry 2's clients: the process lives", Answer: protocol.Health{}},
		"GET /1.0/list-lorries": {Summary: "For Lorry 2's clients: all Lorries", Answer: []protocol.Lorry2{}},
		"GET /1.0/metrics":      {Summary: "For Lorry 2's clients: its gauges", Kind: openapi.Plain},
		"GET /1.0/held-rewrites": {Summary: "Rewritten refs that wait for an approval", Answer: protocol.HeldRewrites{}, Fields: []openapi.Field{
			text("path", "of one Lorry"), text("text", "part of the path"), number("older", "held for so many seconds"),
			flag("approved", "approved or not"), number("limit", "at most so many"), text("cursor", "next of the page before"),
		}},
		"POST /1.0/approve": {Summary: "Approve a rewritten ref, or the removals of a host's listing", Kind: openapi.Line, Fields: []openapi.Field{
			text("path", "of the Lorry"), text("ref", "full name"), text("new", "the object that it is to be"),
			text("old", "the object that it is downstream: 409 when it is another by now"), text("host", "instead of the others"),
		}},
	}
}

func jobOperations() map[string]openapi.Operation {
	id := openapi.Field{Name: "job_id", Type: openapi.Integer, Doc: "number of the job", Required: true}
	return map[string]openapi.Operation{
		"GET /1.0/list-running-jobs": {Summary: "Ids of the jobs that run", Answer: protocol.RunningJobs{}},
		"GET /1.0/list-jobs":         {Summary: "Ids of jobs", Fields: jobList(), Answer: protocol.JobIDs{}},
		"GET /1.0/jobs":              {Summary: "Jobs, filtered, page by page", Fields: jobList(), Answer: protocol.Jobs{}},
		"GET /1.0/job/:job_id":       {Summary: "One job with its output", Answer: protocol.JobInfo{}},
		"GET /1.0/job/:job_id/output": {
			Summary: "The output of a job as it is; the header Accept chooses text/event-stream or application/x-ndjson", Kind: openapi.Output,
			Fields: []openapi.Field{flag("follow", "go on until the job ends"), number("offset", "begin at this byte")},
		},
		"POST /1.0/stop-job":          {Summary: "Stop a running job", Fields: []openapi.Field{id}, Answer: protocol.StoppedJob{}},
		"POST /1.0/remove-job":        {Summary: "Forget a job that has ended", Fields: []openapi.Field{id}, Answer: protocol.RemovedJob{}},
		"POST /1.0/remove-ghost-jobs": {Summary: "End jobs whose minion went silent", Answer: protocol.Ghosts{}},
		"POST /1.0/remove-old-jobs":   {Summary: "Forget jobs that ended long ago", Answer: protocol.Removed{}},
		"GET /1.0/events": {
			Summary: "Changes as they happen; the header Last-Event-ID goes on behind that event", Kind: openapi.Events,
			Fields: []openapi.Field{text("last-event-id", "instead of the header")},
		},
	}
}

func hostOperations() map[string]openapi.Operation {
	return map[string]openapi.Operation{
		"POST /1.0/read-configuration": {Summary: "Read CONFGIT now", Kind: openapi.Line},
		"POST /1.0/plan": {Summary: "What a commit of CONFGIT, or files, would change", Answer: protocol.Plan{}, Fields: []openapi.Field{
			text("commit", "a hash, branch or ref; nothing for what would be read now"), text("ref", "the same"), text("branch", "the same"),
			{Name: "files", Type: openapi.Object, Doc: "texts by path, in JSON alone"},
		}},
		"POST /1.0/ls-troves":       {Summary: "List the Upstream Hosts that are due", Answer: protocol.UpdatedHosts{}},
		"POST /1.0/force-ls-troves": {Summary: "List all Upstream Hosts", Answer: protocol.UpdatedHosts{}},
		"POST /1.0/force-ls-trove": {
			Summary: "List one Upstream Host", Answer: protocol.UpdatedHosts{},
			Fields: []openapi.Field{text("trovehost", "its name"), text("host", "the same")},
		},
		"GET /1.0/hosts": {Summary: "The Upstream Hosts", Answer: protocol.Hosts{}},
		"GET /1.0/retirements": {Summary: "Repositories downstream that are archived, or to be, since their Lorries went away", Answer: protocol.Retirements{}, Fields: []openapi.Field{
			text("path", "of one"),
			{Name: "state", Doc: "only those", Enum: []string{"", "waiting", "failing", "archived", "cancelled", "returning"}},
			number("limit", "at most so many, 100 unless said"), text("cursor", "next of the page before"),
		}},
		"POST /1.0/retirements/retry":      {Summary: "Try at once to archive a repository", Kind: openapi.Line, Fields: []openapi.Field{one("path", "of the repository")}},
		"POST /1.0/retirements/cancel":     {Summary: "Leave a repository as it is that was to be archived", Kind: openapi.Line, Fields: []openapi.Field{one("path", "of the repository")}},
		"GET /1.0/problems":                {Summary: "What is wrong in CONFGIT, and what hosts need of a person", Answer: protocol.Problems{}},
		"GET /1.0/adapters":                {Summary: "The host adapters", Answer: protocol.Adapters{}},
		"POST /1.0/adapters/:name/restart": {Summary: "Replace the process of an adapter", Kind: openapi.Line},
		"POST /1.0/webhook/:forge/:name":   {Summary: "A forge tells of a push; signed in the forge's own way", Answer: webhook.Answer{}, Status: http.StatusAccepted},
		"POST /1.0/pretend-time":           {Summary: "Stop the clock, for tests", Kind: openapi.Line, Fields: []openapi.Field{{Name: "now", Type: openapi.Integer, Doc: "Unix time", Required: true}}},
	}
}

func minionOperations() map[string]openapi.Operation {
	ask := []openapi.Field{
		text("host", "the minion's name"), number("pid", "its process id"), number("version", "of the protocol"), text("build", "the minion's own version"),
		number("max", "at most so many jobs"), number("wait", "seconds to wait for one"), list("holds", "paths in its working area"), list("labels", "what it is good for"),
		number("free", "bytes that are free where its working area is"),
	}
	name := one("minion", "name of the minion")
	return map[string]openapi.Operation{
		"GET /1.0/give-me-job":  {Summary: "Ask for a job, as the original documents it", Fields: ask, Answer: protocol.Job{}},
		"POST /1.0/give-me-job": {Summary: "Ask for a job", Fields: ask, Answer: protocol.Job{}},
		"POST /1.0/job-update": {
			Summary: "Report on jobs", Answer: protocol.UpdateAnswer{}, Also: []protocol.UpdateAnswer{}, Body: protocol.Update{},
			Fields: []openapi.Field{
				{Name: "job_id", Type: openapi.Integer, Doc: "number of the job", Required: true},
				number("fence", "of the job"), text("exit", "no while it runs, then its exit code"),
				text("stdout", "new output"), text("stderr", "new output"), text("disk_usage", "bytes"),
				text("digest", "of the refs"), text("head", "the default branch"),
			},
		},
		"GET /1.0/minions":         {Summary: "The minions", Answer: protocol.Minions{}},
		"POST /1.0/minions/drain":  {Summary: "Give a minion no job any more", Fields: []openapi.Field{name}, Kind: openapi.Line},
		"POST /1.0/minions/resume": {Summary: "Give a minion jobs again", Fields: []openapi.Field{name}, Kind: openapi.Line},
		"POST /1.0/minions/forget": {Summary: "Forget a minion that was taken away", Fields: []openapi.Field{name}, Kind: openapi.Line},
	}
}

func otherOperations() map[string]openapi.Operation {
	return map[string]openapi.Operation{
		"GET /":                     {Summary: "Goes to the status page", Kind: openapi.Page, Status: http.StatusSeeOther},
		"GET /1.0/status-html":      {Summary: "The status page", Kind: openapi.Page, Fields: append(lorryList(), text("after", "page of the queue"), number("refresh", "seconds"))},
		"GET /1.0/lorry-html/*path": {Summary: "The page of a Lorry", Kind: openapi.Page},
		"GET /1.0/list-jobs-html":   {Summary: "The page of jobs", Fields: jobList(), Kind: openapi.Page},
		"GET /1.0/job-html/:job_id": {Summary: "The page of a job", Fields: []openapi.Field{number("refresh", "seconds")}, Kind: openapi.Page},
		"GET /1.0/tokens":           {Summary: "The tokens, not their texts", Answer: protocol.Tokens{}},
		"POST /1.0/tokens":          {Summary: "Make a token", Answer: protocol.NewToken{}, Fields: []openapi.Field{one("name", "for people"), one("role", "what it may"), text("expires", "when it ends")}},
		"POST /1.0/revoke-token":    {Summary: "Make a token useless", Answer: protocol.TokenInfo{}, Fields: []openapi.Field{text("id", "of the token"), text("name", "or its name")}},
		"GET /1.0/audit":            {Summary: "Who changed what", Answer: protocol.Audit{}, Fields: []openapi.Field{number("limit", "at most so many"), number("before", "rows before this one"), number("after", "rows after this one")}},
		"GET /login":                {Summary: "The form to log in", Kind: openapi.Page, Fields: []openapi.Field{text("next", "page to go to")}},
		"POST /login":               {Summary: "Log in with a token", Kind: openapi.Page, Status: http.StatusSeeOther, Fields: []openapi.Field{one("token", "the token"), text("next", "page to go to")}},
		"POST /logout":              {Summary: "Log out", Kind: openapi.Page, Status: http.StatusSeeOther},
		"GET /lc-static/*file":      {Summary: "Style sheet, script and picture", Kind: openapi.File},
		"GET /openapi.json":         {Summary: "This description", Answer: map[string]any{}},
		"GET /metrics":              {Summary: "Figures for Prometheus", Kind: openapi.File},
		"GET /-/healthy":            {Summary: "The process lives", Kind: openapi.Line},
		"GET /-/ready":              {Summary: "The STATEDB answers", Kind: openapi.Line},
		"POST /-/reload":            {Summary: "Read settings, secrets and CONFGIT again", Answer: protocol.Reload{}},
	}
}
