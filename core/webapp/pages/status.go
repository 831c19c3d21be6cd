package pages

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/api"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

const (
	queuePage = 25  // Lorries on a status page
	jobsPage  = 100 // jobs on a page of jobs
	tailSize  = 4 << 10
)

// statusData is what the status page shows.
type statusData struct {
	frame
	Status       protocol.Status
	Headline     string
	Running      []runningJob
	ShowFailures bool
	Failures     []protocol.Lorry
	Problems     []core.Problem
	After, Next  string // paths where this and the next page of the queue begin
	Groups       []protocol.FailureGroup
	Minions      []protocol.Minion
	Filter       queue.LorryFilter
	Filtered     bool     // the queue shows what Filter selects
	NextPage     string   // address of the next page of what is selected
	States       []string // that can be asked for
}

// runningJob is a job with its last sign of life.
type runningJob struct {
	ID             core.JobID
	Path, Minion   string
	Since, Started string
	LastLine       string
	Progress       string // how far it is, or ""
	Stopping       bool
}

func (p *Pages) status(ctx context.Context, after string) (statusData, error) {
	data := statusData{frame: p.frame("Status", "status"), ShowFailures: true, After: after}
	// One more than is shown tells whether there is a next page.
	status, err := p.o.API.Overview(ctx, queue.Page{After: after, Limit: queuePage + 1})
	if err != nil {
		return data, err
	}
	if len(status.RunQueue) > queuePage {
		status.RunQueue = status.RunQueue[:queuePage]
		data.Next = status.RunQueue[queuePage-1].Path
	}
	data.Status, data.Failures = status, status.Failures
	if data.Problems, err = p.o.Queue.Problems(ctx); err != nil {
		return data, err
	}
	if data.Running, err = p.running(ctx); err != nil {
		return data, err
	}
	data.Headline, data.Mood = headline(data)
	return data, nil
}

// running lists the jobs that run, each with how far it is, or with the last
// line of its output when its minion does not tell.
func (p *Pages) running(ctx context.Context) ([]runningJob, error) {
	jobs, err := p.o.Queue.Jobs(ctx, queue.JobFilter{Running: true})
	if err != nil {
		return nil, err
	}
	now := p.o.Clock()
	list := make([]runningJob, 0, len(jobs))
	for _, job := range jobs {
		one := runningJob{
			ID: job.ID, Path: job.Path, Minion: job.Minion, Stopping: job.Kill,
			Since: protocol.NiceSpan(now.Sub(job.Started)), Started: protocol.NiceTime(job.Started),
		}
		if job.Progress != nil {
			one.Progress = protocol.NiceProgress(*job.Progress)
			list = append(list, one)
			continue
		}
		tail, err := p.o.Queue.Output(ctx, job.ID, max(job.OutputSize-tailSize, 0), tailSize)
		if err != nil && core.KindOf(err) != core.KindNotFound {
			return nil, err
		}
		one.LastLine = lastLine(tail)
		list = append(list, one)
	}
	return list, nil
}

// headline puts the state of everything into one sentence and a colour.
func headline(d statusData) (sentence, mood string) {
	counts := d.Status.Counts
	failedHosts := 0
	for _, h := range d.Status.Hosts {
		if h.LsError != "" {
			failedHosts++
		}
	}
	switch {
	case counts.Failing > 0:
		return fmt.Sprintf("%d of %d %s %s", counts.Failing, counts.Lorries,
			plural(counts.Lorries, "Lorry", "Lorries"), plural(counts.Failing, "fails", "fail")), "bad"
	case failedHosts > 0:
		return fmt.Sprintf("%d Upstream %s can't be listed", failedHosts, plural(failedHosts, "Host", "Hosts")), "bad"
	case !d.Status.RunningQueue:
		return "The queue is stopped", "warn"
	case len(d.Problems) > 0:
		return fmt.Sprintf("CONFGIT has %d %s", len(d.Problems), plural(len(d.Problems), "problem", "problems")), "warn"
	case counts.Lorries == 0:
		return "Nothing to mirror yet", "info"
	default:
		return "All is well", "good"
	}
}

// jobList is part of a page with jobs.
type jobList struct {
	Jobs   []protocol.JobInfo
	Older  string // address of the next page, or ""
	OfOne  bool   // all are of one Lorry, which the page names
	Failed bool   // only failed ones are shown
}

// jobs lists the newest jobs, of one Lorry when path is set.
func (p *Pages) jobs(r *exchange.Request, path string) (jobList, error) {
	filter, err := api.JobFilterOf(r, jobsPage)
	if err != nil {
		return jobList{}, err
	}
	if path != "" {
		filter.Path = path
	}
	filter.Limit = min(filter.Limit, jobsPage)
	jobs, err := p.o.Queue.Jobs(r.Context(), filter)
	if err != nil {
		return jobList{}, err
	}
	list := jobList{Failed: filter.Failed, OfOne: path != ""}
	now := p.o.Clock()
	for _, job := range jobs {
		list.Jobs = append(list.Jobs, api.JobInfo(job, now))
	}
	if len(jobs) == filter.Limit {
		query := url.Values{"before": {strconv.FormatInt(int64(jobs[len(jobs)-1].ID), 10)}}
		if filter.Path != "" {
			query.Set("path", filter.Path)
		}
		if filter.Failed {
			query.Set("failed", "1")
		}
		list.Older = "/1.0/list-jobs-html?" + query.Encode()
	}
	return list, nil
}

// shownGroups is how many groups of failures a status page has.
const shownGroups = 10

// more adds what only the page itself has, and not its static copy: groups of
// failures, minions, and the Lorries that the fields of the request select.
func (p *Pages) more(r *exchange.Request, data *statusData) error {
	var err error
	data.States = api.LorryStates()
	if data.Status.Counts.Failing > 1 {
		if data.Groups, err = p.o.API.FailureGroups(r, shownGroups); err != nil {
			return err
		}
		data.Groups = slices.DeleteFunc(data.Groups, func(g protocol.FailureGroup) bool { return g.Count < 2 })
	}
	if data.Minions, err = p.o.API.MinionList(r.Context()); err != nil {
		return err
	}
	query := url.Values{}
	for _, field := range []string{"state", "host", "kind", "text", "older", "sort"} {
		if value := r.Form.Get(field); value != "" {
			query.Set(field, value)
		}
	}
	if data.Filtered = len(query) > 0; !data.Filtered {
		return nil
	}
	if data.Filter, err = p.o.API.LorryFilterOf(r, queuePage); err != nil {
		return err
	}
	list, err := p.o.Queue.FindLorries(r.Context(), data.Filter)
	if err != nil {
		return err
	}
	data.Status.RunQueue, data.Next = nil, ""
	for _, l := range list.Lorries {
		data.Status.RunQueue = append(data.Status.RunQueue, api.LorryInfo(l, p.o.Clock()))
	}
	if next := api.NextPage(data.Filter, list); next != "" {
		query.Set("cursor", next)
		data.NextPage = "/1.0/status-html?" + query.Encode() + "#queue"
	}
	return nil
}
