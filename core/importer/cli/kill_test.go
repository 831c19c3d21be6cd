package cli

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/integration/gittest"
)

// descendants gives every process below pid.
func descendants(pid int) []int {
	var all []int
	tasks, _ := filepath.Glob("/proc/" + strconv.Itoa(pid) + "/task/*/children")
	for _, task := range tasks {
		text, _ := os.ReadFile(task)
		for child := range strings.FieldsSeq(string(text)) {
			if n, err := strconv.Atoi(child); err == nil {
				all = append(all, n)
				all = append(all, descendants(n)...)
			}
		}
	}
	return all
}

// killAfter starts lorry and kills it after a while: it alone, or every
// process below it at the same moment. It reports whether the kill came before
// the end.
func (l *lorry) killAfter(after time.Duration, alone bool, args ...string) bool {
	l.t.Helper()
	cmd := l.command(args...)
	if err := cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait()
	}()
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-done:
		return false
	case <-timer.C:
	}
	victims := []int{cmd.Process.Pid}
	if !alone {
		victims = append(victims, descendants(cmd.Process.Pid)...)
	}
	for _, pid := range victims {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-done
	return true
}

func (l *lorry) mustRun(args ...string) {
	l.t.Helper()
	if status, stdout, stderr := l.run(args...); status != importer.ExitDone {
		l.t.Fatalf("exit %d\n%s%s", status, stdout, stderr)
	}
}

// TestSignalEndsEverything sends SIGTERM in mid-transfer: the report is still
// written, and no process is left.
func TestSignalEndsEverything(t *testing.T) {
	t.Parallel()
	l := newLorry(t)
	s := gittest.NewServer(t, l.dir)
	l.spec("thing.lorry", `{"group/thing": {"type": "git", "url": "`+gittest.Stall(t, s).URL+`/up.git"}}`)
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = reportRead.Close() }()
	started := &waitFor{text: "doing initial clone", seen: make(chan struct{})}
	cmd := l.command("--working-area", "work", "--pull-only", "--report-fd", "3", "thing.lorry")
	cmd.Stdout, cmd.ExtraFiles = started, []*os.File{reportWrite}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = reportWrite.Close()
	<-started.seen
	below := waitChildren(t, cmd.Process.Pid)
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	if status := cmd.ProcessState.ExitCode(); status != importer.ExitStopped {
		t.Errorf("exit %d", status)
	}
	var report bytes.Buffer
	_, _ = report.ReadFrom(reportRead)
	if !strings.Contains(report.String(), `"kind":"killed"`) {
		t.Errorf("got the report %q", report.String())
	}
	for _, pid := range below {
		// A dead process without a parent may wait for its reaper.
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && !strings.Contains(string(stat), ") Z ") {
			t.Errorf("process %d still runs: %s", pid, stat)
		}
	}
}

// waitChildren waits until there is a process below pid.
func waitChildren(t *testing.T, pid int) []int {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if below := descendants(pid); len(below) > 1 {
			return below
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("no child process was started")
		}
	}
}

// waitFor is a writer that tells when a text came by.
type waitFor struct {
	text string
	buf  bytes.Buffer
	seen chan struct{}
	done bool
}

func (w *waitFor) Write(p []byte) (int, error) {
	w.buf.Write(p)
	if !w.done && strings.Contains(w.buf.String(), w.text) {
		w.done = true
		close(w.seen)
	}
	return len(p), nil
}
