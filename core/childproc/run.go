package childproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Spec describes one run of a program.
type Spec struct {
	// Name is the program, looked up once in the PATH of Env (of this process
	// when Env has none), or an absolute path.
	Name string
	Args []string // without the program's name
	Dir  string   // working directory; "" is the caller's
	// Env is the complete environment: nothing is inherited.
	Env []string
	// Stdin, Stdout and Stderr may be nil: /dev/null. Standard error is also
	// kept in part for the ExitError.
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	// ExtraFiles become descriptors 3, 4, … of the child.
	ExtraFiles []*os.File
	// Grace is how long the group has between SIGTERM and SIGKILL when the
	// context ends; 0 means DefaultGrace.
	Grace time.Duration
	// Secrets are texts that must not appear in the ExitError.
	Secrets []string
	// hangs says that the program may stay for ever in what it does on SIGTERM:
	// nobody is left to end it when this process has died.
	hangs bool
}

// DefaultGrace is the time between SIGTERM and SIGKILL.
const DefaultGrace = 3 * time.Second

// drainTime is how long an output pipe is waited for once the child is gone
// and its group is killed: a descendant that left the group may hold it open.
const drainTime = 2 * time.Second

// tailSize is how much of standard error goes into an ExitError, in bytes.
const tailSize = 8 << 10

// Run runs a program to its end in a process group of its own. When ctx ends,
// the whole group gets SIGTERM and, after Grace, SIGKILL. Whatever is left of
// the group when the program itself has ended is killed, so that no descendant
// survives a call. Should this process die, the kernel sends SIGTERM to the
// program.
//
// The error is nil, a *NotInstalledError, a *ExitError, or that of starting.
func Run(ctx context.Context, s Spec) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s was not started: %w", s.Name, context.Cause(ctx))
	}
	path, err := lookPath(s.Name, s.Env)
	if err != nil {
		return err
	}
	if s.Dir != "" {
		// A missing directory would look like a missing program.
		if _, err := os.Stat(s.Dir); err != nil {
			return fmt.Errorf("cannot run %s: %w", s.Name, err)
		}
	}
	tail := &tailWriter{limit: maxHeld}
	cmd := &exec.Cmd{
		Path: path, Args: append([]string{s.Name}, s.Args...), Dir: s.Dir,
		Env:   append([]string{}, s.Env...), // never nil: nil would inherit ours
		Stdin: s.Stdin, Stdout: s.Stdout, Stderr: paced{teeTo(s.Stderr, tail)},
		ExtraFiles: s.ExtraFiles, WaitDelay: drainTime,
		// SIGTERM rather than SIGKILL: git then removes its lock files and ends
		// its own children.
		SysProcAttr: &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM},
	}
	if s.hangs {
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	if s.Grace == 0 {
		s.Grace = DefaultGrace
	}
	err, stopped := supervise(ctx, cmd, s.Grace)
	if err == nil && stopped == nil {
		return nil
	}
	return result(s.Name, err, stopped, cmd.ProcessState, lastOf(Redact(tail.String(), s.Secrets...)))
}

// supervise starts cmd, waits for it and ends its group. stopped is why it was
// made to end, or nil.
func supervise(ctx context.Context, cmd *exec.Cmd, grace time.Duration) (err, stopped error) {
	g := &group{}
	started, done := make(chan error, 1), make(chan error, 1)
	go func() {
		// The kernel sends Pdeathsig when the thread that forked ends, not when
		// the process does: keep the thread for the child's whole life.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			g.set(cmd.Process.Pid)
		}
		started <- err
		if err == nil {
			waitExited(cmd.Process.Pid)
			g.end()
			done <- cmd.Wait()
		}
	}()
	if err := <-started; err != nil {
		return err, nil
	}
	select {
	case err := <-done:
		return err, nil
	case <-ctx.Done():
	}
	stopped = context.Cause(ctx)
	g.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case err := <-done:
		return err, stopped
	case <-timer.C:
	}
	g.signal(syscall.SIGKILL)
	return <-done, stopped
}

// waitExited blocks until the child has ended and leaves it unreaped, so that
// its number cannot be given to another process group before it is killed.
func waitExited(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}

// group is a process group that can be signalled until it was ended.
type group struct {
	mu  sync.Mutex
	pid int
}

func (g *group) set(pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.pid = pid
}

// signal sends sig to every process of the group.
func (g *group) signal(sig syscall.Signal) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pid > 0 {
		_ = syscall.Kill(-g.pid, sig)
	}
}

// end kills what is left and forgets the number, which is free from now on.
func (g *group) end() {
	g.signal(syscall.SIGKILL)
	g.set(0)
}

func result(name string, err, stopped error, state *os.ProcessState, tail string) error {
	var exit *exec.ExitError
	if stopped == nil && err != nil && !errors.As(err, &exit) {
		if errors.Is(err, os.ErrNotExist) && state == nil {
			return &NotInstalledError{Program: name, Package: packageOf(name)}
		}
		if errors.Is(err, exec.ErrWaitDelay) {
			return fmt.Errorf("%s left a process behind that holds its output open: %w", name, err)
		}
		return fmt.Errorf("cannot run %s: %w", name, err)
	}
	e := &ExitError{Program: filepath.Base(name), Code: -1, Stderr: tail, Err: stopped}
	if state != nil {
		e.Code = state.ExitCode()
		if ws, ok := state.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
			e.Signal = ws.Signal()
		}
	}
	return e
}

// lookPath finds a program in the PATH that its environment names. Relative
// entries are skipped: a program in the current directory is never meant.
func lookPath(name string, env []string) (string, error) {
	if filepath.IsAbs(name) {
		return name, nil
	}
	if name == "" || strings.ContainsRune(name, filepath.Separator) {
		return "", fmt.Errorf("the program %q must be a plain name or an absolute path", name)
	}
	for _, dir := range filepath.SplitList(pathOf(env)) {
		if !filepath.IsAbs(dir) {
			continue
		}
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() && unix.Access(path, unix.X_OK) == nil {
			return path, nil
		}
	}
	return "", &NotInstalledError{Program: name, Package: packageOf(name)}
}

func pathOf(env []string) string {
	for _, kv := range env {
		if path, ok := strings.CutPrefix(kv, "PATH="); ok {
			return path
		}
	}
	return os.Getenv("PATH")
}
