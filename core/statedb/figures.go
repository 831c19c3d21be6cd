package statedb

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// Figures describe all mirrors together.
type Figures struct {
	// Within counts, for each bound that was asked for, the mirrors that were
	// known to be equal to their upstream not longer ago; Equal counts all that
	// ever were, and Never those that never were.
	Within       []int
	Equal, Never int
	// Sum and Worst are of the time since then.
	Sum, Worst time.Duration
	DiskUsage  int64 // bytes of all working areas
	// Overdue is how long the Lorry that is due for the longest time waits.
	Overdue time.Duration
}

// Figures reads all Lorries once; it is not for every second.
func (db *DB) Figures(ctx context.Context, bounds []time.Duration) (Figures, error) {
	ctx, cancel := db.deadline(ctx)
	defer cancel()
	now := db.clock()
	query := strings.Builder{}
	query.WriteString(`SELECT COUNT(CASE WHEN last_equal > 0 THEN 1 END), COUNT(CASE WHEN last_equal = 0 THEN 1 END),
		COALESCE(SUM(CASE WHEN last_equal > 0 THEN ($1 - last_equal) / 1000000 END), 0),
		COALESCE(MIN(CASE WHEN last_equal > 0 THEN last_equal END), $1), COALESCE(SUM(CAST(disk_usage AS DOUBLE PRECISION)), 0),
		COALESCE(MIN(CASE WHEN running_job IS NULL AND held = '' AND due <= $1 THEN due END), $1)`)
	args := []any{micros(now)}
	for _, bound := range bounds {
		args = append(args, micros(now.Add(-bound)))
		fmt.Fprintf(&query, ", COUNT(CASE WHEN last_equal >= $%d AND last_equal > 0 THEN 1 END)", len(args))
	}
	query.WriteString(` FROM queue WHERE NOT removed`)
	f := Figures{Within: make([]int, len(bounds))}
	var seconds, oldest, due int64
	var used float64 // a sum of whole numbers may be beyond all of them
	dest := []any{&f.Equal, &f.Never, &seconds, &oldest, &used, &due}
	for i := range f.Within {
		dest = append(dest, &f.Within[i])
	}
	err := db.read.row(ctx, query.String(), args...).Scan(dest...)
	f.DiskUsage = int64(min(used, 1<<62))
	f.Sum, f.Worst, f.Overdue = time.Duration(seconds)*time.Second, now.Sub(fromMicros(oldest)), now.Sub(fromMicros(due))
	if f.Equal == 0 {
		f.Worst = 0
	}
	f.Worst, f.Overdue = max(f.Worst, 0), max(f.Overdue, 0)
	return f, classify("counting mirrors", err)
}
