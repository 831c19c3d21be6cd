package minion

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

// What a minion that was killed has started does not go on beside its successor's.
func TestTheProgramsOfAKilledMinionAreEnded(t *testing.T) {
	t.Parallel()
	a, err := openArea(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	start := func(specs string) *exec.Cmd {
		t.Helper()
		// A child of the program holds the pipe open, too: both have to go.
		cmd := exec.Command("sh", "-c", `trap "" TERM HUP; sleep 1000 & echo begun; wait`, "lorry", filepath.Join(specs, "123.lorry"))
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		if !lines.Scan() {
			t.Fatal("it does not begin")
		}
		t.Cleanup(func() {
			_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
			for lines.Scan() { // to the end: nobody holds it any more
				continue
			}
			_ = cmd.Wait()
		})
		return cmd
	}
	stray, other := start(a.specs), start(filepath.Join(t.TempDir(), privateName, "specs"))
	waited := make(chan error, 1)
	go func() {
		_, err := stray.Process.Wait()
		waited <- err
	}()
	if got := a.endStrays(t.Context()); !slices.Equal(got, []int{stray.Process.Pid}) {
		t.Errorf("ended %v, want %d alone", got, stray.Process.Pid)
	}
	if err := <-waited; err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join("/proc", "self")); err == nil {
		if err := syscall.Kill(other.Process.Pid, 0); err != nil {
			t.Errorf("that of another working area is gone: %v", err)
		}
	}
}
