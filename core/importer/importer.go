package importer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/childproc"
	"github.com/lorry-controller/lorry-controller/core/importer/area"
	"github.com/lorry-controller/lorry-controller/core/importer/bzrsource"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/lsrefs"
	"github.com/lorry-controller/lorry-controller/core/importer/policy"
	"github.com/lorry-controller/lorry-controller/core/importer/rawfile"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
	"github.com/lorry-controller/lorry-controller/core/importer/route"
	"github.com/lorry-controller/lorry-controller/core/importer/workcopy"
	"github.com/lorry-controller/lorry-controller/core/protocol"
	"github.com/lorry-controller/lorry-controller/core/spec"
)

// Options of one Run. WorkingArea, Spec, Git and Reader are required.
type Options struct {
	// WorkingArea is the directory that holds one directory for each Lorry.
	WorkingArea string
	// Spec is the Lorry; its Name is the path downstream.
	Spec spec.Spec
	// Request is what a minion says of the job, or nil for a run by hand.
	Request *protocol.ImportRequest
	// PushBase is the URL below which a run by hand pushes, or "".
	PushBase string
	// PullOnly leaves the Downstream Host alone.
	PullOnly bool
	// NoRepack leaves packs and refs as they come.
	NoRepack bool
	// KeepOld keeps every damaged copy, not the last alone.
	KeepOld bool
	// Route is how the network is reached; the request's word on it wins.
	Route route.Route
	// PushOptions go to the server with every push.
	PushOptions []string
	// Export writes the repository to files as well.
	Export Export
	// Limits bound the job.
	Limits Limits
	// Upkeep says how often what is made sure of.
	Upkeep Upkeep
	// LockWait is how long to wait for another run of the Lorry; 0 means 30 s.
	LockWait time.Duration
	// Out gets the job's output for people, without credentials.
	Out io.Writer
	// Verbose shows the progress of transfers.
	Verbose bool
	// Terminal lets lines of progress overwrite each other.
	Terminal bool
	// Progress is told how far the job is, several times a second; nil: nobody.
	Progress func(protocol.Progress)
	Git      *childproc.Git
	Reader   *lsrefs.Reader
	Log      hclog.Logger // nil: no log
	Clock    core.Clock   // nil: the real time
}

// ErrStopped is the cause with which to end Run's context when a signal or an
// admin stops the job; the report then has FailKilled.
var ErrStopped = gitfail.ErrStopped

// Exit statuses of a run.
const (
	ExitDone    = 0   // everything is downstream as it is upstream
	ExitFailed  = 1   // it is not; the report says why
	ExitUsage   = 2   // the command line is wrong
	ExitStopped = 255 // a signal ended it
)

// Run imports one Lorry. It never returns without a report; whatever it
// started has ended by then.
func Run(ctx context.Context, o Options) protocol.ImportReport {
	j := newJob(o)
	ctx, end := j.limit(ctx)
	defer end()
	err := j.run(ctx)
	if err != nil && ctx.Err() != nil {
		var limit *gitfail.Error
		if stopped := gitfail.Stopped(context.Cause(ctx)); stopped != nil {
			err = stopped
		} else if errors.As(context.Cause(ctx), &limit) {
			err = limit
		}
	}
	j.finish(err)
	for i := range j.report.Refs {
		j.report.Refs[i].Ref = policy.Told(j.report.Refs[i].Ref)
	}
	return j.report
}

// Look only reads upstream's refs: in this process over HTTP, otherwise by a
// single child. It reports whether they are those of the request's digest, and
// then gives the report of a job with nothing to do. Whatever else it finds, a
// failure too, is for Run to find again and to tell.
func Look(ctx context.Context, o Options) (protocol.ImportReport, bool) {
	j := newJob(o)
	j.most = lookMost
	if o.Request == nil || o.Request.Digest == "" || j.prepare() != nil {
		return j.report, false
	}
	defer func() { _ = j.disconnect(nil) }()
	if j.connect(ctx) != nil {
		return j.report, false
	}
	source, err := j.source(j.place(&repo.Repo{Git: j.net.fetchGit}))
	if err != nil {
		return j.report, false
	}
	upstream, err := source.List(ctx)
	if err != nil {
		return j.report, false
	}
	if same, err := j.settled(ctx, upstream); err != nil || !same {
		return j.report, false
	}
	j.unchanged(upstream)
	return j.report, true
}

