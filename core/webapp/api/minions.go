package api

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/queue"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// silent is how long a minion may keep quiet before it is shown as silent. One
// with nothing to do asks at least once a minute.
const silent = 3 * time.Minute

// Minions answers GET /1.0/minions.
func (a *API) Minions(r *exchange.Request) (exchange.Answer, error) {
	list, err := a.MinionList(r.Context())
	if err != nil {
		return nil, err
	}
	return exchange.JSON(protocol.Minions{Minions: list}), nil
}

// MinionList gives the minions by name, each with what it runs.
func (a *API) MinionList(ctx context.Context) ([]protocol.Minion, error) {
	minions, err := a.queue.Minions(ctx)
	if err != nil {
		return nil, err
	}
	jobs, err := a.queue.Jobs(ctx, queue.JobFilter{Running: true})
	if err != nil {
		return nil, err
	}
	byMinion := map[string][]core.Job{}
	for _, j := range jobs {
		byMinion[j.Minion] = append(byMinion[j.Minion], j)
	}
	list := make([]protocol.Minion, 0, len(minions))
	for _, m := range minions {
		list = append(list, minionInfo(m, byMinion[m.Name], a.clock()))
	}
	return list, nil
}

// minionInfo shows a minion. A report on a job is a sign of life too.
func minionInfo(m queue.Minion, jobs []core.Job, now time.Time) protocol.Minion {
	info := protocol.Minion{
		Name: m.Name, Address: m.Address, PID: m.PID, Version: m.Build, Protocol: m.Protocol,
		Labels: append([]string{}, m.Labels...), Since: unixTime(m.First), Draining: m.Drain, Short: m.Short, Jobs: []protocol.MinionJob{},
	}
	for _, j := range jobs {
		info.Jobs = append(info.Jobs, protocol.MinionJob{JobID: j.ID, Path: j.Path, Started: unixTime(j.Started)})
		if j.Updated.After(m.Seen) {
			m.Seen = j.Updated
		}
	}
	info.LastSeen, info.SeenNice = unixTime(m.Seen), protocol.NiceTime(m.Seen)
	switch {
	case now.Sub(m.Seen) > silent:
		info.State = "silent"
	case m.Drain && len(jobs) > 0:
		info.State = "draining"
	case m.Drain:
		info.State = "drained"
	case m.Short != "":
		info.State = "no room"
	case len(jobs) > 0:
		info.State = "busy"
	default:
		info.State = "idle"
	}
	return info
}

func minionField(r *exchange.Request) (string, error) {
	name := r.Form.Get("minion")
	if name == "" {
		return "", &core.Error{
			Kind: core.KindInvalid, Fact: "field \"minion\" is missing",
			Hint: "send minion=NAME; /1.0/minions lists the names",
		}
	}
	return name, nil
}

// DrainMinion answers POST /1.0/minions/drain: the minion gets no job any more.
// Those that it runs go on.
func (a *API) DrainMinion(r *exchange.Request) (exchange.Answer, error) {
	return a.drain(r, true, " gets no job any more")
}

// ResumeMinion answers POST /1.0/minions/resume, the opposite.
func (a *API) ResumeMinion(r *exchange.Request) (exchange.Answer, error) {
	return a.drain(r, false, " gets jobs again")
}

func (a *API) drain(r *exchange.Request, drain bool, what string) (exchange.Answer, error) {
	name, err := minionField(r)
	if err != nil {
		return nil, err
	}
	if err := a.queue.DrainMinion(r.Context(), name, drain); err != nil {
		return nil, err
	}
	return exchange.Line("Minion " + name + what), nil
}

// ForgetMinion answers POST /1.0/minions/forget: a minion that was taken away is
// not listed any more. It is known again as soon as it asks for a job.
func (a *API) ForgetMinion(r *exchange.Request) (exchange.Answer, error) {
	name, err := minionField(r)
	if err != nil {
		return nil, err
	}
	if err := a.queue.ForgetMinion(r.Context(), name); err != nil {
		return nil, err
	}
	return exchange.Line("Minion " + name + " is forgotten"), nil
}
