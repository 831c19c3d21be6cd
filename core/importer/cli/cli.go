// Package cli is the command line of the program lorry: its options, its
// configuration files, its output and its exit status.
//
// It must not know how anything is imported.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/settings"
	"github.com/lorry-controller/lorry-controller/core/spec"
	"github.com/lorry-controller/lorry-controller/core/telemetry"
)

// gitHome is git's own directory in the working area. No Lorry's name begins
// with a dot.
const gitHome = ".lorry-git"

// Main is the program lorry. It gives the exit status.
func Main(args, env []string, version string, stdout, stderr io.Writer) int {
	values, err := Table(version).Parse(args, env)
	if err != nil {
		fmt.Fprintf(stderr, "ERROR: %v\n", err)
		if usage := new(settings.UsageError); errors.As(err, &usage) {
			return importer.ExitUsage
		}
		return importer.ExitFailed
	}
	if asked, err := values.Inform(stdout); asked || err != nil {
		if err != nil {
			fmt.Fprintf(stderr, "ERROR: %v\n", err)
			return importer.ExitFailed
		}
		return importer.ExitDone
	}
	for _, warning := range values.Warnings {
		fmt.Fprintf(stderr, "warning: %s\n", warning)
	}
	ctx, stop := untilSignal(context.Background())
	defer stop()
	r := &run{values: values, env: env, stdout: stdout, stderr: stderr}
	if values.Bool("porcelain") {
		r.machine, r.stdout = &lines{to: stdout}, stderr
	}
	return r.main(ctx, values.Args)
}

// untilSignal ends the context at SIGINT, SIGTERM or SIGHUP. A second signal
// ends the program at once; the kernel then ends its children.
func untilSignal(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		select {
		case <-signals:
			signal.Stop(signals)
			cancel(importer.ErrStopped)
		case <-ctx.Done():
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel(nil)
		<-done
	}
}

// run is one run of the program.
type run struct {
	values         *settings.Values
	env            []string
	stdout, stderr io.Writer
	report         io.WriteCloser
	request        *protocol.ImportRequest
	options        importer.Options
	machine        *lines // of --porcelain, or nil
}

func (r *run) main(ctx context.Context, files []string) int {
	if len(files) > 0 && files[0] == "check" {
		return r.check(ctx, files[1:])
	}
	if len(files) == 0 {
		fmt.Fprintln(r.stderr, "ERROR: no .lorry file is named; see lorry --help")
		return importer.ExitUsage
	}
	if err := r.openDescriptors(); err != nil {
		fmt.Fprintf(r.stderr, "ERROR: %v\n", err)
		return importer.ExitUsage
	}
	if r.report != nil {
		defer func() { _ = r.report.Close() }()
	}
	if err := bound(r.values.Size("max-memory"), r.values.Size("max-file-size")); err != nil {
		return r.end(r.failed("", err))
	}
	cleanup, err := r.prepare()
	if err != nil {
		return r.end(r.failed("", err))
	}
	defer cleanup()
	status := importer.ExitDone
	for _, file := range files {
		status = max(status, r.file(ctx, file))
		if ctx.Err() != nil {
			return importer.ExitStopped
		}
	}
	return status
}

// openDescriptors takes the minion's descriptors over. No child gets them.
func (r *run) openDescriptors() error {
	if n := r.values.Int("report-fd"); n > 2 {
		syscall.CloseOnExec(n)
		r.report = os.NewFile(uintptr(n), "report")
	}
	n := r.values.Int("access-fd")
	if n <= 2 {
		return nil
	}
	syscall.CloseOnExec(n)
	f := os.NewFile(uintptr(n), "access")
	defer func() { _ = f.Close() }()
	r.request = new(protocol.ImportRequest)
	if err := json.NewDecoder(io.LimitReader(f, 16<<20)).Decode(r.request); err != nil {
		// The error must not quote what was read.
		return fmt.Errorf("descriptor %d of --access-fd gave no request as JSON", n)
	}
	return nil
}

