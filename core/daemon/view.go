package daemon

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/lorry-controller/lorry-controller/core"
	"github.com/lorry-controller/lorry-controller/core/queue"
)

const (
	viewEvery    = 500 * time.Millisecond
	viewJobs     = 8 // running jobs shown
	viewEnded    = 6 // jobs shown that ended last
	viewFailures = 5 // failing Lorries shown
)

// viewSource is what the live view reads. *queue.Queue has it.
type viewSource interface {
	Status(ctx context.Context) (queue.Status, error)
	Jobs(ctx context.Context, filter queue.JobFilter) ([]core.Job, error)
	Output(ctx context.Context, id core.JobID, offset, limit int64) (string, error)
	Lorry(ctx context.Context, path string) (core.LorryState, error)
}

// view draws what the daemon does on a terminal, over its own last picture.
type view struct {
	source  viewSource
	out     io.Writer
	address string
	logFile string
	width   func() int // columns of the terminal
	clock   core.Clock
	lines   int // of the last picture
}

// run draws until ctx ends.
func (v *view) run(ctx context.Context) {
	tick := time.NewTicker(viewEvery)
	defer tick.Stop()
	for {
		if picture, err := v.picture(ctx); err == nil {
			v.draw(picture)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// draw replaces the last picture: up to its first line, then each line cleared
// as it is written, then whatever was below.
func (v *view) draw(picture []string) {
	var b strings.Builder
	if v.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", v.lines)
	}
	for _, line := range picture {
		b.WriteString("\r\x1b[K" + line + "\n")
	}
	b.WriteString("\x1b[J")
	v.lines = len(picture)
	io.WriteString(v.out, b.String())
}

func (v *view) picture(ctx context.Context) ([]string, error) {
	status, err := v.source.Status(ctx)
	if err != nil {
		return nil, err
	}
	running, err := v.source.Jobs(ctx, queue.JobFilter{Running: true})
	if err != nil {
		return nil, err
	}
	last, err := v.source.Jobs(ctx, queue.JobFilter{Limit: viewEnded + len(running)})
	if err != nil {
		return nil, err
	}
	failures, err := v.failures(ctx)
	if err != nil {
		return nil, err
	}
	width := max(v.width(), 40)
	state := "running"
	if !status.Running {
		state = "stopped: no new jobs are started"
	}
	lines := []string{
		fmt.Sprintf("Lorry Controller at %s   (log: %s, stop: Ctrl-C)", v.address, v.logFile),
		fmt.Sprintf("the queue is %s · Lorries: %d · due: %d · running: %d · failing: %d",
			state, status.Counts.Lorries, status.Counts.Due, status.Counts.Running, status.Counts.Failing),
	}
	now := v.clock()
	for i, job := range running {
		if i == viewJobs {
			lines = append(lines, fmt.Sprintf("  … and %d more", len(running)-i))
			break
		}
		lines = append(lines, fmt.Sprintf("  ▶ %s  %s  %s", job.Path, core.Span(now.Sub(job.Started)), v.lastLine(ctx, job)))
	}
	for _, job := range last {
		if !job.Running() && !job.Failure.Failed() {
			lines = append(lines, fmt.Sprintf("  ✓ %s  %s ago: %s", job.Path, core.Span(now.Sub(job.Ended)), outcome(job)))
		}
	}
	lines = append(lines, failures...)
	for i := range lines {
		lines[i] = fit(lines[i], width)
	}
	return lines, nil
}

// failures describes the Lorries that failed last and have not succeeded since.
func (v *view) failures(ctx context.Context) ([]string, error) {
	failed, err := v.source.Jobs(ctx, queue.JobFilter{Failed: true, Limit: 4 * viewFailures})
	if err != nil {
		return nil, err
	}
	var lines []string
	seen := map[string]bool{}
	for _, job := range failed {
		if seen[job.Path] || len(lines) == viewFailures {
			continue
		}
		seen[job.Path] = true
		if l, err := v.source.Lorry(ctx, job.Path); err == nil && l.LastFailure.Failed() {
			lines = append(lines, fmt.Sprintf("  ✗ %s  %s: %s", l.Path, l.LastFailure.Kind, l.LastFailure.Cause))
		}
	}
	return lines, nil
}

// outcome puts a job that ended well into words.
func outcome(job core.Job) string {
	switch {
	case job.Exit == "returned":
		return "handed back"
	case job.Unchanged:
		return "nothing new"
	}
	return fmt.Sprintf("mirrored, refs changed: %d", len(job.Refs))
}

// lastLine gives the last line of a job's output so far, or "".
func (v *view) lastLine(ctx context.Context, job core.Job) string {
	const tail = 400
	out, err := v.source.Output(ctx, job.ID, max(0, job.OutputSize-tail), tail)
	if err != nil {
		return "" // the next picture is half a second away
	}
	out = strings.TrimRight(out, "\n")
	return out[strings.LastIndexByte(out, '\n')+1:]
}

// fit makes a line safe for a terminal and no longer than width.
func fit(line string, width int) string {
	runes := []rune(strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, line))
	if len(runes) > width {
		return string(runes[:width-1]) + "…"
	}
	return string(runes)
}
