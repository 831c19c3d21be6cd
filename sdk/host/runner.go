package host

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-plugin/runner"
)

// How much an adapter may print before its handshake, and how long its pipes
// are still read once it has ended.
const (
	maxHandshake = 16 << 10
	pipeGrace    = 500 * time.Millisecond
)

// child is an adapter's process. It replaces go-plugin's own runner, which
// notices an exit only when every grandchild has closed its pipes, never kills
// those, and stops reading at a long line.
type child struct {
	cmd       *exec.Cmd
	launcher  *Launcher
	log       *logReader
	socketDir string
	// mark is in the environment of the process and of all that it starts.
	mark string
	// plaintext is called when the handshake brings no certificate and the
	// address is a socket in our own directory, which nobody else can open.
	plaintext func()

	stdout *io.PipeReader
	first  *io.PipeWriter
	exited chan struct{}

	mu       sync.Mutex
	pid      int
	reaped   bool
	greeting string // the first line on stdout
	noise    int64  // bytes on stdout after it
	exit     error
}

var _ runner.Runner = (*child)(nil)

func newChild(cmd *exec.Cmd, launcher *Launcher, log *logReader, socketDir string) *child {
	c := &child{cmd: cmd, launcher: launcher, log: log, socketDir: socketDir, exited: make(chan struct{})}
	c.stdout, c.first = io.Pipe()
	return c
}

// Start implements runner.Runner.
func (c *child) Start(context.Context) error {
	outR, outW, err := os.Pipe()
	if err != nil {
		return err
	}
	errR, errW, err := os.Pipe()
	if err != nil {
		return errors.Join(err, outR.Close(), outW.Close())
	}
	c.cmd.Stdout, c.cmd.Stderr = outW, errW
	isolate(c.cmd)
	err = c.launcher.start(c.cmd)
	_ = outW.Close()
	_ = errW.Close()
	if err != nil {
		_ = outR.Close()
		_ = errR.Close()
		close(c.exited)
		return err
	}
	c.mu.Lock()
	c.pid = c.cmd.Process.Pid
	c.mu.Unlock()
	var readers sync.WaitGroup
	readers.Go(func() { c.readStdout(outR) })
	readers.Go(func() { c.log.read(errR) })
	go c.wait(&readers, outR, errR)
	return nil
}

// wait sees the process end, takes its whole group with it, and lets the
// readers finish what is in the pipes.
func (c *child) wait(readers *sync.WaitGroup, pipes ...*os.File) {
	waitExit(c.cmd.Process.Pid)
	c.killGroup()
	killMarked(c.mark)
	c.mu.Lock()
	c.reaped = true
	c.mu.Unlock()
	err := c.cmd.Wait()
	for _, p := range pipes {
		// A grandchild that got away may hold the other end for ever.
		_ = p.SetReadDeadline(time.Now().Add(pipeGrace))
	}
	readers.Wait()
	for _, p := range pipes {
		_ = p.Close()
	}
	c.mu.Lock()
	c.exit = err
	c.mu.Unlock()
	close(c.exited)
}

// readStdout hands the handshake over to go-plugin and throws the rest away.
func (c *child) readStdout(r io.Reader) {
	br := bufio.NewReaderSize(r, maxHandshake)
	line, _, err := br.ReadLine()
	if err == nil {
		c.mu.Lock()
		c.greeting = string(line)
		c.mu.Unlock()
		if c.isPlaintext(string(line)) {
			c.plaintext()
		}
		_, _ = fmt.Fprintf(c.first, "%s\n", line)
	}
	_ = c.first.Close()
	noise, _ := io.Copy(io.Discard, br)
	c.mu.Lock()
	c.noise = noise
	c.mu.Unlock()
}

// isPlaintext reports whether the handshake line has no certificate and an
// address that only our own user can reach.
func (c *child) isPlaintext(line string) bool {
	parts := strings.Split(strings.TrimSpace(line), "|")
	if len(parts) < 5 || parts[2] != "unix" || !c.ownSocket(parts[3]) {
		return false
	}
	return len(parts) < 6 || parts[5] == ""
}

func (c *child) ownSocket(path string) bool {
	return filepath.Dir(filepath.Clean(path)) == filepath.Clean(c.socketDir)
}

// killGroup kills the adapter and everything that it started.
func (c *child) killGroup() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pid > 1 && !c.reaped {
		_ = syscall.Kill(-c.pid, syscall.SIGKILL)
	}
}

// state gives the first line on stdout and how the process ended.
func (c *child) state() (greeting, exit string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	exit = "exit status 0"
	if c.exit != nil {
		exit = c.exit.Error()
	}
	return c.greeting, exit
}

// Wait implements runner.AttachedRunner.
func (c *child) Wait(context.Context) error {
	<-c.exited
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.exit
}

// Kill implements runner.AttachedRunner.
func (c *child) Kill(context.Context) error {
	c.killGroup()
	return nil
}

// ID implements runner.AttachedRunner. It is never empty, because go-plugin
// then forgets to remove its directory.
func (c *child) ID() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return strconv.Itoa(c.pid)
}

// Stdout implements runner.Runner.
func (c *child) Stdout() io.ReadCloser { return c.stdout }

// Stderr implements runner.Runner with nothing: we read it ourselves.
func (c *child) Stderr() io.ReadCloser { return io.NopCloser(strings.NewReader("")) }

// Name implements runner.Runner.
func (c *child) Name() string { return c.cmd.Path }

// Diagnose implements runner.Runner; our own errors say it better.
func (c *child) Diagnose(context.Context) string { return "" }

// PluginToHost implements runner.AddrTranslator. It refuses every address that
// is not on this machine and ours.
func (c *child) PluginToHost(network, address string) (string, string, error) {
	switch network {
	case "unix":
		if c.ownSocket(address) {
			return network, address, nil
		}
	case "tcp":
		host, _, err := net.SplitHostPort(address)
		if ip := net.ParseIP(host); err == nil && ip != nil && ip.IsLoopback() {
			return network, address, nil
		}
	}
	return "", "", fmt.Errorf("the adapter listens on %s %q, which is neither a socket in PLUGIN_UNIX_SOCKET_DIR nor a loopback address", network, address)
}

// HostToPlugin implements runner.AddrTranslator.
func (c *child) HostToPlugin(network, address string) (string, string, error) {
	return network, address, nil
}
