package api

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/reconcile"
	"github.com/lorry-controller/lorry-controller/core/webapp/exchange"
)

// Planner is a configuration that can say what another CONFGIT would change.
// *reconcile.Reconciler has it.
type Planner interface {
	Plan(ctx context.Context, p reconcile.PlanParams) (reconcile.Plan, error)
}

// shownPlanned is how many Lorries of each list a plan names; all are counted.
const shownPlanned = 1000

// Plan answers POST /1.0/plan: what the commit, branch or ref of CONFGIT in the
// field commit would change, or the files in a JSON body. Nothing is changed.
func (a *API) Plan(r *exchange.Request) (exchange.Answer, error) {
	planner, ok := a.config.(Planner)
	if !ok {
		return nil, core.Errorf(core.KindUnsupported, "this controller can't plan")
	}
	p := reconcile.PlanParams{Commit: r.Form.First("commit", "ref", "branch")}
	var err error
	if p.Files, err = planFiles(r); err != nil {
		return nil, err
	}
	if len(p.Files) > 0 && p.Commit != "" {
		return nil, badField("commit", p.Commit, "send either a commit or files")
	}
	plan, err := planner.Plan(r.Context(), p)
	if err != nil {
		return nil, err
	}
	return exchange.JSON(planInfo(plan)), nil
}

// planFiles reads the member files of a JSON body.
func planFiles(r *exchange.Request) (map[string][]byte, error) {
	var body struct {
		Files json.RawMessage `json:"files"`
	}
	if raw := r.Form.JSON(); raw == nil || json.Unmarshal(raw, &body) != nil || body.Files == nil {
		if r.Form.Has("files") {
			return nil, badField("files", r.Form.Get("files"), filesHint)
		}
		return nil, nil
	}
	var texts map[string]string
	if err := json.Unmarshal(body.Files, &texts); err != nil {
		return nil, &core.Error{Kind: core.KindInvalid, Err: err, Fact: fmt.Sprintf("field \"files\" can't be read: %v", err), Hint: filesHint}
	}
	files := make(map[string][]byte, len(texts))
	for path, text := range texts {
		files[path] = []byte(text)
	}
	return files, nil
}

const filesHint = `send a JSON object such as {"files": {"lorry-controller.conf": "[…]", "mirrors/a.lorry": "{…}"}}`

func planInfo(p reconcile.Plan) protocol.Plan {
	list := func(from []reconcile.PlannedLorry) []protocol.PlanLorry {
		all := []protocol.PlanLorry{}
		for _, l := range from[:min(len(from), shownPlanned)] {
			all = append(all, protocol.PlanLorry(l))
		}
		return all
	}
	texts := func(from []string) []string { return append([]string{}, from...) }
	return protocol.Plan{
		Commit: p.Commit, Current: p.Current, Broken: p.Broken,
		Added: list(p.Added), Removed: list(p.Removed), Changed: list(p.Changed),
		Counts: protocol.PlanCounts{Added: len(p.Added), Removed: len(p.Removed), Changed: len(p.Changed), Unchanged: p.Unchanged},
		Hosts:  protocol.PlanHosts{Added: texts(p.HostsAdded), Removed: texts(p.HostsRemoved), Changed: texts(p.HostsChanged)},
		Kept:   texts(p.Kept), KeptAll: p.KeptAll, Faults: append([]core.Problem{}, p.Problems...),
	}
}
