package adapter_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/lorry-controller/lorry-controller/core/adapter"
	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

// beCore is what the test program does when it stands in for a core: it starts
// an adapter, says which process that is, and goes on until it is killed.
func beCore(dir string) int {
	m := adapter.NewManager(adapter.Options{Dir: dir})
	if err := m.Apply(context.Background(), []adapter.Instance{{Name: "h", Type: "hostile"}}); err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	if err := m.Check(context.Background(), "h"); err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, m.States()[0].PID)
	_, _ = io.Copy(io.Discard, os.Stdin)
	return 0
}

func TestAdapterDiesWithTheCore(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		tool.Missing(t, "only Linux can do this", "all")
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "LORRY_TEST_CORE="+bin)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the core says %q", line)
	}
	if dead(pid) {
		t.Fatal("the adapter does not run")
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	await(t, "the adapter to be dead", func() bool { return dead(pid) })
}
