package daemon

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// entry is one job of the history, in steady time: the core's wall clock may be set.
type entry struct {
	id             core.JobID
	path, host     string
	fence          core.Fence
	started, ended time.Time // ended is zero while it runs
	exit           string
	kind           core.FailureKind
}

// book is what a month's history looks like from outside. It knows the rules as
// the manual tells them, and nothing of how they are kept.
type book struct {
	entries map[core.JobID]*entry
	last    core.JobID
	paths   map[string]*ledgerOf
	// blocked are the times at which nothing may run, or nothing of a host, or
	// no job of a Lorry: the core was down, an admin said so, or all was full.
	blocked map[string][]stretch
	asked   map[string][]ask
	// loose are the times at which CONFGIT changed something for a Lorry, or an
	// admin put it last: when it runs next is not foreseen here.
	loose map[string][]time.Time
	gone  map[string]bool // what is no longer wanted, and goes sooner or later
	leaps []leap

	pairs   int
	latest  time.Duration
	lateSum time.Duration
}

// ask is an admin's wish for a job; a retry forgets the failures.
type ask struct {
	at    time.Time
	retry bool
}

// leap is a setting of the wall clock.
type leap struct {
	at time.Time
	by time.Duration
}

// ledgerOf is what is known of one Lorry.
type ledgerOf struct {
	host      string
	intervals []since // in their order
	failures  int
	prev      *entry
	since     time.Time     // when prev was due
	late      time.Duration // of prev
	queue     []*entry      // not looked at yet, in the order of ids
}

// since is an interval that counts from then on.
type since struct {
	at       time.Time
	interval time.Duration
}

// intervalAt is the interval that counted then.
func (p *ledgerOf) intervalAt(at time.Time) time.Duration {
	i := len(p.intervals) - 1
	for i > 0 && p.intervals[i].at.After(at) {
		i--
	}
	return p.intervals[i].interval
}

func newBook() *book {
	return &book{
		entries: map[core.JobID]*entry{}, paths: map[string]*ledgerOf{}, blocked: map[string][]stretch{},
		asked: map[string][]ask{}, loose: map[string][]time.Time{}, gone: map[string]bool{},
	}
}

// everything is the key of blocked for all Lorries.
const everything = "*"

// collect takes the history in; off is how far the wall clock is ahead.
func (b *book) collect(jobs []core.Job, off time.Duration) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	for _, j := range jobs {
		e := b.entries[j.ID]
		if e == nil {
			if j.ID < b.last {
				fault("job %d appears after job %d", j.ID, b.last)
			}
			p := b.paths[j.Path]
			if p == nil {
				fault("job %d is of %s, which nobody wants", j.ID, j.Path)
				continue
			}
			e = &entry{id: j.ID, path: j.Path, host: p.host, fence: j.Fence, started: j.Started.Add(-off)}
			b.entries[j.ID] = e
			b.last = j.ID
			p.queue = append(p.queue, e)
		}
		if e.ended.IsZero() && !j.Running() {
			e.ended, e.exit, e.kind = j.Ended.Add(-off), j.Exit, j.Failure.Kind
		}
	}
	for id := core.JobID(1); id <= b.last; id++ {
		if b.entries[id] == nil {
			fault("job %d is not in the history", id)
		}
	}
	return faults
}

// wait is what the manual says of the time between two jobs.
func wait(interval time.Duration, failures int) time.Duration {
	w := interval
	for range failures {
		w = min(2*w, 24*time.Hour)
	}
	return max(w, interval)
}

// after gives the earliest and the latest time at which a Lorry is due after a
// job, and its failures since the last success. What came late may be late once
// more by as much, so that what waited together does not come together for ever.
func after(p *ledgerOf, e *entry) (from, to time.Time, failures int) {
	interval := p.intervalAt(e.ended)
	switch {
	case e.exit == "returned":
		return e.ended, e.ended, p.failures
	case e.kind == core.FailKilled:
		from, failures = e.ended.Add(interval), p.failures
	case e.kind == core.FailLost && p.failures == 0:
		return e.ended, e.ended, 1
	case e.exit != "0":
		failures = p.failures + 1
		from = e.ended.Add(wait(interval, failures))
	default:
		from = e.ended.Add(interval)
	}
	if p.late < time.Minute {
		return from, from, failures
	}
	return from, from.Add(min(p.late, interval)), failures
}

// unfinishedEntry reports whether a job came to nothing through no fault of its
// Lorry, which keeps its due time then.
func unfinishedEntry(p *ledgerOf, e *entry) bool {
	return e.exit == "returned" || e.kind == core.FailLost && p.failures == 0
}

// bound is how long a Lorry may wait that is due, while a minion waits for a job
// and nothing is in the way: until the core looks again at what others may have
// changed, and some time for the minion's next request.
const bound = 15 * time.Second

// check looks at all jobs that began since the last time, and at what waits.
func (b *book) check(now time.Time, idle []stretch) (faults []string) {
	idle = union(idle...)
	full := b.full(now, &faults)
	for _, path := range slices.Sorted(maps.Keys(b.paths)) {
		p := b.paths[path]
		for _, e := range p.queue {
			if !b.next(p, e, e.started, idle, full[p.host], &faults) {
				break
			}
		}
		p.queue = slices.DeleteFunc(p.queue, func(e *entry) bool { return e == p.prev || p.prev != nil && e.id < p.prev.id })
		if len(p.queue) == 0 && p.prev != nil && !p.prev.ended.IsZero() && !b.gone[path] {
			b.next(p, nil, now, idle, full[p.host], &faults)
		}
	}
	return faults
}

