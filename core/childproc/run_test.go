package childproc

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/lorry-controller/lorry-controller/sdk/forgetest/tool"
)

const testPath = "PATH=/usr/local/bin:/usr/bin:/bin"

func shell(script string) Spec {
	return Spec{Name: "sh", Args: []string{"-c", script}, Env: []string{testPath}, Grace: 200 * time.Millisecond}
}

func TestRunGivesExitStatus(t *testing.T) {
	t.Parallel()
	var e *ExitError
	err := Run(t.Context(), shell("echo one >&2; echo 'fatal: two' >&2; exit 7"))
	if !errors.As(err, &e) {
		t.Fatalf("want an ExitError, got %v", err)
	}
	want := ExitError{Program: "sh", Code: 7, Stderr: "one\nfatal: two\n"}
	if diff := cmp.Diff(want, *e); diff != "" {
		t.Error(diff)
	}
	if want, got := "sh ended with exit status 7: fatal: two", err.Error(); want != got {
		t.Errorf("want %q, got %q", want, got)
	}
}

func TestRunSaysWhichSignal(t *testing.T) {
	t.Parallel()
	var e *ExitError
	if err := Run(t.Context(), shell("kill -9 $$")); !errors.As(err, &e) || e.Signal != syscall.SIGKILL || e.Code != -1 {
		t.Fatalf("want an end by SIGKILL, got %#v", err)
	}
}

func TestRunNamesMissingProgram(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"svn", "/no/such/program"} {
		err := Run(t.Context(), Spec{Name: name, Env: []string{"PATH=" + t.TempDir()}})
		if !errors.Is(err, ErrNotInstalled) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	err := Run(t.Context(), Spec{Name: "svn", Env: []string{"PATH="}})
	if want := `the program "svn" is not installed (on Debian: apt install subversion)`; err.Error() != want {
		t.Errorf("want %q, got %q", want, err)
	}
}

func TestRunInheritsNothing(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	s := Spec{Name: "/usr/bin/env", Stdout: &out, Env: []string{"ONLY=this"}}
	if err := Run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff("ONLY=this\n", out.String()); diff != "" {
		t.Error(diff)
	}
	s.Env = nil
	out.Reset()
	if err := Run(t.Context(), s); err != nil || out.Len() > 0 {
		t.Errorf("want an empty environment, got %q, %v", out.String(), err)
	}
}

func TestRunMissingDirectoryIsNoMissingProgram(t *testing.T) {
	t.Parallel()
	s := shell("true")
	s.Dir = filepath.Join(t.TempDir(), "gone")
	if err := Run(t.Context(), s); err == nil || errors.Is(err, ErrNotInstalled) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}

// alive waits until the process is gone.
func mustEnd(t *testing.T, pid int) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for syscall.Kill(pid, 0) == nil {
		// A zombie waits for its reaper, which may not be us.
		if stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat"); err == nil && strings.Contains(string(stat), ") Z ") {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("process %d still runs", pid)
		}
	}
}

// firstLine gives what the program writes first, as a number.
type firstLine struct{ got chan int }

func (f firstLine) Write(p []byte) (int, error) {
	if n, err := strconv.Atoi(strings.TrimSpace(string(p))); err == nil {
		f.got <- n
	}
	return len(p), nil
}

func TestRunKillsGroupWhenContextEnds(t *testing.T) {
	t.Parallel()
	for name, script := range map[string]string{
		"obedient": "sleep 600 & echo $!; wait",
		"stubborn": "trap '' TERM; sh -c 'trap \"\" TERM; while :; do sleep 600; done' & echo $!; while :; do wait; done",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			first := firstLine{make(chan int, 1)}
			s := shell(script)
			s.Stdout = first
			done := make(chan error, 1)
			go func() { done <- Run(ctx, s) }()
			grandchild := <-first.got
			why := errors.New("an admin stopped it")
			cancel(why)
			if err := <-done; !errors.Is(err, why) {
				t.Errorf("want %v, got %v", why, err)
			}
			mustEnd(t, grandchild)
		})
	}
}

func TestRunLeavesNoGrandchild(t *testing.T) {
	t.Parallel()
	first := firstLine{make(chan int, 1)}
	s := shell("sleep 600 >/dev/null 2>&1 & echo $!")
	s.Stdout = first
	if err := Run(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	mustEnd(t, <-first.got)
}

func TestRunDoesNotWaitForAnEscapedProcess(t *testing.T) {
	t.Parallel()
	if _, err := lookPath("setsid", []string{testPath}); err != nil {
		tool.Missing(t, "no setsid", "all")
	}
	first := firstLine{make(chan int, 1)}
	away := filepath.Join(t.TempDir(), "away")
	s := shell("setsid sh -c 'touch " + away + "; exec sleep 600' & echo $!; while [ ! -e " + away + " ]; do sleep 0.01; done")
	s.Stdout = first
	err := Run(t.Context(), s)
	_ = syscall.Kill(<-first.got, syscall.SIGKILL)
	if err == nil || !strings.Contains(err.Error(), "left a process behind") {
		t.Errorf("got %v", err)
	}
}

func TestRunHidesSecretsInError(t *testing.T) {
	t.Parallel()
	s := shell("echo \"fatal: hunter2secret at https://me:pw@example.com/x\" >&2; exit 1")
	s.Secrets = []string{"hunter2secret"}
	var e *ExitError
	if err := Run(t.Context(), s); !errors.As(err, &e) {
		t.Fatal(err)
	}
	if diff := cmp.Diff("fatal: [secret] at https://[secret]@example.com/x\n", e.Stderr); diff != "" {
		t.Error(diff)
	}
}

func TestRunRefusesEndedContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := Run(ctx, shell("exit 0")); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

// TestRunKeepsTheTail holds that a flood of messages costs no memory and that
// the last of them are told.
func TestRunKeepsTheTail(t *testing.T) {
	t.Parallel()
	var e *ExitError
	s := shell("i=0; while [ $i -lt 3000 ]; do echo line $i >&2; i=$((i+1)); done; exit 1")
	s.Stderr = io.Discard
	if err := Run(t.Context(), s); !errors.As(err, &e) {
		t.Fatal(err)
	}
	if len(e.Stderr) > tailSize || !strings.HasSuffix(e.Stderr, "line 2999\n") || !strings.HasPrefix(e.Stderr, "line ") {
		t.Errorf("got %d bytes: %.30q", len(e.Stderr), e.Stderr)
	}
}
