package adapter_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// bin is the directory of the adapters that the tests start, built once.
var bin string

func TestMain(m *testing.M) {
	if dir := os.Getenv("LORRY_TEST_CORE"); dir != "" {
		os.Exit(beCore(dir))
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "lorry-adapters")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin = dir
	cmd := exec.Command("go", "build", "-ldflags", "-s -w", "-o", dir, "../../cmd/lorry-adapter-local", "./testdata/hostile")
	if out, err := cmd.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building adapters: %v\n%s", err, out)
		return 1
	}
	if err := os.Rename(filepath.Join(dir, "hostile"), filepath.Join(dir, "lorry-adapter-hostile")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code != 0 {
		return code
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if left := running(); len(left) > 0 {
		fmt.Fprintln(os.Stderr, "adapters that were left running:", left)
		return 1
	}
	return 0
}
