package main

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

func TestConformance(t *testing.T) { sdktest.Conform(t, Plugin(), fixture(t)) }

// fixture makes the forge that the suite tries the adapter on.
func fixture(t *testing.T) sdktest.Fixture {
	t.Helper()
	seed := func(n int) (sdktest.Host, error) {
		dir := filepath.Join(t.TempDir(), "forge")
		for i := range n {
			if err := os.MkdirAll(filepath.Join(dir, "repo"+strconv.Itoa(i)), 0o755); err != nil {
				return sdktest.Host{}, err
			}
		}
		return sdktest.Host{
			Settings: map[string]any{"directory": dir},
			Secrets:  map[string]string{"token": "a-token-of-the-example"},
		}, os.MkdirAll(dir, 0o755)
	}
	host, err := seed(3)
	if err != nil {
		t.Fatal(err)
	}
	return sdktest.Fixture{Upstream: host, Repos: []string{"repo0", "repo1", "repo2"}, Seed: seed}
}
