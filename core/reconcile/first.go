package reconcile

import (
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

const (
	// atOnce is how many new Lorries of one section are due at once.
	atOnce = 50
	// firstPace is the time between the first due times of those beyond, unless
	// they are so many that it would take longer than firstRuns.
	firstPace = 50 * time.Millisecond
	firstRuns = 10 * time.Minute
)

// firstTimes gives new Lorries their first due times: a few are due at once,
// the jobs of a mass import do not come down on an Upstream Host all together,
// nor again together an interval later. The order of paths is kept.
type firstTimes struct {
	now    time.Time
	most   time.Duration
	beyond int // how many new ones there are beyond atOnce
	seen   int
}

func newFirstTimes(o Options, chosen []choice) *firstTimes {
	f := &firstTimes{now: o.Clock(), most: o.FirstRuns, beyond: -atOnce}
	for _, c := range chosen {
		if c.fresh {
			f.beyond++
		}
	}
	return f
}

// next is the first due time of the next Lorry, in the order of paths.
func (f *firstTimes) next(l core.Lorry, fresh bool) time.Time {
	if !fresh || f.beyond <= 0 || f.most < 0 {
		return f.now
	}
	f.seen++
	nth := f.seen - atOnce
	if nth <= 0 {
		return f.now
	}
	span := min(time.Duration(f.beyond)*firstPace, f.most, l.Interval)
	return f.now.Add(time.Duration(float64(span) * float64(nth) / float64(f.beyond)))
}