// next judges when a job began, or that none has by now; false when the one
// before still runs.
func (b *book) next(p *ledgerOf, e *entry, started time.Time, idle, full []stretch, faults *[]string) bool {
	fault := func(format string, args ...any) { *faults = append(*faults, fmt.Sprintf(format, args...)) }
	was := p.prev
	switch {
	case was == nil:
		p.prev, p.late = e, p.intervalAt(e.started) // since when it is there is not foreseen
		p.since = e.started.Add(-p.late)
		return true
	case was.ended.IsZero():
		fault("%s: job %d began while job %d ran", was.path, e.id, was.id)
		return false
	case e != nil && started.Before(was.ended):
		fault("%s: job %d began at %s, before the end of job %d at %s", was.path, e.id, started, was.id, was.ended)
	case e != nil && e.fence <= was.fence:
		fault("%s: job %d has fence %d after %d", was.path, e.id, e.fence, was.fence)
	}
	window := stretch{was.started, started}
	asks := slices.DeleteFunc(slices.Clone(b.asked[was.path]), func(a ask) bool { return !a.at.After(window.from) || a.at.After(window.to) })
	for _, a := range asks {
		if a.retry && a.at.Before(was.ended) {
			p.failures = 0
		}
	}
	from, to, failures := after(p, was)
	for _, a := range asks {
		from, to = earlier(from, a.at), earlier(to, later(a.at, was.ended))
		if a.retry && !a.at.Before(was.ended) {
			failures = 0
		}
	}
	foreseen := !touched(b.loose[was.path], stretch{window.from.Add(-30 * time.Minute), window.to.Add(30 * time.Minute)})
	from, to = b.leapt(window, was.ended, from, to)
	if foreseen {
		if e != nil && started.Add(time.Second).Before(from) {
			fault("%s: job %d began at %s, due at %s (%d failures, after job %d: %s %s)", was.path, e.id, started, from, failures, was.id, was.exit, was.kind)
		}
		late := b.late(p, was.path, stretch{to, started}, idle, full)
		if late > bound {
			fault("%s: due by %s, began at %s, and for %s of that time a minion waited for a job (after job %d: %s %s, due at %s, which came %s late)", was.path, to, started, late, was.id, was.exit, was.kind, p.since, p.late)
		}
		b.pairs, b.latest, b.lateSum = b.pairs+1, max(b.latest, late), b.lateSum+late
	}
	if e != nil {
		if !unfinishedEntry(p, was) || p.since.IsZero() {
			p.since = from
		}
		p.failures, p.prev, p.late = failures, e, max(started.Sub(p.since), 0)
		if !foreseen {
			p.late = p.intervalAt(started)
		}
	}
	return true
}

// leapt moves the bounds for a due time by settings of the wall clock.
func (b *book) leapt(window stretch, ended, from, to time.Time) (time.Time, time.Time) {
	for _, l := range b.leaps {
		switch {
		case !l.at.After(window.from) || l.at.After(window.to):
		case l.at.Before(ended): // by the clock as it is now it began late
			to = later(to, ended.Add(2*to.Sub(ended)))
		case l.by > 0:
			from = from.Add(-l.by)
		case ended.Before(l.at.Add(l.by)):
			to = to.Add(-l.by) // it waits for its time by the clock as it is now
		default:
			to = to.Add(time.Hour) // since the newest run of all
		}
	}
	return from, to
}

// late is how long a minion waited for a job while the Lorry could have run.
func (b *book) late(p *ledgerOf, path string, window stretch, idle, full []stretch) time.Duration {
	if !window.from.Before(window.to) {
		return 0
	}
	blocked := union(slices.Concat(b.blocked[everything], b.blocked[path], b.blocked[p.host], full)...)
	var sum time.Duration
	for _, free := range without([]stretch{window}, blocked) {
		sum += within(free, idle)
	}
	return sum
}

// simPerHost is max-jobs-per-host.
const simPerHost = 3

// full gives the times at which no more jobs of a host may run.
func (b *book) full(now time.Time, faults *[]string) map[string][]stretch {
	type step struct {
		at time.Time
		by int
	}
	steps := map[string][]step{}
	for _, e := range b.entries {
		end := e.ended
		if end.IsZero() {
			end = now
		}
		if now.Sub(end) < 5*24*time.Hour {
			steps[e.host] = append(steps[e.host], step{e.started, 1}, step{end, -1})
		}
	}
	full := map[string][]stretch{}
	for host, all := range steps {
		slices.SortFunc(all, func(a, b step) int {
			if c := a.at.Compare(b.at); c != 0 {
				return c
			}
			return a.by - b.by
		})
		n := 0
		for i, s := range all {
			n += s.by
			if n > simPerHost {
				*faults = append(*faults, fmt.Sprintf("%d jobs to %s at %s", n, host, s.at))
			}
			if n == simPerHost && i+1 < len(all) {
				full[host] = append(full[host], stretch{s.at, all[i+1].at})
			}
		}
	}
	return full
}

// leases finds jobs whose lease is over for longer than upkeep may take.
func leases(jobs []core.Job, now time.Time) (faults []string) {
	for _, j := range jobs {
		if j.Running() && now.Sub(j.Lease) > queue.DefaultGhostTimeout/4+bound {
			faults = append(faults, fmt.Sprintf("job %d of %s outlives its lease by %s", j.ID, j.Path, now.Sub(j.Lease)))
		}
	}
	return faults
}

func touched(times []time.Time, s stretch) bool {
	return slices.ContainsFunc(times, func(at time.Time) bool { return at.After(s.from) && at.Before(s.to) })
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
