package statedb_test

import (
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/statedb"
	"github.com/lorry-controller/lorry-controller/core/statedb/statedbtest"
)

// The lease of the upkeep goes by the clock of the PostgreSQL server: neither does
// a core whose own is an hour ahead keep it for an hour after its death, nor is
// it taken from one whose clock is an hour behind.
func TestTheLeaseOfTheUpkeepGoesByTheServersClock(t *testing.T) {
	t.Parallel()
	url := postgres(t)
	core := func(off time.Duration) *statedb.DB {
		clock := statedbtest.NewClock()
		clock.Advance(time.Since(clock.Now()) + off)
		return statedbtest.Open(t, url, clock)
	}
	ahead, behind, right := core(time.Hour), core(-time.Hour), core(0)
	expect := func(what string, db *statedb.DB, holder string, ttl time.Duration, want bool) {
		t.Helper()
		_, ok, err := db.TryLead(t.Context(), holder, ttl)
		if err != nil {
			t.Fatal(err)
		}
		if ok != want {
			t.Errorf("%s: %s leads: want %t, got %t", what, holder, want, ok)
		}
	}
	const whole, over = time.Minute, 0
	expect("nobody led", behind, "behind", whole, true)
	expect("behind's lease lasts", right, "right", whole, false)
	expect("behind's lease lasts", ahead, "ahead", whole, false)
	expect("behind's lease is over", behind, "behind", over, true)
	expect("behind's lease is over", ahead, "ahead", whole, true)
	expect("ahead's lease lasts", right, "right", whole, false)
	expect("ahead's lease is over", ahead, "ahead", over, true)
	expect("ahead's lease is over", behind, "behind", whole, true)

	// The server's clock is set back by an hour while a lease lasts, whose holder
	// dies.
	if err := statedb.Script(t.Context(), right, `UPDATE leases SET until = until + 3600000000`); err != nil {
		t.Fatal(err)
	}
	expect("the clock was set back", right, "right", whole, true)
	// By less than a lease it is waited for.
	if err := statedb.Script(t.Context(), right, `UPDATE leases SET until = until + 30000000`); err != nil {
		t.Fatal(err)
	}
	expect("the clock is a bit off", ahead, "ahead", whole, false)
}

// The server's time is told by the server, and a file has none.
func TestServerTime(t *testing.T) {
	t.Parallel()
	clock := statedbtest.NewClock()
	before := time.Now().Truncate(time.Microsecond)
	now, err := statedbtest.Open(t, postgres(t), clock).ServerTime(t.Context())
	// It may be on another machine.
	if err != nil || now.Sub(before).Abs() > time.Hour {
		t.Errorf("want a time about %s, got %s: %v", before, now, err)
	}
	if none, err := statedbtest.Open(t, sqliteFile(t), clock).ServerTime(t.Context()); err != nil || !none.IsZero() {
		t.Errorf("a file has the time %s: %v", none, err)
	}
}
