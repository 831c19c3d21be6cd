package childproc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
)

// The transports that git may be allowed to use, for GitCall.Protocols.
const (
	ProtoHTTPS = "https"
	ProtoHTTP  = "http"
	ProtoGit   = "git"
	ProtoSSH   = "ssh"
	ProtoFile  = "file"
)

// GitOptions say how git is run. Only Home is required.
type GitOptions struct {
	// Home is a private directory for git's children; it is created and gets
	// their global configuration file. Several Git values may share it.
	Home string
	// Path is the PATH for git and its children; "" is this process's.
	Path string
	// SSHDir holds the ssh keys (id_*), known_hosts and perhaps config to use
	// instead of those of the account.
	SSHDir string
	// SSHAgent is the socket of an ssh agent, or "".
	SSHAgent string
	// ConnectTimeout bounds the making of an ssh connection; 0 means 30 s.
	ConnectTimeout time.Duration
	// LowSpeedTime is how long a transfer over HTTP may stall, or one of this
	// process crawl below LowSpeedLimit bytes a second; 0 means 60 s and 1000.
	LowSpeedTime  time.Duration
	LowSpeedLimit int
	// Threads bounds the threads of one git process; 0 means 2.
	Threads int
	// SSHIdentities and SSHKnownHosts name, by host, a private key and a file of
	// known hosts to use in place of all others.
	SSHIdentities, SSHKnownHosts map[string]string
	// CAFile holds certificates, as PEM, of authorities that are trusted beside
	// the system's.
	CAFile string
	// Grace is as in Spec.
	Grace time.Duration
	Log   hclog.Logger // nil: no log
}

// Git runs git. It is safe for use by several goroutines.
type Git struct {
	opts    GitOptions
	program string
	log     hclog.Logger
	via     Via
	caFile  string // the system's certificates and those of CAFile, or ""
}

// Via is how programs reach the network.
type Via struct {
	// Proxy is an HTTP proxy for everything over http and https, as
	// http://USER:TOKEN@ADDRESS; "" is none. Programs find it in their
	// environment: it must be one that lives no longer than the job.
	Proxy string
	// SSHAddress gives, by host, the address that ssh connects to.
	SSHAddress map[string]string
}

// Via gives a Git that reaches the network so.
func (g *Git) Via(via Via) *Git {
	other := *g
	other.via = via
	return &other
}

// Proxy is the proxy of Via, or "".
func (g *Git) Proxy() string { return g.via.Proxy }

// NewGit finds git and prepares its home. The error is a *NotInstalledError
// when there is no git.
func NewGit(o GitOptions) (*Git, error) {
	if o.Home == "" {
		return nil, errors.New("git needs a home directory")
	}
	home, err := filepath.Abs(o.Home)
	if err != nil {
		return nil, fmt.Errorf("home of git: %w", err)
	}
	o.Home = home
	if o.Path == "" {
		o.Path = os.Getenv("PATH")
	}
	o.setDefaults()
	program, err := lookPath("git", []string{"PATH=" + o.Path})
	if err != nil {
		return nil, err
	}
	g := &Git{opts: o, program: program, log: o.Log}
	if g.log == nil {
		g.log = hclog.NewNullLogger()
	}
	if err := os.MkdirAll(filepath.Join(home, "tmp"), 0o700); err != nil {
		return nil, fmt.Errorf("home of git: %w", err)
	}
	for _, deferred := range []bool{false, true} {
		if err := writeFile(g.globalFile(deferred), []byte(globalConfig(deferred, o.Threads))); err != nil {
			return nil, fmt.Errorf("home of git: %w", err)
		}
	}
	if g.caFile, err = authorities(home, o.CAFile); err != nil {
		return nil, err
	}
	return g, nil
}

func (o *GitOptions) setDefaults() {
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 30 * time.Second
	}
	if o.LowSpeedTime <= 0 {
		o.LowSpeedTime = 60 * time.Second
	}
	if o.LowSpeedLimit <= 0 {
		o.LowSpeedLimit = 1000
	}
	if o.Threads <= 0 {
		o.Threads = 2
	}
}

// Setting is one key of git's configuration.
type Setting struct{ Key, Value string }

