package webapp_test

import (
	"context"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/webapp"
)

// TestHoldsOfAnyHostAreShown: also of a host that CONFGIT has no section for, and
// of all Lorries.
func TestHoldsOfAnyHostAreShown(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.SetHosts(core.HostState{Name: "forge.example.com"})
	until := time.Unix(4102444800, 0)
	for name, reason := range map[string]string{
		"forge.example.com": "in the section", "lonely.example.com": "in no section", "*": "the token is refused",
	} {
		if err := s.queue.HoldHost(t.Context(), name, until, reason); err != nil {
			t.Fatal(err)
		}
	}
	hosts := s.get(t, "/1.0/hosts")
	for _, want := range []string{
		`{"name":"*","until":4102444800,"reason":"the token is refused"}`,
		`{"name":"forge.example.com","until":4102444800,"reason":"in the section"}`,
		`{"name":"lonely.example.com","until":4102444800,"reason":"in no section"}`,
	} {
		hosts.want(t, 200, want)
		s.get(t, "/1.0/status").want(t, 200, want)
	}
	page := s.get(t, "/1.0/status-html")
	for _, want := range []string{"all Lorries", "the token is refused", "Lorries from lonely.example.com", "in no section"} {
		page.want(t, 200, want)
	}
	s.post(t, "/1.0/resume", "host=*").want(t, 200, "is resumed")
	s.post(t, "/1.0/resume", "host=lonely.example.com").want(t, 200, "is resumed")
	s.get(t, "/1.0/hosts").want(t, 200, `"holds":[{"name":"forge.example.com"`)
}

// TestAHostWithAPortShowsTheHoldOfItsName: Lorries are held by the name alone.
func TestAHostWithAPortShowsTheHoldOfItsName(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.SetHosts(core.HostState{Name: "Forge.example.com:8443"}, core.HostState{Name: "other.example.com:8443"})
	if err := s.queue.HoldHost(t.Context(), "forge.example.com", time.Unix(4102444800, 0), "it moves"); err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"/1.0/hosts", "/1.0/status"} {
		answer := s.get(t, page)
		answer.want(t, 200, `"held_until":4102444800,"held_reason":"it moves"`)
		answer.want(t, 200, `"held_until":0,"held_reason":""`)
	}
}

// TestAHostIsHeldByEveryNameItHas: CONFGIT may call an Upstream Host otherwise
// than the URLs of its Lorries do, or with a port and in capital letters.
func TestAHostIsHeldByEveryNameItHas(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.queue.Put(core.LorryState{Lorry: core.Lorry{Path: "up/a", Host: "Forge", UpstreamHost: "git.example.com"}})
	held := func() []string {
		t.Helper()
		holds, err := s.queue.HostHolds(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return slices.Sorted(maps.Keys(holds))
	}
	for name, want := range map[string][]string{
		"Forge": {"forge", "git.example.com"}, "Other.example.com:8443": {"other.example.com"}, "*": {"*"},
	} {
		s.post(t, "/1.0/hold", "until=4102444800&host="+name).want(t, 200, "is held")
		if diff := cmp.Diff(want, held()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		s.post(t, "/1.0/resume", "host="+name).want(t, 200, "is resumed")
		if got := held(); len(got) > 0 {
			t.Errorf("%s is resumed, but %q are held", name, got)
		}
	}
}

// warned is one adapter whose credentials are about to end.
type warned struct{}

func (warned) Adapters() []protocol.Adapter {
	return []protocol.Adapter{{
		Name: "forge", Type: "gitlab", State: "ready", HeldKind: "unauthenticated", ExpiresAt: 1_790_000_000,
		Warnings: []string{"the credentials stop working on 2026-09-21: replace them before"},
	}}
}

func (warned) RestartAdapter(context.Context, string) error { return nil }

func TestWarningsOfAnAdapterAreShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(o *webapp.Options) { o.Info.Adapters = warned{} })
	adapters := s.get(t, "/1.0/adapters")
	for _, want := range []string{`"held_kind":"unauthenticated"`, `"expires_at":1790000000`, `"warnings":["the credentials stop working on 2026-09-21`} {
		adapters.want(t, 200, want)
	}
	s.get(t, "/1.0/status-html").want(t, 200, "the credentials stop working on 2026-09-21: replace them before")
}