// prepare makes what all files share.
func (r *run) prepare() (cleanup func(), err error) {
	log, err := telemetry.NewLogger(telemetry.Options{
		Program: "lorry", Log: r.values.Log(), Stderr: r.stderr, Redactor: telemetry.NewRedactor(r.values.Secrets()...),
	})
	if err != nil {
		return nil, err
	}
	area, err := filepath.Abs(r.values.String("working-area"))
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(area, 0o755); err != nil {
		_ = log.Close()
		return nil, fmt.Errorf("the working area cannot be used: %w", err)
	}
	git, err := r.git(filepath.Join(area, gitHome), log)
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	way, err := r.route()
	if err != nil {
		_ = log.Close()
		return nil, err
	}
	reader := lsrefs.NewReader(git)
	r.options = importer.Options{
		Route:  way,
		Limits: importer.Limits{Output: r.values.Size("max-output"), Disk: r.values.Size("max-disk")},
		Upkeep: importer.Upkeep{
			Verify: r.values.Duration("verify-interval"), Check: never(r.values.Duration("check-interval")),
			KeepRewritten: r.values.Duration("keep-rewritten"), Free: r.values.Size("evict-below"),
		},
		WorkingArea: area, Request: r.request, PushBase: r.values.String("mirror-base-url-push"),
		PullOnly: r.values.Bool("pull-only"), NoRepack: !r.values.Bool("repack"), KeepOld: r.values.Bool("keep-multiple-backups"),
		PushOptions: r.values.List("push-option"), LockWait: r.values.Duration("lock-wait"),
		Out: r.stdout, Verbose: r.values.Bool("verbose"), Terminal: isTerminal(r.stdout), Progress: r.progress(), Git: git, Reader: reader, Log: log,
		Export: importer.Export{
			FetchBase: r.values.String("mirror-base-url-fetch"),
			Bundle:    importer.When(r.values.String("bundle")), BundleDir: r.values.String("bundle-dest"),
			Tarball: importer.When(r.values.String("tarball")), TarballDir: r.values.String("tarball-dest"),
		},
	}
	return func() {
		reader.Close()
		_ = log.Close()
	}, nil
}

// route reads how the network is reached.
func (r *run) route() (way route.Route, err error) {
	if file := r.values.String("proxy-config"); file != "" {
		way, err = route.ReadFile(file)
	} else {
		way, err = route.FromEnvironment(r.env)
	}
	if err != nil {
		return way, err
	}
	way.DenyPrivate, way.Allow = r.values.Bool("deny-private-addresses"), strings.Join(r.values.List("allow-addresses"), ",")
	way.CAFile = r.values.String("ca-file")
	return way, way.Check()
}

