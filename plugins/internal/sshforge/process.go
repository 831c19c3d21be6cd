package sshforge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"syscall"
	"time"

	"github.com/lorry-controller/lorry-controller/sdk"
)

const (
	maxLine   = 16 << 20
	maxStderr = 32 << 10
	pipeGrace = 500 * time.Millisecond
)

// ExitError says that a command ran at the far side and failed.
type ExitError struct {
	Code   int
	Stderr string // at most 32 KiB, as the server sent it
}

// Error implements error. What the server says is for whoever knows the
// command; here is only that it failed.
func (e *ExitError) Error() string { return fmt.Sprintf("the command ended with exit code %d", e.Code) }

// process is a running ssh.
type process struct {
	cmd    *exec.Cmd
	pipes  []*os.File // the ends that we read
	exited chan struct{}

	mu     sync.Mutex
	reaped bool
	err    error
}

// stream runs one command and gives its lines to take, until that has enough.
func (c *Client) stream(ctx context.Context, command string, take func(string) bool) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	path, err := exec.LookPath(c.opts.Program)
	if err != nil {
		return sdk.WithHint(sdk.Errorf(sdk.Unavailable, "there is no ssh program: %w", err), "install OpenSSH's client")
	}
	p, err := start(ctx, path, append(append([]string{}, c.args...), command))
	if err != nil {
		return err
	}
	var stderr limited
	var reader sync.WaitGroup
	reader.Go(func() { _, _ = io.Copy(&stderr, p.pipes[1]) })
	enough, readErr := c.read(p.pipes[0], take)
	if enough || readErr != nil {
		p.kill()
	}
	<-p.exited
	reader.Wait()
	for _, pipe := range p.pipes {
		_ = pipe.Close()
	}
	switch {
	case enough:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	case readErr != nil:
		return readErr
	}
	return c.outcome(p.err, string(stderr.kept))
}

// read gives lines to take and reports whether that had enough of them.
func (c *Client) read(r io.Reader, take func(string) bool) (enough bool, err error) {
	count := &counter{r: r, left: c.opts.MaxOutput}
	lines := bufio.NewScanner(count)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		if !take(lines.Text()) {
			return true, nil
		}
	}
	switch err := lines.Err(); {
	case count.left <= 0 || errors.Is(err, bufio.ErrTooLong):
		return false, sdk.Errorf(sdk.Internal, "%s prints more than can be read", c.target.Host)
	case err != nil && !errors.Is(err, os.ErrDeadlineExceeded):
		return false, fmt.Errorf("reading what ssh prints: %w", err)
	}
	return false, nil
}

// start starts ssh in a process group of its own. The thread that starts it
// lives as long as it does, because the kernel ends a child with the thread
// that made it.
func start(ctx context.Context, path string, args []string) (*process, error) {
	p := &process{cmd: exec.Command(path, args...), exited: make(chan struct{})} //nolint:gosec,noctx // ended by its group
	p.cmd.Env, p.cmd.Dir = environment(), "/"
	var ours []*os.File
	for _, end := range []*io.Writer{&p.cmd.Stdout, &p.cmd.Stderr} {
		r, w, err := os.Pipe()
		if err != nil {
			closeAll(append(ours, p.pipes...))
			return nil, sdk.Errorf(sdk.Unavailable, "can't start ssh: %w", err)
		}
		p.pipes, ours, *end = append(p.pipes, r), append(ours, w), w
	}
	isolate(p.cmd)
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		defer close(p.exited)
		err := p.cmd.Start()
		closeAll(ours)
		started <- err
		if err == nil {
			p.wait(ctx)
		}
	}()
	if err := <-started; err != nil {
		closeAll(p.pipes)
		return nil, sdk.Errorf(sdk.Unavailable, "can't start ssh: %w", err)
	}
	return p, nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		_ = f.Close()
	}
}

// wait sees ssh end, takes its whole group with it, and lets the readers
// finish what is in the pipes.
func (p *process) wait(ctx context.Context) {
	stop := context.AfterFunc(ctx, p.kill)
	gone := func() {
		stop()
		p.mu.Lock()
		p.reaped = true
		p.mu.Unlock()
	}
	if waitExit(p.cmd.Process.Pid) {
		p.kill()
		gone()
	}
	p.err = p.cmd.Wait()
	gone()
	for _, pipe := range p.pipes {
		// One that left the group may hold the other end for ever.
		_ = pipe.SetReadDeadline(time.Now().Add(pipeGrace))
	}
}

// kill ends ssh and everything that it has started. Until it is reaped its
// number can't belong to another.
func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
	}
}

// limited keeps the first bytes and takes the rest.
type limited struct{ kept []byte }

// Write implements io.Writer.
func (l *limited) Write(b []byte) (int, error) {
	l.kept = append(l.kept, b[:min(len(b), maxStderr-len(l.kept))]...)
	return len(b), nil
}

// counter ends a reader after a number of bytes.
type counter struct {
	r    io.Reader
	left int64
}

// Read implements io.Reader.
func (c *counter) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.EOF
	}
	n, err := c.r.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	return n, err
}
