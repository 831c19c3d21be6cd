package reconcile

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
)

// agreeing is how many complete listings in a row must agree before one that
// drops a lot is believed; fewest is how many may always go.
const (
	agreeing = 3
	fewest   = 3
)

// doubt is about a host whose listing dropped more than is likely.
type doubt struct {
	missing string // digest of the paths that it dropped
	seen    int    // listings in a row that dropped just those
}

// believe decides whether the Lorries that a complete listing lacks may be
// removed. If not, purge says why.
func (r *Reconciler) believe(host string, missing []string, known int, approved bool) (ok bool, purge string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	allowed := max(fewest, int(float64(known)*r.opts.PurgeProtect/100))
	if len(missing) <= allowed || approved {
		delete(r.doubts, host)
		return true, ""
	}
	d, digest := r.doubts[host], digestOf(missing)
	if d.missing != digest {
		d = doubt{missing: digest}
	}
	d.seen++
	if d.seen >= agreeing {
		delete(r.doubts, host)
		return true, ""
	}
	r.doubts[host] = d
	return false, fmt.Sprintf("the listing lacks %d of %d repositories, such as %q; none is removed until %d complete listings in a row agree (this is number %d) or an admin approves",
		len(missing), known, missing[0], agreeing, d.seen)
}

func digestOf(paths []string) string {
	paths = slices.Sorted(slices.Values(paths))
	sum := sha256.New()
	for _, path := range paths {
		fmt.Fprintf(sum, "%q\n", path)
	}
	return hex.EncodeToString(sum.Sum(nil))
}
