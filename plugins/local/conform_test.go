package local_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
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

// seed makes n repositories that share their content, because making as many
// real ones takes a slow disk a minute.
func seed(dir string, n int) error {
	shared := filepath.Join(dir, ".shared")
	if err := bare(shared); err != nil {
		return err
	}
	for i := range n {
		group := filepath.Join(dir, strconv.Itoa(i%10))
		repo := filepath.Join(group, fmt.Sprintf("repo%d.git", i))
		err := errors.Join(
			os.MkdirAll(repo, 0o755),
			os.Link(filepath.Join(shared, "HEAD"), filepath.Join(repo, "HEAD")),
			os.Symlink("../../.shared/objects", filepath.Join(repo, "objects")),
			os.Symlink("../../.shared/refs", filepath.Join(repo, "refs")))
		if err != nil {
			return err
		}
	}
	return nil
}

// memoryDir gives a directory that is in memory where the system has one,
// because the tests make so many files that a slow disk decides how long they
// take.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "lorry-test") //nolint:usetesting // t.TempDir is on the disk
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
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
	fx := sdktest.Fixture{
		Upstream:   sdktest.Host{Settings: map[string]any{"path": up}},
		Repos:      repos,
		Downstream: sdktest.Host{Settings: map[string]any{"base-directory": down}},
		Seed: func(n int) (sdktest.Host, error) {
			dir := filepath.Join(memoryDir(t), "tree")
			return sdktest.Host{Settings: map[string]any{"path": dir}}, seed(dir, n)
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
	if testing.Short() {
		fx.Seed = nil
	}
	return fx
}

func TestConformance(t *testing.T) { sdktest.Conform(t, local.Plugin(), fixture(t)) }

func TestConformanceOfTheProgram(t *testing.T) {
	fx := fixture(t)
	fx.Seed = nil // the same code listed them in process
	sdktest.ConformBinary(t, sdktest.Build(t, "../../cmd/lorry-adapter-local"), fx)
}
