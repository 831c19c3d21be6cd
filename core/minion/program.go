package minion

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/signal"
	"syscall"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/telemetry"
)

const program = "lorry-minion"

// Main is lorry-minion: it works until it gets SIGINT or SIGTERM and gives the
// exit code. A second signal ends it at once.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	return settings.Tell(stderr, start(ctx, args, os.Environ(), version, stdout, stderr))
}

// Table lists the settings of lorry-minion: every one that the original's
// lorry-controller-minion had, and this program's own.
func Table(version string) settings.Table {
	return settings.Table{
		Program: program, ConfigName: "lorry-controller-minion", Version: version,
		Summary: "Asks a controller for jobs, runs lorry for each, and reports.",
		Options: append([]settings.Option{
			{Name: "controller", Metavar: "URL", Doc: "The controller's URL. Default: what webapp-host and webapp-port say.", Check: checkURL},
			{Name: "webapp-host", Default: "localhost", Metavar: "HOST", Doc: "The controller's host, when there is no --controller."},
			{Name: "webapp-port", Kind: settings.Int, Default: "12765", Metavar: "PORT", Doc: "The controller's port."},
			{Name: "webapp-timeout", Kind: settings.Duration, Default: "5m", Metavar: "SECONDS", Doc: "Wait so long for an answer, beyond the time that a request waits for a job."},
			{Name: "token", Secret: true, NotOnCommandLine: true, Metavar: "TOKEN", Doc: "Show this token to the controller. It can only be in a configuration file, in LORRY_TOKEN or in the file that token-file names."},
			{Name: "name", Metavar: "NAME", Doc: "The name that the controller shows. Default: the machine's."},
			{Name: "labels", Kind: settings.List, Metavar: "LABEL", Doc: "Say what this minion is good for, such as site-a; the controller shows it."},
			{Name: "drain-timeout", Kind: settings.Duration, Default: "10", Metavar: "SECONDS", Doc: "When told to end, let the jobs that run go on so long before they are stopped and handed back."},
			{Name: "jobs", Kind: settings.Int, Default: "1", Metavar: "N", Doc: "Run N jobs at once."},
			{Name: "wait", Kind: settings.Duration, Default: "30", Metavar: "SECONDS", Doc: "Let one request wait so long for a job, at most 60."},
			{Name: "sleep", Kind: settings.Duration, Default: "0", Metavar: "SECONDS", Doc: "The pause when there is no job and the controller does not wait for one; 0 picks 30 to 60 once."},
			{Name: "lorry-cmd", Metavar: "CMD", Doc: "The program that runs a job: its name in PATH, or its path. Default: lorry beside this program, else in PATH. One that is not ours gets the name of a specification file."},
			{Name: "lorry-working-area", Default: "/home/lorry/working-area", Metavar: "DIR", Doc: "The directory that lorry works in; one minion has it at a time."},
			{Name: "proxy-config", Default: "proxy.conf", Metavar: "FILE", Doc: "A JSON file with hostname, port, username and password of the HTTP proxy to the controller and for lorry; and with no_proxy, the hosts that are reached without it."},
		}, settings.ClientTLSOptions()...),
	}
}

func checkURL(text string) error {
	if text == "" {
		return nil
	}
	u, err := url.Parse(text)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return errors.New("must be a URL such as http://controller.example.com:12765")
	}
	if u.User != nil {
		return errors.New("must hold no credential; use token-file")
	}
	return nil
}

// start reads the settings and works until ctx ends.
func start(ctx context.Context, args, env []string, version string, stdout, stderr io.Writer) error {
	values, err := Table(version).Parse(args, env)
	if err != nil {
		return err
	}
	if done, err := values.Inform(stdout); done || err != nil {
		return err
	}
	if len(values.Args) > 0 {
		return &settings.UsageError{Program: program, Problem: fmt.Sprintf("argument %q is not understood", values.Args[0])}
	}
	proxy, err := proxyOf(values)
	if err != nil {
		return err
	}
	log, err := telemetry.NewLogger(telemetry.Options{
		Program: program, Log: values.Log(), Stderr: stderr, Redactor: telemetry.NewRedactor(values.Secrets()...),
	})
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	for _, warning := range values.Warnings {
		log.Warn("setting is not as it should be", "warning", warning)
	}
	options := optionsOf(values, version)
	options.Log = log
	if options.TLS, err = protocol.ClientTLS(values.String("ca-file"), values.String("client-certificate"), values.String("client-key")); err != nil {
		return err
	}
	if proxy != nil {
		options.Proxy, options.LorryProxy = proxy.choose, proxy.forLorry()
	}
	warnOfPlainToken(log, options)
	stop, err := adoptOrphans(log) //nolint:contextcheck // what it waits for comes after ctx has ended
	if err != nil {
		return err
	}
	defer stop()
	return Run(ctx, options)
}

// warnOfPlainToken tells an admin whose token can be read on the way.
func warnOfPlainToken(log hclog.Logger, o Options) {
	u, err := url.Parse(o.Controller)
	if err != nil || o.Token.Empty() || u.Scheme == "https" || core.Loopback(u.Hostname()) {
		return
	}
	log.Warn("the token goes to the controller without encryption, and no credentials come back: use https://", "controller", o.Controller)
}

func optionsOf(v *settings.Values, version string) Options {
	controller := v.String("controller")
	if controller == "" {
		controller = "http://" + net.JoinHostPort(v.String("webapp-host"), v.String("webapp-port"))
	}
	return Options{
		Controller: controller, Token: v.Secret("token"), Name: v.String("name"), Build: version,
		Jobs: v.Int("jobs"), LorryCmd: v.String("lorry-cmd"), WorkingArea: v.String("lorry-working-area"),
		Labels: v.List("labels"), DrainTimeout: v.Duration("drain-timeout"),
		Sleep: v.Duration("sleep"), Wait: v.Duration("wait"), Timeout: v.Duration("webapp-timeout"),
		Rand: rand.Float64,
	}
}