// lookMost is how many bytes of refs Look takes, half a million of them: the
// process that looks serves other Lorries too, and an upstream that says more
// is for Run, which has a process and its limits to itself.
const lookMost = 32 << 20

// newJob fills the defaults in.
func newJob(o Options) *job {
	if o.Log == nil {
		o.Log = hclog.NewNullLogger()
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if o.LockWait <= 0 {
		o.LockWait = 30 * time.Second
	}
	return &job{Options: o, progress: io.Discard, report: protocol.ImportReport{Path: o.Spec.Name}}
}

// job is one run in progress.
type job struct {
	Options
	fetch    core.Access
	push     core.Access
	branches []bzrsource.Branch // bzr alone
	files    []rawfile.File     // raw-file alone
	policy   policy.Policy
	area     *area.Area
	net      network
	collect  bool  // the working copy is to be packed as a whole
	most     int64 // bytes of refs that are taken; 0: as many as lsrefs takes
	look     func(context.Context) (lsrefs.Listing, error)
	readAt   time.Time // when upstream was read
	progress io.Writer
	messages io.Writer // gets all that programs say, shown or not; or nil
	report   protocol.ImportReport
}

func (j *job) run(ctx context.Context) (err error) {
	if err := j.prepare(); err != nil {
		return err
	}
	defer func() { err = j.disconnect(err) }()
	if err := j.connect(ctx); err != nil {
		return err
	}
	out := childproc.NewRedactor(j.Out, j.secrets()...)
	defer func() { _ = out.Close() }()
	shown := newProgress(out, j.Verbose, j.Clock)
	shown.terminal, shown.tell, shown.path, shown.all = j.Terminal, j.Progress, j.Spec.Name, j.messages
	j.Out, j.progress = shown.beside(), shown
	defer shown.wipe()
	shown.phase("looking at upstream")
	fmt.Fprintf(j.Out, "Getting: %s\n", j.Spec.Name)

	source, err := j.source(j.place(&repo.Repo{Git: j.net.fetchGit}))
	if err != nil {
		return err
	}
	fmt.Fprintf(j.Out, ".. looking at %s\n", j.from())
	if j.isFirst() {
		shown.phase("fetching")
		return j.locked(ctx, lsrefs.Listing{})
	}
	upstream, err := source.List(ctx)
	if err != nil {
		return err
	}
	same, err := j.settled(ctx, upstream)
	if err != nil {
		return err
	}
	if same {
		fmt.Fprintln(j.Out, ".. nothing to do: upstream is as it was at the last verified push")
		j.unchanged(upstream)
		return nil
	}
	shown.refs = len(upstream.Refs)
	shown.phase("fetching")
	return j.locked(ctx, upstream)
}

// isFirst reports whether the job most likely clones a git repository: that
// tells what upstream has, and a look before it would cost upstream as much
// again as the rest. The source looks itself should it be otherwise.
func (j *job) isFirst() bool {
	if j.Spec.Type != spec.Git || j.lastDigest() != "" {
		return false
	}
	_, err := os.Lstat(filepath.Join(j.areaDir(), "git"))
	return errors.Is(err, fs.ErrNotExist)
}

// unchanged fills the report of a job that is settled in.
func (j *job) unchanged(upstream lsrefs.Listing) {
	j.report.Unchanged, j.report.Digest = true, j.lastDigest()
	j.report.Head = j.head(upstream)
}

// locked does the part of the work that owns the Lorry's directory.
func (j *job) locked(ctx context.Context, upstream lsrefs.Listing) error {
	a, err := area.Open(ctx, j.WorkingArea, j.Spec.Name, j.LockWait, j.Clock)
	if err != nil {
		return err
	}
	defer a.Close()
	defer func() { j.report.DiskUsage = repo.DiskUsage(a.Dir) }()
	j.area = a
	r := &repo.Repo{Dir: a.GitDir(), Git: j.net.fetchGit, Files: []*os.File{a.Lock()}}
	place := j.place(r)
	source, err := j.source(place)
	if err != nil {
		return err
	}
	health, err := j.begin(ctx, &place)
	if err != nil {
		return err
	}
	err = j.work(ctx, &place, source, upstream, health)
	if err != nil && gitfail.From(err, gitfail.Local).Place != gitfail.Upstream && place.Broken(ctx, err) {
		// What could not be used is damaged here; a source finds out itself
		// whether what it fetches into is.
		fmt.Fprintf(j.Out, ".. the working copy is damaged (%v): making a new one\n", err)
		refs := j.report.Refs
		err = j.work(ctx, &place, source, upstream, health)
		j.report.Refs = append(refs, j.report.Refs...)
	}
	return err
}

// work brings what upstream has into the working copy, and from there
// downstream.
func (j *job) work(ctx context.Context, place *workcopy.Copy, source source, upstream lsrefs.Listing, health area.Health) error {
	r := place.Repo
	j.report.Refs = nil
	got, err := source.Update(ctx, upstream)
	if err != nil {
		return err
	}
	j.look, j.readAt = source.List, j.Clock().Round(0) // the time goes on while the machine sleeps
	if j.Limits.Disk > 0 {
		if size := repo.DiskUsage(j.area.Dir); size > j.Limits.Disk {
			return j.tooMuchDisk(size)
		}
	}
	j.report.Head = j.head(got.Refs)
	changed := 0
	if j.PullOnly {
		if err := j.largeUp(ctx, r, got.Refs); err != nil {
			return err
		}
		fmt.Fprintln(j.Out, ".. not pushing: pull-only is set")
	} else {
		if changed, err = j.deliver(ctx, place, got); err != nil {
			j.refused(ctx, place, health, got.Changed, err)
			return err
		}
		j.report.Digest = j.digest(got.Upstream)
	}
	if got.Left != nil {
		j.refused(ctx, place, health, got.Changed, got.Left)
		return got.Left
	}
	j.report.Unchanged = got.Changed == 0 && changed == 0
	j.end(ctx, place, health)
	return j.complete(ctx, r, got.Changed)
}

// complete keeps the repository small and writes it to files where wanted.
// That packing failed makes no import bad.
func (j *job) complete(ctx context.Context, r *repo.Repo, changed int) error {
	j.pack(ctx, r, changed)
	return j.Export.write(ctx, r, j.Spec.Name, j.Out)
}

func (j *job) pack(ctx context.Context, r *repo.Repo, changed int) {
	if j.NoRepack {
		return
	}
	if err := r.Maintain(ctx, changed); err != nil && ctx.Err() == nil {
		fmt.Fprintf(j.Out, ".. warning: %v\n", err)
		j.Log.Warn("cannot pack the working copy", "lorry", j.Spec.Name, "error", err)
	}
}

// finish fills the report in.
func (j *job) finish(err error) {
	if err == nil {
		j.report.Exit = ExitDone
		return
	}
	failure := gitfail.From(err, gitfail.Local)
	j.report.Exit, j.report.Failure = ExitFailed, failure.Failure
	j.report.Unchanged, j.report.Digest = false, ""
	j.report.Failure.Cause = childproc.Redact(failure.Cause, j.secrets()...)
	if failure.Kind == core.FailKilled || errors.Is(err, ErrStopped) {
		j.report.Exit = ExitStopped
	}
}
