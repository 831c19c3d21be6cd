package local_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/plugins/local"
	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bare makes a directory that is a bare repository to everyone who looks.
func bare(dir string) error {
	for _, sub := range []string{"objects", "refs/heads"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "HEAD"), []byte("ref: refs/heads/main\n"), 0o600)
}

func fixture(t *testing.T) sdktest.Fixture {
	t.Helper()
	up, down := t.TempDir(), t.TempDir()
	repos := []string{"one", "group/two", "group/deep/three", "with space", "ünïcode"}
	for _, p := range repos {
		if err := bare(filepath.Join(up, p+".git")); err != nil {
			t.Fatal(err)
		}
	}
	return sdktest.Fixture{
		Upstream:   sdktest.Host{Settings: map[string]any{"path": up}},
		Repos:      repos,
		Downstream: sdktest.Host{Settings: map[string]any{"base-directory": down}},
		Seed: func(n int) (sdktest.Host, error) {
			dir := filepath.Join(t.TempDir(), fmt.Sprint(n))
			for i := range n {
				if err := bare(filepath.Join(dir, fmt.Sprintf("%d/repo%d.git", i%10, i))); err != nil {
					return sdktest.Host{}, err
				}
			}
			return sdktest.Host{Settings: map[string]any{"path": dir}}, os.MkdirAll(dir, 0o755)
		},
		Verify: func(want sdk.Want, have sdk.Have) error {
			dir := filepath.Join(down, want.Path+".git")
			if have.URL != "file://"+dir {
				return fmt.Errorf("the URL is %s", have.URL)
			}
			if out, err := exec.Command("git", "--git-dir", dir, "fsck", "--strict").CombinedOutput(); err != nil {
				return fmt.Errorf("git fsck: %w: %s", err, out)
			}
			if want.Description == "" {
				return nil
			}
			raw, err := os.ReadFile(filepath.Join(dir, "description"))
			if err == nil && strings.TrimSpace(string(raw)) != want.Description {
				err = fmt.Errorf("the description is %q", raw)
			}
			return err
		},
	}
}

func TestConformance(t *testing.T) { sdktest.Conform(t, local.Plugin(), fixture(t)) }

func TestConformanceOfTheProgram(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lorry-adapter-local")
	if out, err := exec.Command("go", "build", "-o", path, "../../cmd/lorry-adapter-local").CombinedOutput(); err != nil {
		t.Fatalf("building: %v: %s", err, out)
	}
	sdktest.ConformBinary(t, path, fixture(t))
}
