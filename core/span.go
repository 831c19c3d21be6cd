package core

import (
	"fmt"
	"time"
)

// Span prints a duration for people with its two biggest units, such as
// "3 d 4 h" or "2 min 25 s".
func Span(d time.Duration) string {
	seconds := int64(max(d, 0) / time.Second)
	switch {
	case seconds >= 48*3600:
		return fmt.Sprintf("%d d %d h", seconds/86400, seconds/3600%24)
	case seconds >= 3600:
		return fmt.Sprintf("%d h %d min", seconds/3600, seconds/60%60)
	case seconds >= 60:
		return fmt.Sprintf("%d min %d s", seconds/60, seconds%60)
	default:
		return fmt.Sprintf("%d s", seconds)
	}
}
