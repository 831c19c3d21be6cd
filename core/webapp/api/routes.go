package api

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// pageOf reads the optional fields after and limit; without them a list is
// whole, as the original's clients expect.
func pageOf(r *exchange.Request) (queue.Page, error) {
	page := queue.Page{After: r.Form.Get("after")}
	if r.Form.Get("limit") == "" {
		return page, nil
	}
	limit, err := r.Form.Int("limit")
	if err != nil {
		return page, err
	}
	if limit < 1 || limit > 100_000 {
		return page, badField("limit", strconv.FormatInt(limit, 10), "it is a number from 1 to 100000; the field after leads to the next page")
	}
	page.Limit = int(limit)
	return page, nil
}

// StartQueue answers POST /1.0/start-queue.
func (a *API) StartQueue(r *exchange.Request) (exchange.Answer, error) {
	if err := a.queue.SetRunning(r.Context(), true); err != nil {
		return nil, err
	}
	return exchange.Line("Queue set to run"), nil
}

// StopQueue answers POST /1.0/stop-queue. Jobs that run are left alone.
func (a *API) StopQueue(r *exchange.Request) (exchange.Answer, error) {
	if err := a.queue.SetRunning(r.Context(), false); err != nil {
		return nil, err
	}
	return exchange.Line("Queue set to not run"), nil
}

// MoveToTop answers POST /1.0/move-to-top.
func (a *API) MoveToTop(r *exchange.Request) (exchange.Answer, error) {
	return a.move(r, "top", a.queue.MoveToTop)
}

// MoveToBottom answers POST /1.0/move-to-bottom.
func (a *API) MoveToBottom(r *exchange.Request) (exchange.Answer, error) {
	return a.move(r, "bottom", a.queue.MoveToBottom)
}

func (a *API) move(r *exchange.Request, where string, move func(ctx context.Context, path string) error) (exchange.Answer, error) {
	path, err := pathField(r)
	if err != nil {
		return nil, err
	}
	if err := move(r.Context(), path); err != nil {
		return nil, err
	}
	return exchange.Line(fmt.Sprintf("Lorry %s moved to %s of run-queue", path, where)), nil
}

// longestName and longestPath are beyond what hosts and Lorries are called, in
// bytes: what is longer is not repeated in answers, nor kept.
const longestName, longestPath = 300, 8192

func pathField(r *exchange.Request) (string, error) {
	path := strings.Trim(r.Form.Get("path"), "/")
	if len(path) > longestPath {
		return "", core.Errorf(core.KindNotFound, "there is no Lorry with so long a path: %q", core.Clip(path, mostQuoted))
	}
	if path == "" {
		return "", &core.Error{
			Kind: core.KindInvalid, Fact: "field \"path\" is missing",
			Hint: "send path=LORRY, such as path=upstream/foo; list-queue names them",
		}
	}
	return path, nil
}

// Lorry answers GET /1.0/lorry/PATH.
func (a *API) Lorry(r *exchange.Request) (exchange.Answer, error) {
	detail, err := a.LorryDetail(r.Context(), strings.Trim(r.Param("path"), "/"))
	if err != nil {
		return nil, err
	}
	return exchange.JSON(detail), nil
}

// LorryDetail gathers everything about one Lorry, at the same time. An unknown
// one is core.KindNotFound.
func (a *API) LorryDetail(ctx context.Context, path string) (protocol.LorryDetail, error) {
	var lorry core.LorryState
	var jobs []core.JobID
	var why queue.Why
	var errLorry, errJobs, errWhy error
	var reading sync.WaitGroup
	reading.Go(func() { jobs, errJobs = a.queue.JobIDs(ctx, queue.JobFilter{Path: path}, 0, math.MaxInt32) })
	reading.Go(func() { why, errWhy = a.queue.Explain(ctx, path) })
	lorry, errLorry = a.queue.Lorry(ctx, path)
	reading.Wait()
	if err := cmp.Or(errLorry, errJobs, errWhy); err != nil {
		return protocol.LorryDetail{}, err
	}
	return protocol.LorryDetail{
		Lorry: LorryInfo(lorry, a.clock()),
		Jobs:  append([]core.JobID{}, jobs...),
		Why:   protocol.Why{Reason: why.Reason, Detail: why.Detail, Until: unixTime(why.Until)},
	}, nil
}

func ids(jobs []core.Job) []core.JobID {
	list := make([]core.JobID, 0, len(jobs))
	for _, j := range jobs {
		list = append(list, j.ID)
	}
	return list
}

