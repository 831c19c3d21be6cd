package statedb

import (
	"context"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

// outdatedWindow is how many jobs one look at the history covers.
const outdatedWindow = 2000

// Outdated implements queue.Store. It walks the history by id in windows, so
// that no look is long however much there is.
func (db *DB) Outdated(ctx context.Context, p queue.Retention, now time.Time, from core.JobID, limit int) ([]core.JobID, core.JobID, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	before := func(age time.Duration) int64 {
		if age <= 0 {
			return 0
		}
		return micros(now.Add(-age))
	}
	perLorry := p.PerLorry
	if perLorry <= 0 {
		perLorry = 1<<31 - 1
	}
	// The end of the window is an id that exists, or 0 when there are no more.
	var end int64
	if err := db.read.row(ctx, `SELECT COALESCE(MAX(id), 0) FROM (SELECT id FROM jobs WHERE id >= $1 ORDER BY id LIMIT $2) w`,
		int64(from), min(limit, outdatedWindow)).Scan(&end); err != nil {
		return nil, 0, classify("looking for old jobs", err)
	}
	if end == 0 {
		return nil, 0, nil
	}
	ids, err := collect(ctx, db.read, scanID, `SELECT j.id FROM jobs j WHERE j.id >= $1 AND j.id <= $2 AND j.exit <> '' AND (
			j.ended < $3 OR (j.unchanged AND j.ended < $4)
			OR (SELECT COUNT(*) FROM (SELECT 1 FROM jobs n WHERE n.path = j.path AND n.id > j.id LIMIT $5) newer) >= $5)
		ORDER BY j.id`, int64(from), end, before(p.Age), before(p.UnchangedAge), perLorry)
	if err != nil {
		return nil, 0, classify("looking for old jobs", err)
	}
	return ids, core.JobID(end + 1), nil
}
