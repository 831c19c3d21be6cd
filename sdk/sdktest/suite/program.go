package suite

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"sync"
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
