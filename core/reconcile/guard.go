package reconcile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

// agreeing is how many complete listings in a row must agree before one that
// drops a lot is believed; fewest is how many may always go. Of listings that lie
// closer together than apart, or than the host's ls-interval, one counts: a fault of
// the host may last for minutes, and hooks or an admin have it listed at any time.
const (
	agreeing = 3
	fewest   = 3
	apart    = time.Hour
)

// believe decides whether the Lorries that a complete listing lacks may be
// removed. If not, purge says why. What it doubts is in the STATEDB, so that a
// restart, or another core, goes on counting.
func (r *Reconciler) believe(ctx context.Context, h core.Host, missing []string, known int, approved bool) (ok bool, purge string, err error) {
	held, err := r.opts.Store.HeldPurge(ctx, h.Name)
	if err != nil {
		return false, "", err
	}
	pause := min(apart, h.LsInterval)
	next, ok := r.weigh(held, missing, known, approved, pause)
	if next != held {
		err = r.opts.Store.SetHeldPurge(ctx, h.Name, next)
		if core.KindOf(err) == core.KindNotFound {
			err = nil // another core has read that the host is gone
		}
	}
	if ok || err != nil {
		return ok && err == nil, "", err
	}
	return false, fmt.Sprintf("the listing lacks %d of %d repositories, such as %q; none is removed until %d complete listings in a row, %s or more apart, agree (this is number %d) or an admin approves",
		len(missing), known, missing[0], agreeing, pause, next.Seen), nil
}

// weigh gives what is held from now on, or that the listing is believed. What
// an admin approved are the removals that were held, not what the host says by
// the time that the word arrives.
func (r *Reconciler) weigh(held HeldPurge, missing []string, known int, approved bool, pause time.Duration) (HeldPurge, bool) {
	allowed := max(fewest, int(float64(known)*r.purgeProtect()/100))
	if len(missing) <= allowed {
		return HeldPurge{}, true
	}
	digest := digestOf(missing)
	if approved && held.Digest == digest {
		return HeldPurge{}, true
	}
	now := r.opts.Clock().UTC().Truncate(time.Microsecond)
	if held.Digest != digest {
		held = HeldPurge{Missing: len(missing), Digest: digest, Since: now}
	} else if since := now.Sub(held.Counted); since >= 0 && since < pause {
		return held, false
	}
	held.Seen++
	held.Counted = now
	if held.Seen >= agreeing {
		return HeldPurge{}, true
	}
	return held, false
}

func digestOf(paths []string) string {
	paths = slices.Sorted(slices.Values(paths))
	sum := sha256.New()
	for _, path := range paths {
		fmt.Fprintf(sum, "%q\n", path)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// vanished refuses a CONFGIT that has lost its file while there is something
// that it gave. Who wants nothing mirrored says so; a file that is not there is
// a wrong branch, or a push that went wrong.
func (r *Reconciler) vanished(ctx context.Context, c *confgit.Config) error {
	if !c.Missing {
		return nil
	}
	sections, err := r.opts.Store.Sections(ctx)
	if err != nil {
		return err
	}
	hosts, err := r.opts.Store.Hosts(ctx)
	if err != nil || len(sections)+len(hosts) == 0 {
		return err
	}
	return &confgit.BrokenError{Problem: core.Problem{
		File: confgit.ConfFile, Severity: core.SeverityError,
		Message: "there is no such file any more, so what it said before stays; to mirror nothing, let it hold an empty list, []",
	}}
}