// MaxJobs answers GET /1.0/get-max-jobs.
func (a *API) MaxJobs(r *exchange.Request) (exchange.Answer, error) {
	status, err := a.queue.Status(r.Context())
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.MaxJobs{MaxJobs: status.MaxJobs}), nil
}

// SetMaxJobs answers POST /1.0/set-max-jobs. An empty value, "None" or null
// lifts the limit.
func (a *API) SetMaxJobs(r *exchange.Request) (exchange.Answer, error) {
	if !r.Form.Has("max_jobs") {
		return nil, &core.Error{
			Kind: core.KindInvalid, Fact: "field \"max_jobs\" is missing",
			Hint: "send max_jobs=N, or max_jobs= with nothing behind it for no limit",
		}
	}
	var limit *int
	switch strings.ToLower(strings.TrimSpace(r.Form.Get("max_jobs"))) {
	case "", "none", "null":
	default:
		n, err := r.Form.Int("max_jobs")
		if err != nil {
			return nil, err
		}
		if n < 0 || n > 1_000_000 {
			return nil, badField("max_jobs", strconv.FormatInt(n, 10), "it is a number from 0 to 1000000, or nothing for no limit")
		}
		limit = new(int)
		*limit = int(n)
	}
	if err := a.queue.SetMaxJobs(r.Context(), limit); err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.MaxJobs{MaxJobs: limit}), nil
}

// ReadConfiguration answers POST /1.0/read-configuration: 200 with a text that
// says whether CONFGIT was applied, either way, because the original's timers
// look at the text alone.
func (a *API) ReadConfiguration(r *exchange.Request) (exchange.Answer, error) {
	problems, err := a.config.ReadConfiguration(r.Context())
	if err != nil {
		a.log.Error("configuration was not read", "error", err)
		return exchange.Line("ERROR: " + exchange.ErrorBody(err).Message), nil
	}
	text := "Configuration has been updated."
	for _, p := range problems {
		if p.Severity == core.SeverityError {
			text += "\n" + problemLine(p)
		}
	}
	return exchange.Line(text), nil
}

func problemLine(p core.Problem) string {
	where := p.File
	if p.Line > 0 {
		where += ":" + strconv.Itoa(p.Line)
	}
	if p.Key != "" {
		where += " (" + p.Key + ")"
	}
	return "Problem: " + strings.TrimSpace(where+": "+p.Message)
}

// ListHosts answers POST /1.0/ls-troves.
func (a *API) ListHosts(r *exchange.Request) (exchange.Answer, error) {
	return a.listHosts(r.Context(), false)
}

// ListAllHosts answers POST /1.0/force-ls-troves.
func (a *API) ListAllHosts(r *exchange.Request) (exchange.Answer, error) {
	return a.listHosts(r.Context(), true)
}

func (a *API) listHosts(ctx context.Context, all bool) (exchange.Answer, error) {
	names, err := a.config.ListHosts(ctx, all)
	if err != nil {
		return nil, err
	}
	return updatedHosts(names), nil
}

func updatedHosts(names []string) exchange.Answer {
	names = append([]string{}, names...)
	return exchange.JSON(protocol.UpdatedHosts{Troves: names, Hosts: names})
}

// ListHost answers POST /1.0/force-ls-trove, which names one host.
func (a *API) ListHost(r *exchange.Request) (exchange.Answer, error) {
	name := r.Form.First("trovehost", "host")
	if name == "" {
		return a.listHosts(r.Context(), true)
	}
	listed, err := a.config.ListHost(r.Context(), name)
	if err != nil {
		return nil, err
	}
	return updatedHosts(listed), nil
}

// Hosts answers GET /1.0/hosts.
func (a *API) Hosts(r *exchange.Request) (exchange.Answer, error) {
	hosts, err := a.queue.Hosts(r.Context())
	if err != nil {
		return nil, err
	}
	holds, err := a.holds(r.Context())
	if err != nil {
		return nil, err
	}
	list := hostList(hosts, holds, a.clock())
	return exchange.JSON(protocol.Hosts{Hosts: list, Troves: list, Holds: holds}), nil
}

// Problems answers GET /1.0/problems: those of CONFGIT, and those of hosts that
// a person has to see to.
func (a *API) Problems(r *exchange.Request) (exchange.Answer, error) {
	problems, err := a.problems(r.Context())
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.Problems{Problems: problems}), nil
}

// NotFound is the error for a path that is no route.
func NotFound(r *http.Request) error {
	return &core.Error{Kind: core.KindNotFound, Fact: "Not found: '" + r.URL.Path + "'", Hint: "/1.0/status-html is the first page"}
}
