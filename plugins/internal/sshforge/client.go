package sshforge

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lorry-controller/lorry-controller/sdk"
)

// Options changes how ssh is run. The zero value uses what the account has:
// its keys, its known_hosts, its ssh_config.
type Options struct {
	// KnownHosts is a file that is used instead of the account's and the
	// system's known_hosts, or "".
	KnownHosts string
	// IdentityFile is a private key that is used instead of the account's, or "".
	IdentityFile string
	// ConnectTimeout is how long a connection may take; 0 means 15 s.
	ConnectTimeout time.Duration
	// MaxOutput is the most that a command may print, in bytes; 0 means 64 MiB.
	MaxOutput int64
	// Program is the ssh program; "" means the one on the PATH.
	Program string
}

// Client runs commands on one target. It may be used by several goroutines.
type Client struct {
	target Target
	opts   Options
	args   []string
}

// New makes a client. It starts nothing.
func New(target Target, opts Options) (*Client, error) {
	if err := target.check(); err != nil {
		return nil, sdk.Errorf(sdk.Invalid, "the ssh target can't be used: %w", err)
	}
	for _, file := range []string{opts.KnownHosts, opts.IdentityFile} {
		if fact := fileFault(file); fact != "" {
			return nil, sdk.Errorf(sdk.Invalid, "the file %q can't be used: it %s", file, fact)
		}
	}
	if opts.ConnectTimeout <= 0 {
		opts.ConnectTimeout = 15 * time.Second
	}
	if opts.MaxOutput <= 0 {
		opts.MaxOutput = 64 << 20
	}
	if opts.Program == "" {
		opts.Program = "ssh"
	}
	return &Client{target: target, opts: opts, args: arguments(target, opts)}, nil
}

// Target gives what the client was made for.
func (c *Client) Target() Target { return c.target }

// CheckFiles tells what is wrong with the settings that name files.
func CheckFiles(files map[string]string) []sdk.Diagnostic {
	var diags []sdk.Diagnostic
	for name, file := range files {
		if fact := fileFault(file); fact != "" {
			diags = append(diags, sdk.Diagnostic{Severity: sdk.SeverityError, Path: name, Summary: name + " " + fact})
		}
	}
	return diags
}

// fileFault says what is wrong with a file name that ssh would expand or split.
func fileFault(file string) string {
	switch {
	case file == "":
		return ""
	case !filepath.IsAbs(file):
		return "is not an absolute path"
	case strings.ContainsAny(file, "\"'\\%$~") || strings.ContainsFunc(file, unicode.IsSpace):
		return "has spaces, quotes or characters that ssh expands"
	}
	return ""
}

// arguments are ssh's before the command. Whatever an ssh_config of the
// account says, nobody is asked, no key is taken on trust, nothing is forwarded,
// no connection is shared, and a dead one ends.
func arguments(t Target, o Options) []string {
	args := []string{"-T", "-n", "-x", "-a"}
	set := func(option string) { args = append(args, "-o", option) }
	for _, option := range []string{
		"BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "VerifyHostKeyDNS=no",
		"ServerAliveInterval=15", "ServerAliveCountMax=4", "ControlMaster=no", "ControlPath=none", "ControlPersist=no",
		"ClearAllForwardings=yes", "PermitLocalCommand=no", "RemoteCommand=none", "RequestTTY=no", "EscapeChar=none", "LogLevel=ERROR",
		"ConnectTimeout=" + strconv.Itoa(int(max(o.ConnectTimeout/time.Second, 1))),
	} {
		set(option)
	}
	if o.KnownHosts != "" {
		set("UserKnownHostsFile=" + o.KnownHosts)
		set("GlobalKnownHostsFile=/dev/null")
	}
	if o.IdentityFile != "" {
		set("IdentityFile=" + o.IdentityFile)
		set("IdentitiesOnly=yes")
	}
	if t.Port != 0 {
		args = append(args, "-p", strconv.Itoa(t.Port))
	}
	if t.User != "" {
		args = append(args, "-l", t.User)
	}
	return append(args, "--", t.Host)
}

// environment is what ssh needs of ours.
func environment() []string {
	env := []string{"LC_ALL=C"}
	for _, name := range []string{"PATH", "HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// Run runs a command and gives what it printed. A command that failed at the
// far side gives an *ExitError; trouble on the way there an *sdk.Error; an
// ended context its own error.
func (c *Client) Run(ctx context.Context, words ...string) ([]byte, error) {
	var out []byte
	for line, err := range c.Lines(ctx, words...) {
		if err != nil {
			return out, err
		}
		out = append(append(out, line...), '\n')
	}
	return out, nil
}

// Lines runs a command and gives its output line by line as it comes. Leaving
// the loop ends the command. The errors are those of Run, as the last element.
func (c *Client) Lines(ctx context.Context, words ...string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		command, err := Quote(words...)
		if err != nil {
			yield("", err)
			return
		}
		if command == "" {
			yield("", sdk.Errorf(sdk.Internal, "there is no command to run by ssh"))
			return
		}
		if err := c.stream(ctx, command, func(line string) bool { return yield(line, nil) }); err != nil {
			yield("", err)
		}
	}
}
