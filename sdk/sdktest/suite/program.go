package suite

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/sdk/host"
)

// OpenProgram gives an Open that starts a built adapter for each session.
func OpenProgram(launcher *host.Launcher, path string) Open {
	return func(ctx context.Context) (*Conn, error) {
		p, logs, err := StartProgram(ctx, launcher, path)
		if err != nil {
			return nil, err
		}
		stop := func() error {
			p.Kill(3 * time.Second)
			if n := p.Noise(); n > 0 {
				return fmt.Errorf("the adapter wrote %d bytes to its standard output after the handshake", n)
			}
			return nil
		}
		return &Conn{Client: p.Client, Logs: logs.String, Stop: stop}, nil
	}
}

// StartProgram starts a built adapter, whose log keeps its secrets if it has
// any, so that they are found.
func StartProgram(ctx context.Context, launcher *host.Launcher, path string) (*host.Process, *Log, error) {
	logs := &Log{}
	abs, err := filepath.Abs(path)
	if err != nil {
		return nil, nil, err
	}
	p, err := host.Launch(ctx, host.Config{
		Instance: "conform", Path: abs, Launcher: launcher,
		Log:      hclog.New(&hclog.LoggerOptions{Output: logs, Level: hclog.Debug}),
		Redactor: host.NoRedactor(),
	})
	return p, logs, err
}

// ProgramCase is one thing that a built adapter must do beside Cases.
type ProgramCase struct {
	Name string
	Run  func(ctx context.Context, launcher *host.Launcher, path string) error
}

// ProgramCases gives the cases that need a process.
func ProgramCases() []ProgramCase {
	return []ProgramCase{
		{"ends after Close", endsAfterClose},
		{"ends with SIGTERM", endsWithSIGTERM},
	}
}

// patience is how long a program may take to end by itself.
const patience = 10 * time.Second

// endsAfterClose wants the process to end by itself when it is asked to.
func endsAfterClose(ctx context.Context, launcher *host.Launcher, path string) error {
	p, _, err := StartProgram(ctx, launcher, path)
	if err != nil {
		return err
	}
	defer p.Kill(0)
	if err := p.Close(ctx); err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	p.Kill(patience)
	if exit := p.Exit(); strings.HasPrefix(exit, "signal:") {
		return fmt.Errorf("it did not end by itself after Close and Shutdown: %s", exit)
	}
	return nil
}

func endsWithSIGTERM(ctx context.Context, launcher *host.Launcher, path string) error {
	p, _, err := StartProgram(ctx, launcher, path)
	if err != nil {
		return err
	}
	defer p.Kill(0)
	if err := syscall.Kill(p.PID(), syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.Done():
		return nil
	case <-time.After(patience):
		return fmt.Errorf("it still runs %v after SIGTERM", patience)
	}
}

// Log is an adapter's log, which several goroutines write and read.
type Log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String gives what was written so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
