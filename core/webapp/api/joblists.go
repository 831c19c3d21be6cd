package api

import (
	"bufio"
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// JobSearchOf reads the fields state, path, host, minion, kind, text, older,
// newer, sort, cursor and limit, and the shorter failed, running and before.
func (a *API) JobSearchOf(r *exchange.Request, usual int) (s queue.JobSearch, err error) {
	s = queue.JobSearch{
		Path: strings.Trim(r.Form.Get("path"), "/"), Host: strings.TrimSpace(r.Form.First("host", "trovehost")),
		Minion: r.Form.Get("minion"), Kind: core.FailureKind(strings.TrimSpace(r.Form.Get("kind"))), Text: r.Form.Get("text"),
	}
	if s.State, err = choice(r, "state", JobStates()); err != nil {
		return s, err
	}
	for _, short := range []struct{ field, state string }{{"failed", queue.StateFailed}, {"running", queue.StateRunning}} {
		if !wanted(r, short.field) {
			continue
		}
		if s.State != "" && s.State != short.state {
			return s, badField(short.field, r.Form.Get(short.field), fmt.Sprintf("jobs that are %s were asked for already; send one of them", s.State))
		}
		s.State = short.state
	}
	if s.Before, err = a.ageOf(r, "older"); err != nil {
		return s, err
	}
	if s.Since, err = a.ageOf(r, "newer"); err != nil {
		return s, err
	}
	sort, err := choice(r, "sort", JobSorts())
	if err != nil {
		return s, err
	}
	s.Oldest = sort == "oldest"
	for _, field := range []string{"cursor", "before"} {
		if r.Form.Get(field) == "" {
			continue
		}
		id, err := r.Form.Int(field)
		if err != nil {
			return s, err
		}
		s.After = core.JobID(id)
	}
	s.Limit, err = limitOf(r, usual)
	return s, err
}

// Jobs answers GET /1.0/jobs: jobs without their output, newest first; at most
// 100 unless limit says otherwise.
func (a *API) Jobs(r *exchange.Request) (exchange.Answer, error) {
	s, err := a.JobSearchOf(r, usualPage)
	if err != nil {
		return nil, err
	}
	jobs, next, err := a.findJobs(r, s)
	if err != nil {
		return nil, err
	}
	list := make([]protocol.JobInfo, 0, len(jobs))
	for _, job := range jobs {
		list = append(list, JobInfo(job, a.clock()))
	}
	return exchange.JSON(protocol.Jobs{Jobs: list, Next: next}), nil
}

// findJobs gives a page of jobs and the cursor of the next one, or "".
func (a *API) findJobs(r *exchange.Request, s queue.JobSearch) (jobs []core.Job, next string, err error) {
	limit := s.Limit
	s.Limit++ // one more than is shown tells whether there is a next page
	if jobs, err = a.queue.FindJobs(r.Context(), s); err != nil {
		return nil, "", err
	}
	if len(jobs) > limit {
		jobs = jobs[:limit]
		next = strconv.FormatInt(int64(jobs[limit-1].ID), 10)
	}
	return jobs, next, nil
}

// ListJobs answers GET /1.0/list-jobs: all ids, oldest first, as the original
// did; with limit the newest come first, those before the id in the field
// before. The other fields of a JobSearch make it pages too.
func (a *API) ListJobs(r *exchange.Request) (exchange.Answer, error) {
	if asks(r, "state", "host", "minion", "kind", "text", "older", "newer", "sort", "cursor") {
		s, err := a.JobSearchOf(r, usualPage)
		if err != nil {
			return nil, err
		}
		jobs, next, err := a.findJobs(r, s)
		if err != nil {
			return nil, err
		}
		return exchange.JSON(protocol.JobIDs{JobIDs: ids(jobs), Next: next}), nil
	}
	filter, err := JobFilterOf(r, 0)
	if err != nil {
		return nil, err
	}
	if filter.Limit == 0 {
		return a.allJobs(r.Context(), filter)
	}
	jobs, err := a.queue.Jobs(r.Context(), filter)
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.JobIDs{JobIDs: ids(jobs)}), nil
}

// idPage is how many ids of jobs are in memory at once.
const idPage = 10000

// allJobs lists the ids of jobs from the first on. A long list is read and
// written part by part, so that neither it nor a client that reads slowly takes
// much; jobs that start or are removed meanwhile may be in it or not.
func (a *API) allJobs(ctx context.Context, filter queue.JobFilter) (exchange.Answer, error) {
	part, err := a.queue.JobIDs(ctx, filter, 0, idPage)
	if err != nil {
		return nil, err
	}
	if len(part) < idPage {
		return exchange.JSON(protocol.JobIDs{JobIDs: append([]core.JobID{}, part...)}), nil
	}
	return a.stream("list-jobs", func(ctx context.Context, out *bufio.Writer, more func()) error {
		separator := `{"job_ids":[`
		for ; len(part) > 0 && err == nil; part, err = a.queue.JobIDs(ctx, filter, part[len(part)-1], idPage) {
			more()
			for _, id := range part {
				if _, err := out.WriteString(separator + strconv.FormatInt(int64(id), 10)); err != nil {
					return err
				}
				separator = ","
			}
		}
		if err != nil {
			return err
		}
		_, err = out.WriteString("]}\n")
		return err
	}), nil
}

// HeldRewrites answers GET /1.0/held-rewrites: all of them, or a page of those
// that the fields path, text, older and approved select.
func (a *API) HeldRewrites(r *exchange.Request) (exchange.Answer, error) {
	s := queue.HeldSearch{Path: strings.Trim(r.Form.Get("path"), "/"), Text: r.Form.Get("text")}
	var err error
	if s.Before, err = a.ageOf(r, "older"); err != nil {
		return nil, err
	}
	if r.Form.Get("approved") != "" {
		approved := wanted(r, "approved")
		s.Approved = &approved
	}
	after, err := cursorOf(r, heldOrder)
	if err != nil {
		return nil, err
	}
	if after != nil {
		s.AfterPath, s.AfterRef = after.Path, after.Key
	}
	limit, err := limitOf(r, 0)
	if err != nil {
		return nil, err
	}
	if limit > 0 {
		s.Limit = limit + 1
	}
	held, err := a.queue.FindHeld(r.Context(), s)
	if err != nil {
		return nil, err
	}
	next := ""
	if limit > 0 && len(held) > limit {
		held = held[:limit]
		next = cursorText(heldOrder, &queue.Cursor{Path: held[limit-1].Path, Key: held[limit-1].Ref})
	}
	list := []protocol.HeldRewrite{}
	for _, h := range held {
		list = append(list, protocol.HeldRewrite{
			Path: h.Path, Ref: h.Ref, Old: h.Old, New: h.New, Since: unixTime(h.Since), Approved: h.Approved,
		})
	}
	return exchange.JSON(protocol.HeldRewrites{HeldRewrites: list, Next: next}), nil
}

// heldOrder names the order of held rewrites in their cursors.
const heldOrder = "ref"
