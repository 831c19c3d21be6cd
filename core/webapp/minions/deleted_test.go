package minions

import (
	"testing"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

func TestOnlyARefusedDeletionMovesTheDefaultBranch(t *testing.T) {
	t.Parallel()
	const head = "refs/heads/new"
	old := core.RefResult{Ref: "refs/heads/old", Old: "1", Status: core.RefRejected}
	for name, tc := range map[string]struct {
		refs []core.RefResult
		kind core.FailureKind
		head string
		want bool
	}{
		"the old default branch":          {[]core.RefResult{{Ref: head, New: "2", Status: core.RefNew}, old}, core.FailRefused, head, true},
		"a branch that can't be pushed":   {[]core.RefResult{{Ref: head, New: "2", Status: core.RefRejected}, old}, core.FailRefused, head, false},
		"a rewrite that waits":            {[]core.RefResult{{Ref: "refs/heads/x", New: "2", Status: core.RefHeld}, old}, core.FailRefused, head, false},
		"a tag":                           {[]core.RefResult{{Ref: "refs/tags/v1", Old: "1", Status: core.RefRejected}}, core.FailRefused, head, false},
		"the new default branch":          {[]core.RefResult{{Ref: head, Old: "1", Status: core.RefRejected}}, core.FailRefused, head, false},
		"upstream's default is not known": {[]core.RefResult{old}, core.FailRefused, "", false},
		"another failure":                 {[]core.RefResult{old}, core.FailNetwork, head, false},
		"nothing refused":                 {nil, core.FailRefused, head, false},
	} {
		p := queue.UpdateParams{Done: true, Exit: "1", Failure: core.Failure{Kind: tc.kind}, Refs: tc.refs}
		if got := onlyDeletionsRefused(p, tc.head); got != tc.want {
			t.Errorf("%s: want %v, got %v", name, tc.want, got)
		}
	}
}
