package reconcile_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/confgit"
)

// TestTheShrinkGuardHoldsOneMoreThanMayGo goes to the edge on both sides: the
// larger of 3 repositories and 5 % may go.
func TestTheShrinkGuardHoldsOneMoreThanMayGo(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ known, gone, left int }{
		{4, 3, 1},
		{4, 4, 4},
		{10, 3, 7},
		{10, 4, 10},
		{79, 3, 76},
		{79, 4, 79},
		{80, 4, 76},
		{80, 5, 80},
		{100, 5, 95},
		{100, 6, 100},
	} {
		t.Run(fmt.Sprintf("%d of %d", tc.gone, tc.known), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(clock core.Clock) store { return newMemory(clock) })
			w.write(confgit.ConfFile, conf(hostSection("h", `{"": "h"}`)))
			w.read()
			w.hosts.has("h", numbered(0, tc.known)...)
			w.list(true)
			w.hosts.has("h", numbered(tc.gone, tc.known)...)
			w.list(true)
			if held := w.host("h").Purge != ""; len(w.paths()) != tc.left || held != (tc.left == tc.known) {
				t.Errorf("want %d left, got %d; held: %t", tc.left, len(w.paths()), held)
			}
		})
	}
}

// dyingStore fails where a core was killed: at one of the steps of applying.
type dyingStore struct {
	store
	at string
}

func (s dyingStore) PutHosts(ctx context.Context, hosts []core.Host) error {
	if s.at == "hosts" {
		return errors.New("killed")
	}
	return s.store.PutHosts(ctx, hosts)
}

func (s dyingStore) SetRetire(ctx context.Context, policies map[string]core.RetirePolicy) error {
	if s.at == "policies" {
		return errors.New("killed")
	}
	return s.store.SetRetire(ctx, policies)
}

// TestAnAdminsRemovalIsNotHeldAfterACrash kills the core while it applies a
// section that maps every repository elsewhere.
func TestAnAdminsRemovalIsNotHeldAfterACrash(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		w := newWorld(t, open)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "old"}`)))
		w.read()
		w.hosts.has("h", numbered(0, 20)...)
		w.list(true)
		w.write(confgit.ConfFile, conf(hostSection("h", `{"": "new"}`)))
		whole := w.store
		for _, at := range []string{"policies", "hosts"} {
			w.store = dyingStore{whole, at}
			w.restart()
			if _, err := w.r.ReadConfiguration(t.Context()); err == nil || !strings.Contains(err.Error(), "killed") {
				t.Fatalf("it was not killed: %v", err)
			}
		}
		w.store = whole
		w.restart()
		w.read()
		w.list(false) // the host is due: its section has changed
		left := w.paths()
		if len(left) != 20 || w.host("h").Purge != "" {
			t.Errorf("want 20 Lorries and nothing held, got %d and %q", len(left), w.host("h").Purge)
		}
		for _, path := range left {
			if !strings.Contains(path, " new/") {
				t.Errorf("%q stays", path)
			}
		}
	})
}

// TestListingsInAShortTimeCountAsOne: hooks, or an admin, may have a host listed
// thrice while it answers wrongly for a minute.
func TestListingsInAShortTimeCountAsOne(t *testing.T) {
	t.Parallel()
	onEveryStore(t, func(t *testing.T, open func(core.Clock) store) {
		for interval, apart := range map[string]time.Duration{"4h": time.Hour, "10m": 10 * time.Minute} {
			w := newWorld(t, open)
			w.write(confgit.ConfFile, strings.Replace(conf(hostSection("h", `{"": "h"}`)), `"ls-interval": "4h"`, `"ls-interval": "`+interval+`"`, 1))
			w.read()
			w.hosts.has("h", numbered(0, 20)...)
			w.list(true)
			w.hosts.has("h")
			for seen := 1; seen < 3; seen++ {
				for range 4 {
					w.push("h")
					w.list(false)
					if held := w.host("h").Purge; len(w.paths()) != 20 || !strings.Contains(held, fmt.Sprint("number ", seen)) {
						t.Fatalf("every %s: %d of 20 are left, and held is %q", interval, len(w.paths()), held)
					}
					w.clock.advance(apart/4 - time.Second)
				}
				w.clock.advance(4 * time.Second)
			}
			w.list(true)
			if len(w.paths()) > 0 {
				t.Errorf("every %s: three listings that lie apart are not believed: %q", interval, w.host("h").Purge)
			}
		}
	})
}
