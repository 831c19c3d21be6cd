// Package python_test tries the adapter in Python with the same suite that
// adapters in Go pass. There is no Go code here but this test.
package python_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

func TestConformance(t *testing.T) {
	if out, err := exec.Command("/usr/bin/python3", "-c", "import grpc, google.protobuf").CombinedOutput(); err != nil {
		tool.Missing(t, fmt.Sprintf("there is no /usr/bin/python3 with grpcio: %v: %s", err, out), "all", "python3-grpcio")
	}
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
	sdktest.ConformBinary(t, "lorry-adapter-pydir", sdktest.Fixture{
		Upstream: host, Repos: []string{"repo0", "repo1", "repo2"}, Seed: seed,
	})
}
