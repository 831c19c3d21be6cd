package adapter_test

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/core/adapter"
)

func TestAdapterInADebuggerIsUsedAndLeftRunning(t *testing.T) {
	t.Parallel()
	cmd := exec.Command(filepath.Join(bin, "lorry-adapter-hostile"), "-debug")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	value, ok := strings.CutPrefix(strings.TrimSpace(line), "LORRY_REATTACH_ADAPTERS=")
	if !ok {
		t.Fatalf("it prints %q", line)
	}
	reattach, err := adapter.ParseReattach(strings.Trim(value, "'"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the core comes and goes
		opts := impatient()
		opts.Reattach = reattach
		opts.Dir = t.TempDir() // there is no program to start
		m := newManager(t, opts, hostile("h", "", t.TempDir()))
		if diff := cmp.Diff(3, len(list(t, upstreamOf(t, m, "h")))); diff != "" {
			t.Errorf("repositories (-want +got):\n%s", diff)
		}
		if err := m.Apply(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the adapter was ended: %v", err)
	}
}