// never is a setting of 0 as the importer takes it.
func never(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

func pairs(list []string) map[string]string {
	m := make(map[string]string)
	for _, text := range list {
		host, file, _ := strings.Cut(text, "=")
		m[host] = file
	}
	return m
}

func (r *run) git(home string, log *telemetry.Log) (*childproc.Git, error) {
	return childproc.NewGit(childproc.GitOptions{
		Home: home, SSHDir: r.values.String("ssh-dir"), SSHAgent: r.getenv("SSH_AUTH_SOCK"), Path: r.getenv("PATH"),
		LowSpeedTime: r.values.Duration("low-speed-time"), Grace: time.Second, Log: log,
		CAFile: r.values.String("ca-file"), SSHIdentities: pairs(r.values.List("ssh-identity")), SSHKnownHosts: pairs(r.values.List("known-hosts")),
	})
}

func (r *run) getenv(name string) string {
	for _, line := range r.env {
		if value, ok := strings.CutPrefix(line, name+"="); ok {
			return value
		}
	}
	return ""
}

// file imports what one file names.
func (r *run) file(ctx context.Context, name string) int {
	fmt.Fprintf(r.stdout, "Processing spec file %s\n", name)
	specs, problems, err := readSpecs(name)
	if err != nil {
		return r.end(r.failed("", err))
	}
	status := importer.ExitDone
	for _, p := range problems {
		fmt.Fprintln(r.stderr, problemLine(p))
		if p.Severity == core.SeverityError {
			status = importer.ExitFailed
		}
	}
	if r.request != nil {
		return r.requested(ctx, specs, problems)
	}
	for _, s := range specs {
		status = max(status, r.one(ctx, s))
		if ctx.Err() != nil {
			return importer.ExitStopped
		}
	}
	return status
}

// requested imports the one entry that the minion's request is about.
func (r *run) requested(ctx context.Context, specs []spec.Spec, problems []core.Problem) int {
	for _, s := range specs {
		if s.Name == r.request.Path {
			return r.one(ctx, s)
		}
	}
	err := core.Errorf(core.KindInvalid, "the specification has no usable entry %q", r.request.Path)
	for _, p := range problems {
		if p.Severity == core.SeverityError {
			err = core.Errorf(core.KindInvalid, "%s: %s", p.Key, p.Message)
			break
		}
	}
	return r.end(r.failed(r.request.Path, err))
}

// one imports one Lorry.
func (r *run) one(ctx context.Context, s spec.Spec) int {
	o := r.options
	o.Spec = s
	if limit := r.values.Duration("timeout"); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	return r.end(importer.Run(ctx, o))
}

// failed makes the report of a failure that came before any import.
func (r *run) failed(path string, err error) protocol.ImportReport {
	if path == "" && r.request != nil {
		path = r.request.Path
	}
	failure := core.Failure{Kind: core.FailOther, Cause: err.Error()}
	switch {
	case errors.Is(err, childproc.ErrNotInstalled):
		failure.Kind, failure.Hint = core.FailTool, "install it where lorry runs"
	case core.KindOf(err) == core.KindInvalid, errors.Is(err, os.ErrNotExist):
		failure.Kind = core.FailSpec
	case errors.Is(err, syscall.EFBIG):
		failure.Kind, failure.Hint = core.FailLimit, "raise max-file-size; this program's own files need some kilobytes"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, os.ErrPermission):
		failure.Kind, failure.Hint = core.FailDisk, "see to the space and the rights on the working area"
	}
	return protocol.ImportReport{Path: path, Exit: importer.ExitFailed, Failure: failure}
}

// end tells the outcome and gives the exit status.
func (r *run) end(report protocol.ImportReport) int {
	if f := report.Failure; f.Failed() {
		name := report.Path
		if name != "" {
			name += ": "
		}
		fmt.Fprintf(r.stderr, "ERROR: %s%s\n", name, f.Cause)
		if f.Hint != "" {
			fmt.Fprintf(r.stderr, "  %s\n", f.Hint)
		}
	}
	if r.machine != nil {
		if err := r.machine.write(report); err != nil {
			fmt.Fprintf(r.stderr, "ERROR: the report could not be written: %v\n", err)
			return max(report.Exit, importer.ExitFailed)
		}
	}
	if r.report != nil {
		if err := json.NewEncoder(r.report).Encode(report); err != nil {
			fmt.Fprintf(r.stderr, "ERROR: the report could not be written: %v\n", err)
			return max(report.Exit, importer.ExitFailed)
		}
	}
	return report.Exit
}

func readSpecs(name string) ([]spec.Spec, []core.Problem, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("the specification cannot be read: %w", err)
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, spec.MaxSize+1))
	if err != nil {
		return nil, nil, fmt.Errorf("the specification cannot be read: %w", err)
	}
	specs, problems := spec.Parse(name, data)
	return specs, problems, nil
}

func problemLine(p core.Problem) string {
	where := p.File
	if p.Line > 0 {
		where = fmt.Sprintf("%s:%d", p.File, p.Line)
	}
	if p.Key != "" {
		return fmt.Sprintf("%s: %s: %s: %s", where, p.Severity, p.Key, p.Message)
	}
	return fmt.Sprintf("%s: %s: %s", where, p.Severity, p.Message)
}
