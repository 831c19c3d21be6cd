package minion

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/protocol"
)

// Why a job is made to end.
var (
	errKilled   = errors.New("the controller wants the job stopped")
	errStale    = errors.New("the job is no longer this minion's")
	errTimeout  = errors.New("the job ran longer than its lorry-timeout")
	errStopping = errors.New("the minion is to stop")
)

// run runs one job and reports on it until its end is known to the controller.
// It reports whether the job found nothing new.
func (w *worker) run(ctx context.Context, job protocol.Job) (unchanged bool) {
	log := w.Log.With("job", int64(*job.JobID), "path", job.Path)
	log.Info("job started")
	began := time.Now()
	// The job's own end is decided below, so that what it wrote and how it
	// ended can still be told when ctx has ended.
	running, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	defer stop(nil)
	if job.LorryTimeout > 0 {
		var cancel context.CancelFunc
		running, cancel = context.WithTimeoutCause(running, time.Duration(job.LorryTimeout)*time.Second, errTimeout)
		defer cancel()
	}
	out := &output{}
	if job.Withheld != "" {
		fmt.Fprintf(out, "Note: %s\n", job.Withheld)
		log.Warn("job came without its credentials", "why", job.Withheld)
	}
	done := make(chan result, 1)
	r := newReporter(w, job, out, log)
	go func() { done <- w.execute(running, job, out, r.far) }()
	ended := r.whileRunning(ctx, done, stop)
	update := ended.update(job, time.Since(began))
	if errors.Is(ended.stopped(), errStale) {
		log.Info("job ended", "exit", update.Exit, "reported", false)
		return false
	}
	if update.Exit != "returned" {
		if update.DiskUsage == 0 && !w.command.ours {
			update.DiskUsage = w.area.diskUsage(job.Path)
		}
		w.hold(job.Path)
	}
	fit(&update, maxRefs, out)
	r.finish(ctx, update)
	log.Info("job ended", "exit", update.Exit, "kind", string(update.Failure.Kind), "cause", update.Failure.Cause,
		"took", time.Since(began).Round(time.Millisecond))
	return update.Unchanged
}

// result is how the process of a job ended.
type result struct {
	err    error                  // of childproc.Run, or of what comes before it
	report *protocol.ImportReport // nil when there is none
}

// stopped gives why the process was made to end, or nil.
func (r result) stopped() error {
	for _, why := range []error{errKilled, errStale, errTimeout, errStopping} {
		if errors.Is(r.err, why) {
			return why
		}
	}
	return nil
}

// execute runs the program for one job to its end.
func (w *worker) execute(ctx context.Context, job protocol.Job, out io.Writer, far *steps) result {
	if report, same := w.look(ctx, job); same {
		return result{report: &report}
	}
	spec, err := w.area.writeSpec(job.Text)
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = os.Remove(spec) }()
	redactor := childproc.NewRedactor(out, w.secretsOf(job)...)
	defer func() { _ = redactor.Close() }() // it passes on an unfinished line; output never fails
	s := childproc.Spec{
		Name: w.command.path, Args: []string{spec}, Dir: w.area.dir, Env: w.Env,
		Stdout: redactor, Stderr: redactor, Grace: w.Grace, Secrets: w.secretsOf(job),
	}
	if !w.command.ours {
		return result{err: childproc.Run(ctx, s)}
	}
	s.Args = []string{"--working-area", w.area.dir, "--access-fd", "3", "--report-fd", "4", spec}
	return executeOurs(ctx, w.importRequest(job), s, far.set)
}

