package protocol

import (
	"fmt"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
)

// NiceTime prints a time for people, or "" for the zero time.
func NiceTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04:05") + " UTC"
}

// NiceInterval prints a duration as the original did, such as "2 h 0 min 0 s".
func NiceInterval(d time.Duration) string {
	seconds := int64(max(d, 0) / time.Second)
	h, m, s := seconds/3600, seconds/60%60, seconds%60
	switch {
	case h > 0:
		return fmt.Sprintf("%d h %d min %d s", h, m, s)
	case m > 0:
		return fmt.Sprintf("%d min %d s", m, s)
	default:
		return fmt.Sprintf("%d s", s)
	}
}

// NiceDue prints when something is due, seen from now: "now" or such as
// "in 1 h 59 min".
func NiceDue(due, now time.Time) string {
	left := due.Sub(now)
	if left <= 0 {
		return "now"
	}
	return "in " + NiceSpan(left)
}

// NiceSpan prints a duration with its two biggest units, such as "3 d 4 h".
func NiceSpan(d time.Duration) string { return core.Span(d) }

// NiceSize prints a number of bytes, such as "1.5 GiB".
func NiceSize(n int64) string {
	if n < 1024 {
		return fmt.Sprintf("%d B", max(n, 0))
	}
	size, unit := float64(n), ""
	for _, unit = range []string{"KiB", "MiB", "GiB", "TiB", "PiB"} {
		size /= 1024
		if size < 1024 {
			break
		}
	}
	return fmt.Sprintf("%.1f %s", size, unit)
}
