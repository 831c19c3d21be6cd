package minion

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

const (
	// maxRefs is how much of a report may be about single refs, in bytes: with
	// the output it stays below the 1 MiB that a web server before the
	// controller takes unless it is told otherwise. fewRefs is for a report that
	// was too long all the same.
	maxRefs, fewRefs = 512 << 10, 16 << 10
	// leastChunk is the least output that a report is made shorter to, in bytes.
	leastChunk = 4 << 10
)

// fit makes the end of a job one that has at most so many bytes of refs. When
// some are left out, those that were held or refused go first: they are to be
// seen to, and a held one can be approved only when it was told. The job's
// output says how many are missing.
func fit(end *protocol.Update, most int, out io.Writer) {
	all := len(end.Refs)
	if fits(end.Refs, most) == all {
		return
	}
	refs := slices.Clone(end.Refs)
	slices.SortStableFunc(refs, func(a, b core.RefResult) int { return cmp.Compare(rank(a), rank(b)) })
	end.Refs = refs[:fits(refs, most)]
	fmt.Fprintf(out, "Note: of %d refs %d are left out of the job's list of refs, since a report has no room for them\n", all, all-len(end.Refs))
}

func rank(r core.RefResult) int {
	switch r.Status {
	case core.RefHeld:
		return 0
	case core.RefRejected:
		return 1
	}
	return 2
}

// fits counts how many refs, from the first, go into so many bytes.
func fits(refs []core.RefResult, most int) int {
	for i, r := range refs {
		text, err := json.Marshal(r)
		if most -= len(text) + len(","); err != nil || most < 0 {
			return i
		}
	}
	return len(refs)
}

// shorten makes the next report shorter than one that was too long for the
// controller or for what is between; false when it can't be. end is the report
// if it has refs, or nil.
func (r *reporter) shorten(end *protocol.Update) bool {
	switch {
	case end != nil && len(end.Refs) > 0:
		if r.refs > fewRefs {
			r.refs = fewRefs
		} else {
			r.refs = 0
		}
		fit(end, r.refs, r.out)
	case r.most > leastChunk:
		r.most = max(r.most/4, leastChunk)
	default:
		return false
	}
	r.pause.reset()
	r.next = time.Time{}
	return true
}
