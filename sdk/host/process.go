package host

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/lorry-controller/lorry-controller/sdk"
	"github.com/lorry-controller/lorry-controller/sdk/internal/text"
	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

// Config says what to start.
type Config struct {
	Instance string // the name of the configured host, for errors and logs
	Path     string // absolute path of the program
	SHA256   string // wanted checksum in hex, or ""
	// Log gets what the adapter writes, and carries the instance's name.
	Log      hclog.Logger
	Launcher *Launcher
	// TempDir is where the private directory of the socket is made; "" is the
	// system's. Socket paths are short: when its path is too long for them, a
	// directory of the system's that is not is taken.
	TempDir string
	// Majors are the versions of the protocol that the core speaks; nil means
	// those of the contract.
	Majors []Major
	// StartTimeout is how long the adapter may take to say that it is ready;
	// 0 means 10 s.
	StartTimeout time.Duration
	Deadlines    Deadlines
	Redactor     *Redactor
	// Proxy is the URL of the HTTP proxy that the adapter finds in its
	// environment, which other users of the machine can't see; "" leaves it
	// with what this process has. A password in it belongs into Redactor.
	Proxy string
}

// Process is a running adapter.
type Process struct {
	*Client

	child    *child
	client   *plugin.Client
	conn     *grpc.ClientConn
	checksum string
	protocol int
	stop     sync.Once
	stopped  chan struct{}
}

// Launch starts an adapter and connects to it; Describe and Configure are the
// caller's. The errors have kinds: sdk.Invalid and sdk.Unsupported will not go
// away by themselves, sdk.Unavailable may.
func Launch(ctx context.Context, cfg Config) (*Process, error) {
	if cfg.StartTimeout == 0 {
		cfg.StartTimeout = 10 * time.Second
	}
	if cfg.Redactor == nil {
		cfg.Redactor = &Redactor{}
	}
	if cfg.Majors == nil {
		cfg.Majors = Majors()
	}
	sum, err := verifyBinary(cfg.Path, cfg.SHA256)
	if err != nil {
		return nil, err
	}
	if cfg.TempDir, err = socketBase(cfg.TempDir); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, cfg.StartTimeout)
	defer cancel()
	p := &Process{checksum: sum, stopped: make(chan struct{})}
	p.prepare(cfg)
	type result struct {
		conn *grpc.ClientConn
		err  error
	}
	connected := make(chan result, 1)
	go func() {
		conn, err := p.connect()
		connected <- result{conn, err}
	}()
	var r result
	select {
	case r = <-connected:
	case <-ctx.Done():
		// go-plugin can't be told to give up, but it notices a dead process.
		p.child.killGroup()
		r = <-connected
		r.err = ctx.Err()
	}
	if r.err != nil {
		p.Kill(0)
		return nil, p.explain(cfg, r.err)
	}
	p.conn, p.protocol = r.conn, p.client.NegotiatedVersion()
	tellDeprecated(cfg, p.protocol)
	p.Client = newClient(r.conn, cfg.Deadlines, cfg.Redactor)
	return p, nil
}

// prepare makes the go-plugin client. Its logger is off, not merely silent:
// with any other, it parses what the adapter writes.
func (p *Process) prepare(cfg Config) {
	reader := newLogReader(cfg.Log, cfg.Redactor)
	config := &plugin.ClientConfig{
		HandshakeConfig:  wire.Handshake(),
		VersionedPlugins: versioned(cfg.Majors),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		AutoMTLS:         true,
		SkipHostEnv:      true,
		StartTimeout:     cfg.StartTimeout + time.Second, // ours comes first
		Logger:           hclog.New(&hclog.LoggerOptions{Level: hclog.Off}),
		SyncStdout:       reader,
		SyncStderr:       reader,
		UnixSocketConfig: &plugin.UnixSocketConfig{TempDir: cfg.TempDir},
		GRPCDialOptions: []grpc.DialOption{
			grpc.WithDefaultCallOptions(
				grpc.MaxCallRecvMsgSize(wire.MaxMessage), grpc.MaxCallSendMsgSize(wire.MaxMessage)),
		},
	}
	cmd := exec.Command(cfg.Path) //nolint:gosec,noctx // verified above; ended by its group
	cmd.Dir = "/"
	p.child = newChild(cmd, cfg.Launcher, reader, "")
	p.child.mark = wire.RunKey + "=" + rand.Text()
	p.child.plaintext = func() {
		cfg.Log.Debug("adapter speaks without TLS over its private socket")
		config.TLSConfig = nil
	}
	config.RunnerFunc = func(_ hclog.Logger, spec *exec.Cmd, dir string) (runner.Runner, error) {
		cmd.Env = append(environment(), spec.Env...)
		cmd.Env = append(cmd.Env, proxyEnvironment(cfg.Proxy)...)
		cmd.Env = append(cmd.Env, wire.LogLevelKey+"="+cfg.Log.GetLevel().String(), p.child.mark)
		p.child.socketDir = dir
		return p.child, nil
	}
	p.client = plugin.NewClient(config)
}

