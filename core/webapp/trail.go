package webapp

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/julienschmidt/httprouter"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/audit"
	"github.com/lorry-controller/lorry-controller/core/webapp/auth"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// auditTime bounds what the audit takes of one request; it is not the client's
// to end.
const auditTime = 15 * time.Second

// auditedFields are the fields that say what a call is about. All others stay
// out of the audit: nobody knows what a client sends.
func auditedFields() []string {
	return []string{
		"path", "host", "trovehost", "job_id", "max_jobs", "ref", "new", "reason", "until", "kind", "group", "now",
		"commit", "minion", "labels", "drain", "id", "name", "role", "expires", "state", "text",
	}
}

// subject says what a call is about: the variable parts of its path and the
// fields that are audited.
func subject(params httprouter.Params, form exchange.Form) string {
	var parts []string
	for _, p := range params {
		parts = append(parts, p.Key+"="+withoutSecrets(p.Value))
	}
	for _, field := range auditedFields() {
		if form.Has(field) {
			parts = append(parts, field+"="+withoutSecrets(form.Get(field)))
		}
	}
	return strings.Join(parts, " ")
}

// withoutSecrets leaves out what looks like a credential: the user part of a
// URL, and a token of this controller.
func withoutSecrets(text string) string {
	for _, field := range strings.Fields(text) {
		if u, err := url.Parse(field); err == nil && u.User != nil {
			text = strings.ReplaceAll(text, field, u.Scheme+"://***@"+u.Host+u.EscapedPath())
		}
	}
	return regexp.MustCompile(`lorry_[a-z2-7]+_[a-z2-7]+`).ReplaceAllString(text, "***")
}

// stateOf says how the subject of a call is: the Lorry, the job or the Upstream
// Host that its fields name, or else the queue.
func (s *Server) stateOf(ctx context.Context, params httprouter.Params, form exchange.Form) string {
	path, host := form.Get("path"), form.First("host", "trovehost")
	id, idErr := strconv.ParseInt(form.First("job_id"), 10, 64)
	switch {
	case path != "":
		return s.lorryState(ctx, path, form.Get("ref"))
	case idErr == nil:
		job, err := s.queue.Job(ctx, core.JobID(id))
		if err != nil {
			return missing(err)
		}
		return fmt.Sprintf("job %d of %s: exit=%s kill=%t", job.ID, job.Path, job.Exit, job.Kill)
	case host != "":
		return s.hostState(ctx, host)
	case len(params) > 0:
		return ""
	}
	status, err := s.queue.Status(ctx)
	if err != nil {
		return missing(err)
	}
	limit := "none"
	if status.MaxJobs != nil {
		limit = strconv.Itoa(*status.MaxJobs)
	}
	return fmt.Sprintf("running_queue=%t max_jobs=%s lorries=%d held=%d failing=%d",
		status.Running, limit, status.Counts.Lorries, status.Counts.Held, status.Counts.Failing)
}

func (s *Server) lorryState(ctx context.Context, path, ref string) string {
	l, err := s.queue.Lorry(ctx, path)
	if err != nil {
		return missing(err)
	}
	text := fmt.Sprintf("due=%s position=%d failures=%d held=%s", short(l.Due), l.Position, l.Failures, withoutSecrets(l.HeldReason))
	if ref == "" {
		return text
	}
	held, err := s.queue.HeldRewrites(ctx, path)
	if err != nil {
		return missing(err)
	}
	for _, h := range held {
		if h.Ref == ref {
			text += fmt.Sprintf(" %s=%s..%s approved=%t", h.Ref, h.Old, h.New, h.Approved)
		}
	}
	return text
}

func (s *Server) hostState(ctx context.Context, name string) string {
	hosts, err := s.queue.Hosts(ctx)
	if err != nil {
		return missing(err)
	}
	for _, h := range hosts {
		if h.Name == name {
			return fmt.Sprintf("listed=%d ls_due=%s held_until=%s held=%s purge=%s",
				h.Listed, short(h.LsDue), short(h.HeldUntil), withoutSecrets(h.HeldReason), h.Purge)
		}
	}
	return ""
}

func missing(err error) string { return "(" + string(core.KindOf(err)) + ")" }

func short(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.UTC().Format(time.RFC3339)
}

// audited runs the handler of a route that changes something, and leaves a row
// about it, whatever came of it.
func (s *Server) audited(ctx context.Context, route Route, params httprouter.Params, r *exchange.Request) (exchange.Answer, error) {
	if s.audit == nil || route.Effect != Write {
		return route.Handler(r)
	}
	before := s.stateOf(ctx, params, r.Form)
	answer, err := route.Handler(r)
	// Even when the client went away meanwhile.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), auditTime)
	defer cancel()
	e := audit.Entry{
		At: s.guard.Now(), Who: r.Caller.Name, From: r.Caller.From, Action: route.Method + " " + route.Path,
		Subject: subject(params, r.Form), Was: r.Was, Became: r.Became, Result: "ok",
	}
	if e.Was == "" && e.Became == "" {
		e.Was, e.Became = before, s.stateOf(ctx, params, r.Form)
	}
	if err != nil {
		e.Result = string(exchange.ErrorBody(err).Kind)
	}
	if _, auditErr := s.audit.AppendAudit(ctx, e); auditErr != nil {
		s.log.Error("the audit was not written", "action", e.Action, "who", e.Who, "from", e.From, "subject", e.Subject, "result", e.Result, "error", auditErr)
		if err != nil { // the more so, and it says why
			return answer, err
		}
		return nil, &core.Error{
			Kind: core.KindUnavailable, Err: auditErr, Fact: "the call was carried out as far as possible, but could not be recorded in the audit",
			Hint: "look at the state first, then at the controller's log",
		}
	}
	return answer, err
}

// admit says who makes a request and whether the route is for him.
func (s *Server) admit(route Route, r *http.Request) (auth.Caller, error) {
	if route.Access == auth.Public {
		return s.guard.Somebody(r), nil
	}
	if route.Path == "/metrics" && s.metricsPublic {
		return s.guard.Somebody(r), nil
	}
	caller, err := s.guard.Identify(r)
	if err == nil {
		err = s.guard.Refusal(caller, route.Access)
	}
	if core.KindOf(err) == core.KindDenied && caller.Known() {
		s.log.Warn("request refused", "method", route.Method, "route", route.Path, "who", caller.Name, "role", string(caller.Role), "from", caller.From)
	}
	return caller, err
}
