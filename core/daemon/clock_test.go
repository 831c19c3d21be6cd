package daemon

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// All cores go by the time of the server, and its clock is the only one that can
// be set: between two looks time goes by as it does.
func TestTheClockFollowsTheServer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var c stateClock
		expect := func(what string, want time.Time) {
			t.Helper()
			if got := c.now(); !got.Equal(want) {
				t.Errorf("%s: want %s, got %s", what, want, got)
			}
		}
		answer := func(told time.Time, err error) func(context.Context) (time.Time, error) {
			return func(context.Context) (time.Time, error) {
				<-time.After(2 * time.Second) // a second to it and one back
				return told, err
			}
		}
		pass := func(d time.Duration) { <-time.After(d) }
		expect("before the first look", time.Now())
		if err := c.follow(t.Context(), answer(time.Time{}, nil)); err != nil {
			t.Fatal(err)
		}
		expect("without a server", time.Now())

		server := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
		if err := c.follow(t.Context(), answer(server, nil)); err != nil {
			t.Fatal(err)
		}
		expect("at the first look", server.Add(time.Second))
		pass(time.Minute)
		expect("later", server.Add(time.Minute+time.Second))
		away := errors.New("away")
		if err := c.follow(t.Context(), answer(time.Now(), away)); !errors.Is(err, away) {
			t.Errorf("want the error, got %v", err)
		}
		expect("without an answer", server.Add(time.Minute+3*time.Second))
		if err := c.follow(t.Context(), answer(server.Add(-time.Hour), nil)); err != nil {
			t.Fatal(err)
		}
		expect("after it was set back", server.Add(time.Second-time.Hour))
	})
}
