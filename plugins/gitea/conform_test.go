package gitea

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/giteafake"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest/suite"
)

func TestConformance(t *testing.T) {
	fake, address := serve(t, giteafake.Options{})
	// One server for all seeds: the suite looks for goroutines that are left.
	var seeded atomic.Pointer[giteafake.Server]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seeded.Load().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	fx := suite.Fixture{
		Upstream: conformHost(address),
		Repos:    many(fake, "acme", 130),
		Seed: func(n int) (suite.Host, error) {
			other := giteafake.New(giteafake.Options{Token: canary, ExternalURL: "https://wrong.invalid"})
			many(other, "acme", n)
			seeded.Store(other)
			return conformHost(server.URL), nil
		},
	}
	// What the suite makes must not show up in its listings.
	downFake, downAddress := serve(t, giteafake.Options{})
	fx.Downstream = conformHost(downAddress)
	fx.Verify = func(want sdk.Want, _ sdk.Have) error {
		p, ok := downFake.Repo(want.Path)
		if !ok || want.Description != "" && p.Description != want.Description {
			return fmt.Errorf("want %+v, got %+v", want, p)
		}
		return nil
	}
	// The suite makes a group within a group, which Gitea does not have.
	conform(t, fx, "makes repositories in a new group")
}

// conform runs the suite, but for cases whose paths the forge can't have at all.
func conform(t *testing.T, fx suite.Fixture, except ...string) {
	t.Helper()
	before := goleak.IgnoreCurrent()
	trial, err := suite.Begin(t.Context(), connect, fx)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range suite.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			if err := trial.Run(t.Context(), c); err != nil && !(slices.Contains(except, c.Name) && sdk.KindOf(err) == sdk.Invalid) {
				t.Error(err)
			}
		})
	}
	if err := goleak.Find(before); err != nil {
		t.Errorf("goroutines are left after Close: %v", err)
	}
}

func conformHost(address string) suite.Host {
	return suite.Host{Settings: map[string]any{"http-url": address}, Secrets: map[string]string{"access-token": canary}}
}
