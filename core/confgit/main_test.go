package confgit

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// memory is a Tree in memory.
type memory map[string]string

func (m memory) List(context.Context) ([]string, error) {
	var paths []string
	for path := range m {
		paths = append(paths, path)
	}
	return paths, nil
}

func (m memory) Read(_ context.Context, paths []string, _ int, see func(path string, data []byte)) error {
	for _, path := range paths {
		if text, there := m[path]; there {
			see(path, []byte(text))
			continue
		}
		see(path, nil)
	}
	return nil
}

func needGit(t *testing.T) *childproc.Git {
	t.Helper()
	git, err := childproc.NewGit(childproc.GitOptions{Home: t.TempDir()})
	if err == nil {
		return git
	}
	tool.Missing(t, err.Error(), "all", "git")
	return nil
}

// runGit runs git as an admin would.
func runGit(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=A", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=A", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// commitFiles commits files in a work tree, which is made if need be.
func commitFiles(t *testing.T, dir, branch string, files map[string]string) string {
	t.Helper()
	if _, err := os.Stat(filepath.Join(dir, ".git")); err != nil {
		runGit(t, t.TempDir(), "init", "-q", "-b", branch, dir)
	}
	writeFiles(t, dir, files)
	runGit(t, dir, "add", "-A")
	runGit(t, dir, "commit", "-q", "-m", "change")
	return runGit(t, dir, "rev-parse", "HEAD")
}
