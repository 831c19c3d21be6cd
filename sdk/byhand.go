package sdk

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/lorry-controller/lorry-controller/sdk/internal/wire"
)

const usage = `This program is an adapter for Lorry Controller, which starts it by itself.
By hand it answers:

  %[1]s describe               what it is, as JSON
  %[1]s check -settings FILE   try settings: a JSON object {"settings": {…}, "secrets": {…}}
  %[1]s version                its version
  %[1]s -debug                 serve without the core, for a debugger
`

// byHand answers a person at a terminal and gives the exit code.
func byHand(ctx context.Context, p *Plugin, args []string, stdout, stderr io.Writer) int {
	command := ""
	if len(args) > 0 {
		command = args[0]
	}
	var err error
	switch command {
	case "describe":
		err = describeByHand(p, stdout)
	case "version", "-version", "--version":
		_, err = fmt.Fprintf(stdout, "lorry-adapter-%s %s (sdk %s)\n", p.name, p.version, sdkVersion())
	case "check":
		err = checkByHand(ctx, p, args[1:], stdout, stderr)
	case "-debug", "--debug":
		err = debugByHand(ctx, p, stdout, stderr)
	case "help", "-h", "-help", "--help":
		_, err = fmt.Fprintf(stdout, usage, "lorry-adapter-"+p.name)
	default:
		_, _ = fmt.Fprintf(stderr, usage, "lorry-adapter-"+p.name)
		return 2
	}
	if err != nil {
		_, _ = fmt.Fprintf(stderr, "lorry-adapter-%s: %v\n", p.name, err)
		return 1
	}
	return 0
}

func describeByHand(p *Plugin, stdout io.Writer) error {
	if len(p.problems) > 0 {
		return fmt.Errorf("the definition can't work: %s", p.problems[0])
	}
	raw, err := protojson.MarshalOptions{Multiline: true, UseProtoNames: true}.Marshal(p.describe())
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(stdout, "%s\n", raw)
	return err
}

// trial is the file that check reads. It holds secrets, so it is the person's
// to protect.
type trial struct {
	Role     Role              `json:"role"`
	Settings map[string]any    `json:"settings"`
	Secrets  map[string]string `json:"secrets"`
}

func checkByHand(ctx context.Context, p *Plugin, args []string, stdout, stderr io.Writer) error {
	flags := flag.NewFlagSet("check", flag.ContinueOnError)
	flags.SetOutput(stderr)
	file := flags.String("settings", "", "file with a JSON object {\"settings\": {…}, \"secrets\": {…}}")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var t trial
	if *file != "" {
		raw, err := os.ReadFile(*file)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(raw, &t); err != nil {
			return fmt.Errorf("%s: not a JSON object of settings: %w", *file, err)
		}
	}
	secrets := map[string][]byte{}
	for name, value := range t.Secrets {
		secrets[name] = []byte(value)
	}
	settings, diags := p.decode(t.Settings, secrets, t.Role)
	if show(stdout, diags) {
		return fmt.Errorf("the settings can't be used")
	}
	log := hclog.New(&hclog.LoggerOptions{Output: stderr, Level: hclog.Info})
	env := Env{Instance: "check", Role: t.Role, Log: log}
	env.HTTP = newHTTPClient(p, env)
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	adapter, err := p.open(ctx, env, settings)
	if err != nil {
		return err
	}
	defer func() { _ = closeAdapter(adapter) }()
	if c, ok := adapter.(Checker); ok {
		report, err := c.Check(ctx)
		if err != nil {
			return err
		}
		if show(stdout, report.Diagnostics) {
			return fmt.Errorf("the check found errors")
		}
		if !report.ExpiresAt.IsZero() {
			_, _ = fmt.Fprintf(stdout, "the credentials stop working on %s\n", report.ExpiresAt.UTC().Format(time.DateOnly))
		}
	}
	_, err = fmt.Fprintln(stdout, "ok")
	return err
}

// show prints diagnostics and reports whether one of them is an error.
func show(w io.Writer, diags []Diagnostic) (failed bool) {
	for _, d := range diags {
		_, _ = fmt.Fprintf(w, "%s: %s: %s", d.Severity, d.Path, d.Summary)
		if d.Detail != "" {
			_, _ = fmt.Fprintf(w, " (%s)", d.Detail)
		}
		_, _ = fmt.Fprintln(w)
		failed = failed || isError(d)
	}
	return failed
}

// debugByHand serves until it is interrupted and prints what the core needs to
// attach to the running process.
func debugByHand(ctx context.Context, p *Plugin, stdout, stderr io.Writer) error {
	if dir := os.TempDir(); len(dir) > wire.MaxSocketBase {
		return fmt.Errorf("the path of the temporary directory %s has %d bytes, too many for a socket in it: set TMPDIR to a shorter one", dir, len(dir))
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	reattach := make(chan *plugin.ReattachConfig, 1)
	done := make(chan struct{})
	log := hclog.New(&hclog.LoggerOptions{Output: stderr, Level: hclog.Debug})
	config := serveConfig(&served{plugin: p, log: log, debug: true})
	config.Test = &plugin.ServeTestConfig{Context: ctx, ReattachConfigCh: reattach, CloseCh: done}
	go plugin.Serve(config)
	select {
	case c := <-reattach:
		line, err := json.Marshal(map[string]string{p.name: c.Addr.Network() + "|" + c.Addr.String()})
		if err != nil {
			return err
		}
		_, _ = fmt.Fprintf(stdout, "LORRY_REATTACH_ADAPTERS='%s'\n", line)
	case <-done:
	}
	<-done
	return nil
}
