package gitlab

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/gitlabfake"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

func TestConformance(t *testing.T) { sdktest.Conform(t, Plugin(), fixture(t)) }

func TestConformanceOfTheProgram(t *testing.T) {
	fx := fixture(t)
	fx.Seed = nil // the same code listed them in process
	sdktest.ConformBinary(t, sdktest.Build(t, "../../cmd/lorry-adapter-gitlab"), fx)
}

func fixture(t *testing.T) sdktest.Fixture {
	t.Helper()
	fake, address := serve(t, gitlabfake.Options{})
	// One server for all seeds: the suite looks for goroutines that are left.
	var seeded atomic.Pointer[gitlabfake.Server]
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seeded.Load().ServeHTTP(w, r) }))
	t.Cleanup(server.Close)
	// What the suite makes must not show up in its listings.
	downFake, downAddress := serve(t, gitlabfake.Options{})
	return sdktest.Fixture{
		Upstream: conformHost(address), Repos: many(fake, "acme/sub", 130), Downstream: conformHost(downAddress),
		Refused: []string{"alone", "conform/update", "conform/gtk+", "api/x"},
		Seed: func(n int) (sdktest.Host, error) {
			other := gitlabfake.New(gitlabfake.Options{Token: canary, ExternalURL: "https://wrong.invalid"})
			many(other, "acme", n)
			seeded.Store(other)
			return conformHost(server.URL), nil
		},
		Verify: func(want sdk.Want, _ sdk.Have) error {
			p, ok := downFake.Project(want.Path)
			if !ok || want.Description != "" && p.Description != want.Description {
				return fmt.Errorf("want %+v, got %+v", want, p)
			}
			return nil
		},
	}
}

func conformHost(address string) sdktest.Host {
	return sdktest.Host{Settings: map[string]any{"http-url": address}, Secrets: map[string]string{"private-token": canary}}
}
