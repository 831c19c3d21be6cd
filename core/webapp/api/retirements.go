package api

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/retire"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// Retirements knows the repositories downstream that are to be archived, since
// their Lorries went away. *statedb.DB has it.
type Retirements interface {
	FindRetirements(ctx context.Context, s retire.Search) ([]retire.Listed, error)
	// HastenRetirement has one tried at once, CancelRetirement leaves the
	// repository as it is; core.KindNotFound when there is none at the path,
	// core.KindConflict when it is archived already.
	HastenRetirement(ctx context.Context, path string) error
	CancelRetirement(ctx context.Context, path string) error
}

// retirementOrder names the order of retirements in their cursors.
const retirementOrder = "retirement"

// Retirements answers GET /1.0/retirements.
func (a *API) Retirements(r *exchange.Request) (exchange.Answer, error) {
	answer := protocol.Retirements{Retirements: []protocol.Retirement{}}
	var states []string
	for _, s := range retire.States() {
		states = append(states, string(s))
	}
	state, err := choice(r, "state", states)
	if err != nil {
		return nil, err
	}
	after, err := cursorOf(r, retirementOrder)
	if err != nil {
		return nil, err
	}
	limit, err := limitOf(r, usualPage)
	if err != nil || a.retirements == nil {
		return exchange.JSON(answer), err
	}
	s := retire.Search{Path: strings.Trim(r.Form.Get("path"), "/"), State: retire.State(state), Limit: limit + 1}
	if after != nil {
		s.After = after.Path
	}
	list, err := a.retirements.FindRetirements(r.Context(), s)
	if err != nil {
		return nil, err
	}
	if len(list) > limit {
		list = list[:limit]
		answer.Next = cursorText(retirementOrder, &queue.Cursor{Path: list[limit-1].Path})
	}
	for _, one := range list {
		shown := protocol.Retirement{Path: one.Path, State: string(one.State), Attempts: one.Attempts, Error: one.Error, Archived: unixTime(one.Done)}
		if one.State == retire.Failing || one.State == retire.Waiting {
			shown.Next = unixTime(one.Next)
		}
		answer.Retirements = append(answer.Retirements, shown)
	}
	return exchange.JSON(answer), nil
}

// RetryRetirement answers POST /1.0/retirements/retry.
func (a *API) RetryRetirement(r *exchange.Request) (exchange.Answer, error) {
	return a.steer(r, "is archived as soon as the Downstream Host lets us", Retirements.HastenRetirement)
}

// CancelRetirement answers POST /1.0/retirements/cancel.
func (a *API) CancelRetirement(r *exchange.Request) (exchange.Answer, error) {
	return a.steer(r, "stays as it is", Retirements.CancelRetirement)
}

func (a *API) steer(r *exchange.Request, words string, act func(Retirements, context.Context, string) error) (exchange.Answer, error) {
	path, err := pathField(r)
	if err != nil {
		return nil, err
	}
	if a.retirements == nil {
		return nil, core.Errorf(core.KindNotFound, "no repository is to be archived at %q", path)
	}
	if err := act(a.retirements, r.Context(), path); err != nil {
		return nil, err
	}
	r.Became = "the repository " + words
	return exchange.Line("The repository " + path + " " + words), nil
}

// shownRetirements is how many of those that fail are told one by one.
const shownRetirements = 20

// troubles are the problems of hosts: settings that are ignored or doubtful,
// credentials that end, and repositories that can't be archived.
func (a *API) troubles(ctx context.Context) ([]core.Problem, error) {
	list := []core.Problem{}
	if a.info.Adapters != nil {
		now := a.clock()
		for _, one := range a.info.Adapters.Adapters() {
			for _, d := range one.Doubts {
				list = append(list, core.Problem{Host: one.Name, Key: d.Setting, Severity: core.SeverityWarning, Message: d.Text, Hint: cmp.Or(d.Hint, "correct the settings of this host")})
			}
			if at := time.Unix(one.ExpiresAt, 0); one.ExpiresAt != 0 && adapter.EndsSoon(at, now) {
				list = append(list, ending(one, at, now))
			}
		}
	}
	if a.retirements == nil {
		return list, nil
	}
	failing, err := a.retirements.FindRetirements(ctx, retire.Search{State: retire.Failing, Attempts: retire.Often, Limit: shownRetirements + 1})
	if err != nil {
		return nil, err
	}
	for i, one := range failing {
		if i == shownRetirements {
			list = append(list, core.Problem{
				Host: adapter.DownstreamName, Severity: core.SeverityWarning, Message: "more repositories can't be archived",
				Hint: "GET /1.0/retirements?state=failing, or \"lorryctl retirements list --state failing\", lists them all",
			})
			break
		}
		list = append(list, core.Problem{
			Host: adapter.DownstreamName, Key: "retire", Severity: core.SeverityWarning,
			Message: fmt.Sprintf("the repository %q can't be archived, though it was tried %d times since its Lorry went away: %s", one.Path, one.Attempts, one.Error),
			Hint: fmt.Sprintf("mend that and try at once with \"lorryctl retirements retry %[1]s\", or leave it as it is with \"lorryctl retirements cancel %[1]s\"; the next attempt is at %[2]s",
				one.Path, one.Next.UTC().Format(time.RFC3339)),
		})
	}
	return list, nil
}

// ending tells of credentials that end soon, or have ended.
func ending(one protocol.Adapter, at, now time.Time) core.Problem {
	where := "the section of this host in CONFGIT, or the file that it names"
	if one.Name == adapter.DownstreamName {
		where = "the configuration file of the controller, or the file that it names, and reload it"
	}
	day := at.UTC().Format(time.DateOnly)
	p := core.Problem{
		Host: one.Name, Key: "credentials", Severity: core.SeverityWarning,
		Hint: "make new ones on the host, before that day, and put them into " + where,
	}
	switch days := int(at.Sub(now) / (24 * time.Hour)); {
	case !at.After(now):
		p.Severity = core.SeverityError
		p.Message = fmt.Sprintf("the credentials for this host stopped working on %s", day)
		p.Hint = "make new ones on the host and put them into " + where
	case days == 0:
		p.Message = fmt.Sprintf("the credentials for this host stop working on %s, in less than a day", day)
	case days == 1:
		p.Message = fmt.Sprintf("the credentials for this host stop working on %s, in 1 day", day)
	default:
		p.Message = fmt.Sprintf("the credentials for this host stop working on %s, in %d days", day, days)
	}
	return p
}

// problems are those of CONFGIT, and behind them those of hosts, the worst of
// these first.
func (a *API) problems(ctx context.Context) ([]core.Problem, error) {
	problems, err := a.queue.Problems(ctx)
	if err != nil {
		return nil, err
	}
	troubles, err := a.troubles(ctx)
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(troubles, func(x, y core.Problem) int { return cmp.Compare(x.Severity, y.Severity) }) // "error" before "warning"
	return slices.Concat([]core.Problem{}, problems, troubles), nil
}