// executeOurs runs our own lorry, with the access on descriptor 3, and progress
// and report from descriptor 4.
func executeOurs(ctx context.Context, what protocol.ImportRequest, s childproc.Spec, tell func(core.Progress)) result {
	request, err := json.Marshal(what)
	if err != nil {
		return result{err: fmt.Errorf("request for lorry can't be encoded: %w", err)}
	}
	accessRead, accessWrite, err := os.Pipe()
	if err != nil {
		return result{err: fmt.Errorf("no pipe for lorry: %w", err)}
	}
	reportRead, reportWrite, err := os.Pipe()
	if err != nil {
		_, _ = accessRead.Close(), accessWrite.Close()
		return result{err: fmt.Errorf("no pipe for lorry: %w", err)}
	}
	s.ExtraFiles = []*os.File{accessRead, reportWrite}
	wrote, read := make(chan struct{}), make(chan *protocol.ImportReport, 1)
	go func() {
		defer close(wrote)
		_, _ = accessWrite.Write(request) // a lorry that does not read it says so itself
		_ = accessWrite.Close()
	}()
	go func() { read <- readReport(reportRead, tell) }()
	err = childproc.Run(ctx, s)
	// Our own ends of its descriptors: closing them ends both goroutines, even
	// if a descendant that left the group holds the others.
	_ = accessRead.Close()
	_ = reportWrite.Close()
	_ = reportRead.SetReadDeadline(time.Now().Add(2 * time.Second))
	<-wrote
	report := <-read
	_ = reportRead.Close()
	return result{err: err, report: report}
}

// importRequest is what our own lorry is told of a job beside its text.
func (w *worker) importRequest(job protocol.Job) protocol.ImportRequest {
	return protocol.ImportRequest{
		Path: job.Path, Digest: job.Digest, Rewrites: job.Rewrites, Fetch: job.Fetch, Push: job.Push,
		FileRoots: job.FileRoots, Approved: job.Approved, Interval: job.Interval, Progress: true, Proxy: w.LorryProxy,
		DenyPrivateAddresses: job.DenyPrivateAddresses, AllowAddresses: job.AllowAddresses,
	}
}

func (w *worker) secretsOf(job protocol.Job) []string {
	var secrets []string
	if w.LorryProxy != nil && w.LorryProxy.Password != "" {
		secrets = append(secrets, w.LorryProxy.Password)
	}
	for _, a := range []*protocol.Access{job.Fetch, job.Push} {
		if a != nil && a.Secret != "" {
			secrets = append(secrets, a.Secret)
		}
	}
	return secrets
}

// update words the end of a job for the controller.
func (r result) update(job protocol.Job, took time.Duration) protocol.Update {
	u := protocol.Update{JobID: *job.JobID, Fence: job.Fence, Exit: "0"}
	if r.report != nil {
		u.Exit = strconv.Itoa(r.report.Exit)
		u.Failure, u.Unchanged, u.Digest = r.report.Failure, r.report.Unchanged, r.report.Digest
		u.Head, u.DiskUsage, u.Refs = r.report.Head, r.report.DiskUsage, r.report.Refs
	}
	var exit *childproc.ExitError
	switch {
	case errors.As(r.err, &exit) && exit.Signal != 0:
		u.Exit = strconv.Itoa(-int(exit.Signal))
	case errors.As(r.err, &exit) && exit.Err != nil:
		u.Exit = "-15" // it took our SIGTERM in its own way
	case errors.As(r.err, &exit):
		u.Exit = strconv.Itoa(exit.Code)
	case r.err != nil && r.report == nil:
		u.Exit = "127"
		u.Failure = core.Failure{
			Kind: core.FailTool, Cause: r.err.Error(), Hint: "look at the minion's machine: its lorry could not be run",
		}
	}
	timeout := time.Duration(job.LorryTimeout) * time.Second
	switch why := r.stopped(); {
	case errors.Is(why, errStopping):
		u.Exit, u.Failure, u.Refs = "returned", core.Failure{}, nil
	case errors.Is(why, errTimeout), errors.Is(why, errKilled) && timeout > 0 && took >= timeout:
		u.Failure = core.Failure{
			Kind: core.FailTimeout, Cause: "job ran longer than its lorry-timeout of " + protocol.NiceInterval(timeout),
			Hint: "raise lorry-timeout of its section, or look why it takes so long",
		}
	case errors.Is(why, errKilled):
		u.Failure = core.Failure{Kind: core.FailKilled, Cause: "job was stopped by an admin"}
	case u.Exit != "0" && !u.Failure.Failed():
		u.Failure = core.Failure{Kind: core.FailOther, Cause: r.cause(), Hint: "the job's output says more"}
	}
	if job.Withheld != "" && u.Failure.Failed() {
		u.Failure.Hint = job.Withheld
	}
	return u
}

func (r result) cause() string {
	if r.err == nil {
		return "lorry says that it failed, but not why"
	}
	return r.err.Error()
}
