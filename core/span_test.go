package core

import (
	"testing"
	"time"
)

func TestSpanHasTwoUnits(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0 s", 1500 * time.Millisecond: "1 s", 145 * time.Second: "2 min 25 s",
		26*time.Hour + 3*time.Minute: "26 h 3 min", 76*time.Hour + time.Minute: "3 d 4 h",
	} {
		if got := Span(d); got != want {
			t.Errorf("%v: want %q, got %q", d, want, got)
		}
	}
}
