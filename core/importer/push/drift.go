package push

import (
	"fmt"
	"sort"

	"github.com/lorry-controller/lorry-controller/core/importer/policy"
)

// tellDrift says which refs are no longer as this Lorry left them: somebody
// else changed them. What becomes of them is the policy's to say. One that was
// deleted, and is not wanted any more, is as it shall be.
func (p *Push) tellDrift(wanted []policy.Wanted, pushed, have map[string]string) {
	wants := make(map[string]bool, len(wanted))
	for _, w := range wanted {
		wants[w.Dst] = true
	}
	var names []string
	for ref, object := range pushed {
		if have[ref] != object && (wants[ref] || have[ref] != "") {
			names = append(names, ref)
		}
	}
	if len(names) == 0 {
		return
	}
	sort.Strings(names)
	for _, ref := range names[:min(len(names), maxDrift)] {
		now := have[ref]
		if now == "" {
			now = "gone"
		}
		fmt.Fprintf(p.Out, ".. warning: downstream %s was changed by somebody else: it is %.12s, not %.12s as it was pushed\n", ref, now, pushed[ref])
	}
	if more := len(names) - maxDrift; more > 0 {
		fmt.Fprintf(p.Out, ".. warning: so were %d more refs\n", more)
	}
}

// maxDrift is how many refs that somebody else changed are named.
const maxDrift = 10

func (p *Push) told(done int) {
	if p.Told != nil {
		p.Told(done)
	}
}
