package push

import (
	"fmt"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
)

// judge compares what was wanted with what downstream has now. What was read
// back decides, not what the push said.
func (p *Push) judge(refs []policy.Wanted, bars map[string]bar, before, after map[string]string, said map[string]report, failed error) (Result, error) {
	var res Result
	worst := make(map[core.FailureKind]core.RefResult)
	for _, w := range refs {
		r := core.RefResult{Ref: w.Dst, Old: before[w.Dst], New: w.Object}
		bar, barred := bars[w.Dst]
		if after[w.Dst] == w.Object && !barred {
			r.Status = status(r, said[w.Dst])
			res.Changed++
			res.Refs = append(res.Refs, r)
			continue
		}
		kind := core.FailRefused
		said, known := said[w.Dst]
		r.Status, r.Reason = core.RefRejected, said.reason
		switch {
		case barred:
			r.Reason = bar.reason
			if bar.follows != "" && after[bar.follows] != w.Object {
				res.Refs = append(res.Refs, r) // why, the other ref tells
				continue
			}
		case !known || said.flag != '!':
			if failed != nil && !known {
				continue
			}
			r.Reason = "the push was reported as done, but downstream has another value"
		case w.Forces(r.Old) && said.denied():
			r.Reason = "downstream lets nobody rewrite a ref (receive.denyNonFastForwards or a rule of the host): " + said.reason
		case said.diverged():
			kind = core.FailDiverged
			if p.Policy.Rewrites() != core.RewriteRefuse {
				r.Status = core.RefHeld
			}
		}
		if _, there := worst[kind]; !there {
			worst[kind] = r
		}
		res.Refs = append(res.Refs, r)
	}
	res.Failure = p.failure(res.Refs, worst, failed)
	if bar, barred := bars[worst[res.Failure.Kind].Ref]; barred && bar.hint != "" {
		res.Failure.Hint = bar.hint
	}
	if failed != nil && len(worst) == 0 {
		return res, gitfail.From(failed, gitfail.Downstream)
	}
	return res, nil
}

func status(r core.RefResult, said report) string {
	switch {
	case r.New == "":
		return core.RefDeleted
	case r.Old == "":
		return core.RefNew
	case said.flag == '+':
		return core.RefForced
	}
	return core.RefUpdated
}

// failure sums the refused refs up: a refusal by the host goes before a
// rewrite, since approving the rewrite would not help it.
func (p *Push) failure(refs []core.RefResult, worst map[core.FailureKind]core.RefResult, failed error) core.Failure {
	if len(worst) == 0 {
		return core.Failure{}
	}
	count := 0
	for _, r := range refs {
		if r.Status == core.RefRejected || r.Status == core.RefHeld {
			count++
		}
	}
	kind := core.FailRefused
	first, there := worst[kind]
	if !there {
		kind = core.FailDiverged
		first = worst[kind]
	}
	if kind == core.FailRefused && failed != nil {
		// The messages beside may know more: a full disk, missing LFS objects.
		switch e := gitfail.From(failed, gitfail.Downstream); e.Kind {
		case core.FailDisk, core.FailLFS, core.FailCorrupt, core.FailAuth:
			return e.Failure
		}
	}
	what := fmt.Sprintf("downstream refused %s: %s", first.Ref, first.Reason)
	if kind == core.FailDiverged {
		what = fmt.Sprintf("downstream's %s would lose what it has: %s", first.Ref, first.Reason)
	}
	if count > 1 {
		what += fmt.Sprintf(" (and %d more refs)", count-1)
	}
	return core.Failure{Kind: kind, Cause: what, Hint: p.hint(kind)}
}

// hint says what to do about refused refs. How a rewrite gets through depends on
// the policy: a "+" is asked for where nothing else is said.
func (p *Push) hint(kind core.FailureKind) string {
	const look = "upstream was rewritten, or somebody else changed the mirror: look at it, "
	switch {
	case kind != core.FailDiverged:
	case p.Policy.Rewrites() == core.RewriteRefuse:
		return look + "then let it through with rewrites: force, or with rewrites: hold, which waits for an admin to approve it"
	case p.Policy.Rewrites() == core.RewriteHold:
		return look + "then approve the rewrite or let it through with rewrites: force"
	}
	return gitfail.Hint(kind, gitfail.Downstream)
}
