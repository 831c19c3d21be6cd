package sdktest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/session"
	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// Open configures an adapter in this process and gives what the core speaks to
// it with, over the real protocol. It ends with the test, which fails if the
// adapter does not end well or has logged one of its secrets.
func Open(t testing.TB, p *sdk.Plugin, settings host.Settings) *host.Client {
	t.Helper()
	s, err := session.Open(t.Context(), p, settings)
	if err != nil {
		t.Fatalf("configuring: %v", err)
	}
	t.Cleanup(func() {
		// The test's own context has ended by now; the client's deadline counts.
		if err := s.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("closing: %v", err)
		}
		if err := s.End(); err != nil {
			t.Errorf("stopping: %v", err)
		}
		for name, secret := range settings.Secrets {
			if !secret.Empty() && strings.Contains(s.Logs(), secret.Reveal()) {
				t.Errorf("the secret %q is in the log", name)
			}
		}
	})
	return s.Client
}

// Build builds the program of an adapter in Go and gives its path, such as
// ConformBinary wants it. pkg is its main package as "go build" finds it from
// the test's directory: "." or "../cmd/lorry-adapter-example".
func Build(t testing.TB, pkg string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", dir+string(filepath.Separator), pkg).CombinedOutput(); err != nil {
		t.Fatalf("building %s: %v\n%s", pkg, err, out)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 1 {
		t.Fatalf("building %s: want one program, got %v, %v", pkg, entries, err)
	}
	return filepath.Join(dir, entries[0].Name())
}