// GitCall is one call of git.
type GitCall struct {
	// GitDir is the repository. "" runs git outside of any, as for init and
	// ls-remote.
	GitDir string
	// Args are the subcommand and its arguments. Every URL and path among them
	// must come after "--", and none may hold a credential.
	Args []string
	// Protocols are the transports that this call may use; none: no transport
	// at all.
	Protocols []string
	// Access says how to reach the URL among Args: the credential is sent to
	// its scheme, host and port alone. May be nil.
	Access *core.Access
	// Config is added to the fixed configuration, and wins over it.
	Config []Setting
	// Env is added to the environment, and wins over it.
	Env   []string
	Stdin io.Reader
	// DeferRefSync does without a sync of the disk for each single ref, here
	// and in a repository on this machine that is pushed to. Who sets it
	// changes many refs, and syncs the whole file system once it is done.
	DeferRefSync bool
	// Patience is added to LowSpeedTime: a server that writes very many refs says
	// nothing meanwhile.
	Patience time.Duration
	// Stdout gets git's output as it is. Stderr gets its messages and progress
	// without credentials and control characters, line by line.
	Stdout, Stderr io.Writer
	// MaxOutput bounds what Output collects, in bytes; 0 is 256 MiB.
	MaxOutput int64
	// ExtraFiles are inherited by git and everything that it starts.
	ExtraFiles []*os.File
	// Secrets are hidden in Stderr and in the error, besides that of Access.
	Secrets []string
}

// Run runs git to its end; see Run for the errors.
func (g *Git) Run(ctx context.Context, c GitCall) error {
	for _, arg := range c.Args {
		if strings.ContainsRune(arg, 0) {
			return errors.New("an argument of git holds a NUL byte")
		}
	}
	env, cleanup, err := g.environment(c)
	if err != nil {
		return err
	}
	defer cleanup()
	env = append(env, c.Env...)
	args := make([]string, 0, len(c.Args)+1)
	if c.GitDir != "" {
		args = append(args, "--git-dir="+c.GitDir)
	}
	args = append(args, c.Args...)
	secrets := append(append(secretsOf(c.Access), c.Secrets...), g.networkSecrets()...)
	spec := Spec{
		Name: g.program, Args: args, Dir: g.opts.Home, Env: env,
		Stdin: c.Stdin, Stdout: c.Stdout, ExtraFiles: c.ExtraFiles,
		Grace: g.opts.Grace, Secrets: secrets,
		// On a signal, git clone removes directories, for which it allocates
		// memory: seen to wait for ever for the allocation that it interrupted.
		hangs: subcommand(c.Args) == "clone",
	}
	if c.Stderr != nil {
		redactor := NewRedactor(c.Stderr, secrets...)
		spec.Stderr = redactor
		defer func() { _ = redactor.Close() }()
	}
	g.log.Trace("running git", "args", Redact(strings.Join(c.Args, " "), secrets...))
	return Run(ctx, spec)
}

// maxOutput bounds what Output collects, in bytes: a million refs fit.
const maxOutput = 256 << 20

// Output runs git and gives its standard output, which must not be longer than
// MaxOutput. Stdout of the call is not used.
func (g *Git) Output(ctx context.Context, c GitCall) (string, error) {
	limit := maxOutput
	if c.MaxOutput > 0 {
		limit = int(min(c.MaxOutput, maxOutput))
	}
	out := &limitBuffer{limit: limit}
	c.Stdout = out
	err := g.Run(ctx, c)
	if out.over {
		return "", fmt.Errorf("git %s: %w (more than %d bytes)", subcommand(c.Args), ErrTooMuch, limit)
	}
	return out.String(), err
}

// Patience is how long a transfer over HTTP may stall: LowSpeedTime.
func (g *Git) Patience() time.Duration { return g.opts.LowSpeedTime }

// LowSpeed is how many bytes a second a transfer of this process over HTTP must
// bring on average over how long a time.
func (g *Git) LowSpeed() (rate int, over time.Duration) {
	return g.opts.LowSpeedLimit, g.opts.LowSpeedTime
}

// Home is the private directory that git's children see as their home.
func (g *Git) Home() string { return g.opts.Home }

func subcommand(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

func secretsOf(a *core.Access) []string {
	if a == nil || a.Secret.Empty() {
		return nil
	}
	secret := a.Secret.Reveal()
	return []string{secret, basicUser(a) + ":" + secret}
}

// writeFile writes a private file beside and renames it, so that a reader
// never sees half of it.
func writeFile(path string, data []byte) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
		return nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		_ = os.Remove(f.Name())
	}
	return err
}
