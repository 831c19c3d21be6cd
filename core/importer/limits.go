package importer

import (
	"context"
	"io"
	"sync"
	"time"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/importer/gitfail"
	"github.com/lorry-controller/lorry-controller/core/importer/repo"
)

// Limits bound one job, in bytes; 0 is no limit. Its time is bounded by the
// context, its memory and the size of its files by the process it runs in.
type Limits struct {
	// Output is how much it may write for people.
	Output int64
	// Disk is how much its part of the working area may take.
	Disk int64
}

// diskWatch is how often the size of a job's directory is looked at.
const diskWatch = 2 * time.Second

// limit gives a context that ends when a limit is passed, with a *gitfail.Error
// as its cause. end waits for what watches.
func (j *job) limit(parent context.Context) (ctx context.Context, end func()) {
	ctx, cancel := context.WithCancelCause(parent)
	if j.Limits.Output > 0 {
		over := func() {
			cancel(gitfail.New(core.FailLimit, gitfail.Local, "look what it says over and over, or raise max-output in lorry.conf",
				"the job wrote more than %d bytes of messages", j.Limits.Output))
		}
		j.Out = &boundedWriter{out: j.Out, left: j.Limits.Output, over: over}
		// Most of what git says is not shown, and can be without end.
		j.messages = &boundedWriter{out: io.Discard, left: j.Limits.Output, over: over}
	}
	var watch sync.WaitGroup
	if j.Limits.Disk > 0 {
		watch.Go(func() { j.watchDisk(ctx, cancel) })
	}
	return ctx, func() {
		cancel(nil)
		watch.Wait()
	}
}

func (j *job) watchDisk(ctx context.Context, cancel context.CancelCauseFunc) {
	tick := time.NewTicker(diskWatch)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if size := repo.DiskUsage(j.areaDir()); size > j.Limits.Disk {
			cancel(j.tooMuchDisk(size))
			return
		}
	}
}

func (j *job) tooMuchDisk(size int64) error {
	return gitfail.New(core.FailLimit, gitfail.Local, "raise max-disk in lorry.conf if a repository of this size is meant",
		"the repository takes %d bytes of the working area, and at most %d are allowed", size, j.Limits.Disk)
}

// boundedWriter passes on so many bytes, drops the rest and says so once.
type boundedWriter struct {
	out  io.Writer
	over func()

	mu   sync.Mutex
	left int64
}

// Write implements io.Writer. It takes everything.
func (b *boundedWriter) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left < 0 {
		return len(p), nil
	}
	if b.left -= int64(len(p)); b.left < 0 {
		b.over()
		return len(p), nil
	}
	return b.out.Write(p)
}
