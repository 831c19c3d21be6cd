package importer

import (
	"context"
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
)

// Upkeep says how often what is made sure of, and what may go.
type Upkeep struct {
	// Verify is how long an unchanged upstream saves the look at downstream; 0
	// means a day.
	Verify time.Duration
	// Check is how often the working copy is checked and packed, in a rotation
	// that spreads the Lorries; 0 means 30 days, below 0 never.
	Check time.Duration
	// KeepRewritten is how long old tips of rewritten refs are kept; 0 means for
	// ever.
	KeepRewritten time.Duration
	// Free is how much disk space a job shall find; other Lorries' working
	// copies, the least used ones, go for it. 0: none goes.
	Free int64
}

const (
	defaultVerify = 24 * time.Hour
	defaultCheck  = 30 * 24 * time.Hour
	// smallCopy is up to what size every object is read by a check, in bytes.
	smallCopy = 64 << 20
)

func (u Upkeep) verify() time.Duration {
	if u.Verify == 0 {
		return defaultVerify
	}
	return u.Verify
}

func (u Upkeep) check() time.Duration {
	if u.Check == 0 {
		return defaultCheck
	}
	return u.Check
}

func (j *job) checkDue(h area.Health) bool {
	return j.Upkeep.check() > 0 && j.over(h.Checked, j.Upkeep.check())
}

// over reports whether so long has passed. What was done at a time that is yet
// to come was dated by a wrong clock, and says nothing.
func (j *job) over(at time.Time, every time.Duration) bool {
	since := j.Clock().Sub(at)
	return since < -time.Minute || since >= every
}

// begin reads when what was made sure of, makes room, and checks the working
// copy when its turn has come: before anything is pushed from it.
func (j *job) begin(ctx context.Context, place *workcopy.Copy) (area.Health, error) {
	if j.Upkeep.Free > 0 {
		told := func(line string) { fmt.Fprintf(j.Out, ".. little disk space is left: %s\n", line) }
		if err := area.Evict(j.WorkingArea, j.Upkeep.Free, told); err != nil {
			j.Log.Warn("cannot make room in the working area", "error", err)
		}
	}
	h, known := area.ReadHealth(j.area.Dir)
	if h.Digest != "" {
		// Whatever becomes of this run, what it pushes is not as it was then.
		h.Digest = ""
		if err := j.area.SetHealth(h); err != nil {
			return h, gitfail.From(err, gitfail.Local)
		}
	}
	if !known && j.Upkeep.check() > 0 {
		// Not all Lorries that came at once are to be checked at once.
		h.Checked = j.Clock().Add(-j.share(j.Upkeep.check()))
	}
	if known && j.checkDue(h) && place.Repo.Exists() {
		fmt.Fprintln(j.Out, ".. checking the working copy")
		place.Scrub(ctx, repo.DiskUsage(place.Repo.Dir) <= smallCopy)
		if ctx.Err() == nil {
			h.Checked = j.Clock()
			j.collect = place.Repo.Exists()
		}
	}
	return h, nil
}

// end records what was made sure of. That it could not be recorded makes no
// import bad.
func (j *job) end(ctx context.Context, place *workcopy.Copy, h area.Health) {
	if !j.PullOnly {
		h.Verified = j.Clock()
		if j.Request == nil {
			h.Digest = j.report.Digest
		}
	}
	j.tend(ctx, place, h)
}

// refused looks after the working copy of a job that did not bring everything
// downstream, which may go on for months: a rewrite that waits for an approval.
func (j *job) refused(ctx context.Context, place *workcopy.Copy, h area.Health, changed int, why error) {
	if gitfail.From(why, gitfail.Local).Place == gitfail.Local || ctx.Err() != nil {
		return // it may be damaged
	}
	j.tend(ctx, place, h)
	j.pack(ctx, place.Repo, changed)
}

func (j *job) tend(ctx context.Context, place *workcopy.Copy, h area.Health) {
	err := place.Rescue(ctx)
	if err == nil && (j.collect || j.Upkeep.KeepRewritten > 0) {
		err = place.Expire(ctx, j.Upkeep.KeepRewritten)
	}
	if err == nil && j.collect && !j.NoRepack {
		err = place.Repo.Collect(ctx)
	}
	h.Size = repo.DiskUsage(j.area.Dir)
	if serr := j.area.SetHealth(h); err == nil {
		err = serr
	}
	if err != nil && ctx.Err() == nil {
		fmt.Fprintf(j.Out, ".. warning: %v\n", err)
		j.Log.Warn("cannot look after the working copy", "lorry", j.Spec.Name, "error", err)
	}
}