// connect starts the process and gives its connection. It recovers, because
// go-plugin panics again with what it caught during a start.
func (p *Process) connect() (conn *grpc.ClientConn, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("starting it panicked: %v", r)
		}
	}()
	protocol, err := p.client.Client()
	if err != nil {
		return nil, err
	}
	raw, err := protocol.Dispense(wire.PluginName)
	if err != nil {
		return nil, err
	}
	conn, ok := raw.(*grpc.ClientConn)
	if !ok {
		return nil, fmt.Errorf("dispensed a %T", raw)
	}
	return conn, nil
}

// explain turns what go-plugin says into what a person needs to know.
func (p *Process) explain(cfg Config, err error) error {
	greeting, exit := p.child.state()
	words := p.child.log.words()
	parts := strings.Split(greeting, "|")
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case p.child.ID() == "0":
		return sdk.Errorf(sdk.Invalid, "can't start %s: %w", cfg.Path, err)
	case greeting != "" && (len(parts) < 4 || parts[0] != strconv.Itoa(plugin.CoreProtocolVersion)):
		return sdk.WithHint(
			sdk.Errorf(sdk.Invalid, "%s wrote %q to its standard output instead of the handshake", cfg.Path, text.Clean(cfg.Redactor.Redact(greeting), 200)),
			"an adapter must print nothing to its standard output")
	case greeting != "" && !slices.Contains(numbers(cfg.Majors), parts[1]):
		return sdk.WithHint(
			sdk.Errorf(sdk.Unsupported, "%s speaks version %s of the protocol, this core speaks %s", cfg.Path, text.Clean(parts[1], 20), strings.Join(numbers(cfg.Majors), " and ")),
			"install a release of the adapter that was built for this release of the core")
	case errors.Is(err, context.DeadlineExceeded):
		return sdk.Errorf(sdk.Unavailable, "%s was not ready after %v%s", cfg.Path, cfg.StartTimeout, words)
	case greeting == "":
		return sdk.Errorf(sdk.Unavailable, "%s ended (%s) before it was ready%s", cfg.Path, exit, words)
	default:
		return sdk.Errorf(sdk.Unavailable, "can't connect to %s: %s%s", cfg.Path, text.Clean(err.Error(), wire.MaxFact), words)
	}
}

// PID is the number of the process.
func (p *Process) PID() int {
	pid, _ := strconv.Atoi(p.child.ID())
	return pid
}

// Checksum is the SHA-256 of the program, in hex.
func (p *Process) Checksum() string { return p.checksum }

// Protocol is the negotiated version of the protocol.
func (p *Process) Protocol() int { return p.protocol }

// Done is closed as soon as the process has ended.
func (p *Process) Done() <-chan struct{} { return p.child.exited }

// Exit says how the process ended. It is meaningful once Done is closed.
func (p *Process) Exit() string {
	_, exit := p.child.state()
	return exit + p.child.log.words()
}

// Noise is how many bytes the adapter wrote to its standard output after the
// handshake, where nothing belongs. It is meaningful once Done is closed.
func (p *Process) Noise() int64 {
	p.child.mu.Lock()
	defer p.child.mu.Unlock()
	return p.child.noise
}

// Healthy asks the health service, under the caller's deadline.
func (p *Process) Healthy(ctx context.Context) error {
	resp, err := grpc_health_v1.NewHealthClient(p.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil {
		return err
	}
	if s := resp.GetStatus(); s != grpc_health_v1.HealthCheckResponse_SERVING {
		return sdk.Errorf(sdk.Unavailable, "the adapter says that it is %v", s)
	}
	return nil
}

// Kill asks the process to end and, after the grace, kills it and all that it
// has started. It returns when it has ended. Calling it again does no harm.
func (p *Process) Kill(grace time.Duration) {
	p.stop.Do(func() {
		defer close(p.stopped)
		killed := make(chan struct{})
		go func() {
			defer close(killed)
			p.client.Kill()
		}()
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-killed:
		case <-timer.C:
			p.child.killGroup()
			<-killed
		}
	})
	<-p.stopped
}
