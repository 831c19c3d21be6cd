package schedule

import (
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// Limits bounds how many jobs may run.
type Limits struct {
	MaxJobs *int // in all; nil means no limit
	PerHost int  // per upstream host name; 0 means no limit
}

// Load is what runs already.
type Load struct {
	Jobs   int
	ByHost map[string]int
}

// free reports whether one more job to the host fits.
func (l Limits) free(load Load, host string) bool {
	if l.MaxJobs != nil && load.Jobs >= *l.MaxJobs {
		return false
	}
	return l.PerHost <= 0 || host == "" || load.ByHost[host] < l.PerHost
}

// FullHosts names the upstream hosts to which no further job may start, in
// order.
func (l Limits) FullHosts(load Load) []string {
	if l.PerHost <= 0 {
		return nil
	}
	var full []string
	for host, n := range load.ByHost {
		if host != "" && n >= l.PerHost {
			full = append(full, host)
		}
	}
	slices.Sort(full)
	return full
}

// Room is how many more jobs may start in all, at most want.
func (l Limits) Room(load Load, want int) int {
	if l.MaxJobs == nil {
		return want
	}
	return max(0, min(want, *l.MaxJobs-load.Jobs))
}

// Wish is what one minion asks for.
type Wish struct {
	Max   int             // at most so many
	Holds map[string]bool // paths in its working area
}

// Choose picks for one minion among due Lorries, given in queue order, and
// returns their indices. Those marked in taken are left out, and what is picked
// is marked and added to load. A Lorry that the minion holds in its working area
// goes before others, except before one that has been due for longer than grace.
func Choose(due []core.LorryState, taken []bool, w Wish, lim Limits, load *Load, now time.Time, grace time.Duration) []int {
	if load.ByHost == nil {
		load.ByHost = map[string]int{}
	}
	var picked []int
	pick := func(want func(core.LorryState) bool) {
		for i, l := range due {
			if len(picked) >= w.Max {
				return
			}
			if taken[i] || !want(l) || !lim.free(*load, l.UpstreamHost) {
				continue
			}
			taken[i] = true
			picked = append(picked, i)
			load.Jobs++
			load.ByHost[l.UpstreamHost]++
		}
	}
	pick(func(l core.LorryState) bool { return l.Position < 0 || (len(w.Holds) > 0 && now.Sub(l.Due) > grace) })
	if len(w.Holds) > 0 {
		pick(func(l core.LorryState) bool { return w.Holds[l.Path] })
	}
	pick(func(core.LorryState) bool { return true })
	return picked
}
